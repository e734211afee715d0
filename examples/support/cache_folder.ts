/** Where this system keeps what can be made again. */

/**
 * `cellfold/<name>` in the user's cache folder, as far as the environment may be read; undefined where it names none.
 * The folder is not made.
 */
export function cacheFolder(name: string): string | undefined {
  const variable = (name: string): string | undefined =>
    isPermitted({ name: "env", variable: name }) ? Deno.env.get(name) || undefined : undefined;
  const inHome = (folder: string): string | undefined => {
    const home = variable("HOME");
    return home && `${home}/${folder}`;
  };
  const xdg = variable("XDG_CACHE_HOME");
  const base = xdg?.startsWith("/") // the XDG specification has relative paths ignored
    ? xdg
    : Deno.build.os === "windows"
    ? variable("LOCALAPPDATA")
    : inHome(Deno.build.os === "darwin" ? "Library/Caches" : ".cache");
  return base && `${base}/cellfold/${name}`;
}

/** Whether it is granted already: an example asks no questions on the terminal. */
export function isPermitted(permission: Deno.PermissionDescriptor): boolean {
  return Deno.permissions.querySync(permission).state === "granted";
}
