/**
 * The bundle in a headless Chromium: the same losses as in Deno on the main thread of a page, which may not block, with
 * threads where the page is cross-origin isolated and without where it is not, and in a worker, which may block.
 */
import { assert, assertEquals } from "@std/assert";
import { bundleInto } from "./support/bundles.ts";
import type { Visit, Visited } from "./support/browse.ts";
import { assertLossesOfDeno } from "./support/expected.ts";
import {
  commandPaths,
  findCommand,
  missingPermissions,
  runProcess,
  testInFolder,
} from "./support/requirements.ts";
import { type DeviceName, devices, type Losses } from "./smoke.ts";

const HOST = "127.0.0.1";

const mayListen = Deno.permissions.querySync({ name: "net", host: HOST }).state === "granted";
const chromium = await findCommand(commandPaths("chromium", "chromium-browser", "google-chrome"));
const permissions = [...missingPermissions, ...mayListen ? [] : [`--allow-net=${HOST}`]];
const missing = permissions.length > 0 ? permissions : chromium ? [] : ["Chromium"];

/** What makes a document cross-origin isolated, and with it gives it `SharedArrayBuffer`. */
const ISOLATION = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

const WORKER = `
  import * as cellfold from "/cellfold.js";
  import { smoke } from "/smoke.js";
  onmessage = ({ data: names }) => {
    const shared = typeof SharedArrayBuffer !== "undefined";
    smoke(cellfold, names).then((losses) => postMessage({ shared, losses }), (error) => postMessage({ error }));
  };
`;

/** Evaluates to whether there is shared memory, and the losses. */
function onMainThread(names: readonly DeviceName[]): string {
  return `(async () => {
    const [cellfold, { smoke }] = await Promise.all([import("/cellfold.js"), import("/smoke.js")]);
    const losses = await smoke(cellfold, ${JSON.stringify(names)});
    return { shared: typeof SharedArrayBuffer !== "undefined", losses };
  })()`;
}

/** The same in a worker. */
function inWorker(names: readonly DeviceName[]): string {
  return `new Promise((resolve, reject) => {
    const worker = new Worker("/worker.js", { type: "module" });
    worker.onerror = ({ message }) => reject(new Error(message));
    worker.onmessage = ({ data: { error, ...result } }) => error ? reject(new Error(error)) : resolve(result);
    worker.postMessage(${JSON.stringify(names)});
  })`;
}

/** Serves the bundles of a folder, and `/isolated` and `/plain`, which are pages. */
function serve(folder: string): Deno.HttpServer<Deno.NetAddr> {
  const script = { "Content-Type": "text/javascript", ...ISOLATION };
  const page = { "Content-Type": "text/html" };
  return Deno.serve({ hostname: HOST, port: 0, onListen: () => {} }, async (request) => {
    const { pathname } = new URL(request.url);
    switch (pathname) {
      case "/isolated":
        return new Response("<!doctype html>", { headers: { ...page, ...ISOLATION } });
      case "/plain":
        return new Response("<!doctype html>", { headers: page });
      case "/worker.js":
        return new Response(WORKER, { headers: script });
      case "/cellfold.js":
      case "/smoke.js":
        return new Response(await Deno.readFile(folder + pathname), { headers: script });
      default:
        return new Response(undefined, { status: 404 });
    }
  });
}

async function browse(folder: string, visits: readonly Visit[]): Promise<Visited[]> {
  const program = new URL("./support/browse.ts", import.meta.url).href;
  const driver = [Deno.execPath(), "run", "--quiet", "--allow-all", "--no-lock", program];
  const { code, out, err } = await runProcess([...driver, ...chromium ?? [], JSON.stringify(visits)], {
    cwd: folder,
    seconds: 120,
  });
  assertEquals(code, 0, err);
  return JSON.parse(out);
}

testInFolder(
  "the bundle trains in Chromium as in Deno, with threads and without",
  missing,
  async (folder) => {
    await bundleInto(folder);
    const server = serve(folder);
    try {
      const at = (path: string) => `http://${HOST}:${server.addr.port}${path}`;
      const all = Object.keys(devices) as DeviceName[]; // they are, by its type
      const cases: {
        name: string;
        path: string;
        names: DeviceName[];
        script: typeof inWorker;
        threads: boolean;
      }[] = [
        { name: "isolated page", path: "/isolated", names: all, script: onMainThread, threads: true },
        {
          name: "plain page",
          path: "/plain",
          names: ["default", "two threads"],
          script: onMainThread,
          threads: false,
        },
        { name: "worker", path: "/isolated", names: ["default"], script: inWorker, threads: true },
      ];
      const visited = await browse(
        folder,
        cases.map(({ path, names, script }) => ({ url: at(path), expression: script(names) })),
      );
      for (const [index, { name, names, threads }] of cases.entries()) {
        const { value, workers, errors } = visited[index];
        const { shared, losses } = value as { shared: boolean; losses: Losses }; // what the scripts evaluate to
        assertEquals({ shared, errors }, { shared: threads, errors: [] }, name);
        await assertLossesOfDeno(losses, names);
        assert(threads ? workers > 0 : workers === 0, `${name}: ${workers} workers`);
      }
    } finally {
      await server.shutdown();
    }
  },
);
