/** Telling a developer what runs slower than it could on this host. */

const told = new Set<string>();

/** Warns on the console, once for each text, and not in production. */
export function warnOnce(text: string): void {
  if (told.has(text) || isProduction()) return;
  told.add(text);
  console.warn(`Cellfold: ${text}`);
}

/** What `process.env` has in Node, and what bundlers write in its place. */
declare const process: { readonly env: { readonly NODE_ENV?: string } };

/** Whether `NODE_ENV` is `production`. Deno is asked only where that is allowed already, so that nobody is prompted. */
function isProduction(): boolean {
  try {
    const query = { name: "env", variable: "NODE_ENV" } as const;
    if (globalThis.Deno?.permissions.querySync(query).state === "granted") {
      return Deno.env.get("NODE_ENV") === "production";
    }
    // deno-lint-ignore no-process-global -- the very words that bundlers look for
    return !globalThis.Deno && process.env.NODE_ENV === "production";
  } catch {
    return false; // there is no such thing, as in a page
  }
}
