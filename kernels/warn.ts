/** Warnings for developers about what runs slower than it could on this host. */

const told = new Set<string>();

/** Warns on the console, once for each text, and not in production. */
export function warnOnce(text: string): void {
  if (told.has(text) || isProduction()) return;
  told.add(text);
  console.warn(`Cellfold: ${text}`);
}

/** The value of `process.env.NODE_ENV` in Node, or what bundlers substitute for it. */
declare const process: { readonly env: { readonly NODE_ENV?: string } };

/** Whether `NODE_ENV` is `production`. In Deno it is read only if permitted, so Deno never prompts. */
function isProduction(): boolean {
  try {
    const query = { name: "env", variable: "NODE_ENV" } as const;
    if (globalThis.Deno?.permissions.querySync(query).state === "granted") {
      return Deno.env.get("NODE_ENV") === "production";
    }
    // deno-lint-ignore no-process-global -- bundlers look for exactly this expression
    return !globalThis.Deno && process.env.NODE_ENV === "production";
  } catch {
    return false; // it does not exist, as in a page
  }
}
