/** A worker of the device ends in the middle of a fit: training goes on to the same weights, and nothing is unhandled. */
import {
  dense,
  type Device,
  fit,
  getWeights,
  host,
  init,
  key,
  lstm,
  normal,
  predict,
  sequential,
} from "@cellfold/cellfold";
import { assert, assertEquals } from "@std/assert";
import { capturingWorkers } from "../support/workers.ts";

const device: Device = { name: "wasm", threads: 2, shareFrom: 0 };
const model = sequential([lstm({ units: 8 }), dense({ units: 3 })]);
const data = { x: normal(key(1), [64, 7, 4]), y: normal(key(2), [64, 3]) };
const variables = init(model, key(0), data.x);

/** The weights after six epochs, in the third of which something happens. */
async function weightsAfter(happens: () => Promise<unknown>): Promise<unknown> {
  const onEpochEnd = async ({ epoch }: { epoch: number }) => {
    if (epoch === 2) await happens();
  };
  const trained = await fit(model, variables, data, {
    loss: "mse",
    optimizer: "adam",
    batchSize: 8,
    epochs: 6,
    device,
    report: "none",
    callbacks: [{ onEpochEnd }],
  });
  return getWeights(trained.variables).map(({ path, tensor }) => [path, [...host(tensor).data]]);
}

Deno.test({
  name: "fit: a worker that is killed between two epochs changes nothing",
  sanitizeResources: false, // the device's threads outlive a test
  sanitizeOps: false,
  fn: () =>
    capturingWorkers(async (workers) => {
      const unhandled: unknown[] = [];
      const listener = (event: PromiseRejectionEvent) => {
        event.preventDefault();
        unhandled.push(event.reason);
      };
      addEventListener("unhandledrejection", listener);
      try {
        const killed = await weightsAfter(() => {
          assert(workers.length > 0, "the device has threads");
          return workers[0].terminate();
        });
        assertEquals(killed, await weightsAfter(() => Promise.resolve()));
        assertEquals((await predict(model, variables, data.x, { device })).shape, [64, 3]);
        await new Promise((resolve) => setTimeout(resolve, 50));
        assertEquals(unhandled, []);
      } finally {
        removeEventListener("unhandledrejection", listener);
      }
    }),
});
