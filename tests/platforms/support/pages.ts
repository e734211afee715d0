/** Pages for a headless Chromium: what is served, and what became of visits. */
import { assertEquals } from "@std/assert";
import type { Visit, Visited } from "./browse.ts";
import { commandPaths, findCommand, missingPermissions, runProcess } from "./requirements.ts";

const HOST = "127.0.0.1";

const mayListen = Deno.permissions.querySync({ name: "net", host: HOST }).state === "granted";
const chromium = await findCommand(commandPaths("chromium", "chromium-browser", "google-chrome"));
const permissions = [...missingPermissions, ...mayListen ? [] : [`--allow-net=${HOST}`]];

/** What is missing for a test in Chromium. */
export const missingForPages: readonly string[] = permissions.length > 0
  ? permissions
  : chromium
  ? []
  : ["Chromium"];

/** What makes a document cross-origin isolated, and with it gives it `SharedArrayBuffer`. */
export const ISOLATION = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

const TYPES: Readonly<Record<string, string>> = {
  css: "text/css",
  html: "text/html",
  js: "text/javascript",
  json: "application/json",
};

/** A file by its path: its content, or nothing. */
export type Files = (path: string) => Promise<Uint8Array<ArrayBuffer> | string | undefined>;

/** The headers of empty pages by their paths. */
export type Pages = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** Serves empty pages, and files. */
export function servePages(files: Files, pages: Pages = { "/isolated": ISOLATION, "/plain": {} }): {
  readonly at: (path: string) => string;
  readonly shutdown: () => Promise<void>;
} {
  const page = { "Content-Type": "text/html" };
  const server = Deno.serve({ hostname: HOST, port: 0, onListen: () => {} }, async (request) => {
    const { pathname } = new URL(request.url);
    if (pathname in pages) {
      return new Response("<!doctype html>", { headers: { ...page, ...pages[pathname] } });
    }
    const content = await files(pathname);
    if (content === undefined) return new Response(undefined, { status: 404 });
    const type = TYPES[pathname.split(".").at(-1) ?? ""] ?? "text/plain";
    return new Response(content, { headers: { "Content-Type": type, ...ISOLATION } });
  });
  return { at: (path) => `http://${HOST}:${server.addr.port}${path}`, shutdown: () => server.shutdown() };
}

/** Visits pages one after the other, in one browser. */
export async function browse(
  folder: string,
  visits: readonly Visit[],
  { seconds }: { readonly seconds: number },
): Promise<Visited[]> {
  const program = new URL("./browse.ts", import.meta.url).href;
  const driver = [Deno.execPath(), "run", "--quiet", "--allow-all", "--no-lock", program];
  const { code, out, err } = await runProcess([...driver, ...chromium ?? [], JSON.stringify(visits)], {
    cwd: folder,
    seconds,
  });
  assertEquals(code, 0, err);
  return JSON.parse(out);
}
