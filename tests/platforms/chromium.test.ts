/**
 * The bundle in a headless Chromium: the same losses as in Deno on the main thread of a page, which may not block, with
 * threads where the page is cross-origin isolated and without where it is not, and in a worker, which may block; on
 * wasm and on WebGPU.
 */
import { assert, assertEquals } from "@std/assert";
import { bundleInto } from "./support/bundles.ts";
import { assertLossesOfDeno } from "./support/expected.ts";
import { browse, missingForPages, servePages } from "./support/pages.ts";
import { testInFolder } from "./support/requirements.ts";
import { type DeviceName, devices, type Losses } from "./smoke.ts";

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

testInFolder(
  "the bundle trains in Chromium as in Deno, with threads and without",
  missingForPages,
  async (folder) => {
    await bundleInto(folder);
    const { at, shutdown } = servePages(async (path) => {
      if (path === "/worker.js") return WORKER;
      return path.endsWith(".js") ? await Deno.readFile(folder + path) : undefined;
    });
    try {
      const all = Object.keys(devices) as DeviceName[]; // they are, by its type
      // An adapter on the processor takes a minute for it.
      const isFull = Deno.env.get("CELLFOLD_BROWSER") === "full";
      const plain: DeviceName[] = ["default", "two threads", ...isFull ? ["webgpu" as const] : []];
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
          names: plain,
          script: onMainThread,
          threads: false,
        },
        { name: "worker", path: "/isolated", names: ["default"], script: inWorker, threads: true },
      ];
      const visited = await browse(
        folder,
        cases.map(({ path, names, script }) => ({ url: at(path), expression: script(names) })),
        { seconds: 240 },
      );
      for (const [index, { name, names, threads }] of cases.entries()) {
        const { value, workers, errors } = visited[index];
        const { shared, losses } = value as { shared: boolean; losses: Losses }; // what the scripts evaluate to
        assertEquals({ shared, errors }, { shared: threads, errors: [] }, name);
        await assertLossesOfDeno(losses, names);
        assert(threads ? workers > 0 : workers === 0, `${name}: ${workers} workers`);
      }
    } finally {
      await shutdown();
    }
  },
);
