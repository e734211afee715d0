/** What tests on other platforms need of the machine; without it they are reported as ignored, and by what. */

const NAMES = ["run", "read", "write", "env"] as const;

/** The permissions that are missing, as flags. */
export const missingPermissions = NAMES
  .filter((name) => Deno.permissions.querySync({ name }).state !== "granted")
  .map((name) => `--allow-${name}`);

/** Where these commands would be, each in every folder of `PATH`. */
export function commandPaths(...names: readonly string[]): string[][] {
  if (missingPermissions.length > 0) return [];
  const folders = (Deno.env.get("PATH") ?? "").split(":").filter((folder) => folder !== "");
  return names.flatMap((name) => folders.map((folder) => [`${folder}/${name}`]));
}

/** The first of these commands that can be run and is fit, by what it says to `--version`. */
export async function findCommand(
  candidates: readonly (readonly string[])[],
  isFit: (version: string) => boolean = () => true,
): Promise<readonly string[] | undefined> {
  if (missingPermissions.length > 0) return undefined;
  for (const [program, ...args] of candidates) {
    try {
      const { success, stdout } = await new Deno.Command(program, { args: [...args, "--version"] }).output();
      if (success && isFit(new TextDecoder().decode(stdout).trim())) return [program, ...args];
    } catch {
      // not on this machine
    }
  }
  return undefined;
}

/** A test with a folder of its own. */
export function testInFolder(
  name: string,
  missing: readonly string[],
  run: (folder: string, t: Deno.TestContext) => Promise<void>,
): void {
  const ignore = missing.length > 0;
  Deno.test({
    name: ignore ? `${name} (needs ${missing.join(", ")})` : name,
    ignore,
    async fn(t) {
      const folder = await Deno.makeTempDir();
      try {
        await run(folder, t);
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  });
}

/** The outcome of a process that is ended where it does not end in time. */
export async function runProcess(
  [program, ...args]: readonly string[],
  { cwd, seconds }: { readonly cwd: string; readonly seconds: number },
): Promise<
  { readonly code: number; readonly signal: string | null; readonly out: string; readonly err: string }
> {
  const child = new Deno.Command(program, { args, cwd, stdout: "piped", stderr: "piped" }).spawn();
  const limit = setTimeout(() => child.kill("SIGTERM"), seconds * 1000);
  try {
    const { code, signal, stdout, stderr } = await child.output();
    const decoder = new TextDecoder();
    return { code, signal, out: decoder.decode(stdout), err: decoder.decode(stderr) };
  } finally {
    clearTimeout(limit);
  }
}
