/** Modules that a worker has unloaded are collected, although a worker allocates next to nothing. */
import { assert, assertEquals } from "@std/assert";
import { Worker } from "node:worker_threads";
import { MODULES_TO_COLLECT, type ToWorker, WORKER_SOURCE } from "../../../kernels/wasm/worker_source.ts";
import { controlAddress, nothing, sharedMemory } from "./pools.ts";

/** Reports how many instances were collected, as the id of an answer. */
const COUNTING = `
const { parentPort } = process.getBuiltinModule("node:worker_threads");
const { Instance } = WebAssembly;
let collected = 0;
const registry = new FinalizationRegistry(() => parentPort.postMessage({ id: "collected", count: ++collected }));
WebAssembly.Instance = function (...given) {
  const instance = new Instance(...given);
  registry.register(instance, 0);
  return instance;
};
`;

Deno.test("Unloaded modules are collected in a worker, and those in use are not", async () => {
  const worker = new Worker(COUNTING + WORKER_SOURCE, { eval: true });
  let [loaded, collected] = [0, 0];
  worker.on("message", ({ id, count }: { readonly id: number | "collected"; readonly count: number }) => {
    if (id === "collected") collected = count;
    else if (id > 0) loaded++;
  });
  const post = (message: ToWorker) => worker.postMessage(message);
  post({ kind: "start", memory: sharedMemory(), controlAddress, thread: 1 });
  const module = nothing(), inUse = 3;
  const untilLoaded = async (count: number) => {
    while (loaded < count) await new Promise((resolve) => setTimeout(resolve, 5));
  };
  for (let id = 1; id <= MODULES_TO_COLLECT + inUse; id++) post({ kind: "load", id, module });
  await untilLoaded(MODULES_TO_COLLECT + inUse);
  for (let id = 1; id < MODULES_TO_COLLECT; id++) post({ kind: "unload", id });
  await new Promise((resolve) => setTimeout(resolve, 200));
  assertEquals(collected, 0, "nothing else makes a worker collect");
  post({ kind: "unload", id: MODULES_TO_COLLECT });
  const until = performance.now() + 10_000;
  while (collected < MODULES_TO_COLLECT - 1 && performance.now() < until) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  // The last one may still be on the stack of the message that unloads it.
  assert(
    collected >= MODULES_TO_COLLECT - 1 && collected <= MODULES_TO_COLLECT,
    `${collected} were collected`,
  );
  await worker.terminate();
});
