/** Serves the built site on loopback: `deno task site:serve`, then open the address that it prints. */

const ROOT = new URL("./.vitepress/dist/", import.meta.url);

const TYPES: Readonly<Record<string, string>> = {
  css: "text/css",
  csv: "text/csv",
  html: "text/html; charset=utf-8",
  js: "text/javascript",
  json: "application/json",
  mjs: "text/javascript",
  svg: "image/svg+xml",
  txt: "text/plain; charset=utf-8",
  wasm: "application/wasm",
};

/** Answers with a file of the built site, or with its page for what is not there. */
export async function answer(request: Request): Promise<Response> {
  const path = decodeURIComponent(new URL(request.url).pathname).replace(/\/$/, "/index.html");
  const file = new URL(`.${path}`, ROOT);
  // A URL has no `..` left in it.
  const content = file.href.startsWith(ROOT.href)
    ? await Deno.readFile(file).catch(() => undefined)
    : undefined;
  if (!content) {
    const page = await Deno.readFile(new URL("404.html", ROOT));
    return new Response(page, { status: 404, headers: { "Content-Type": TYPES.html } });
  }
  const type = TYPES[path.split(".").at(-1) ?? ""] ?? "application/octet-stream";
  return new Response(content, { headers: { "Content-Type": type } });
}

if (import.meta.main) {
  try {
    await Deno.stat(new URL("index.html", ROOT));
  } catch {
    console.error("There is no built site: run `deno task site` first");
    Deno.exit(1);
  }
  Deno.serve({ hostname: "127.0.0.1", port: Number(Deno.args[0] ?? 8000) }, answer);
}
