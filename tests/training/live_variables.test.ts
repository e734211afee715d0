/** That variables which `predict` is given again lie on the device meanwhile, and that others are never mixed up. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  add,
  compile,
  dense,
  type Device,
  gru,
  host,
  init,
  key,
  normal,
  predict,
  sequential,
  spec,
  type Tensor,
  tensor,
  toHost,
  type Variables,
} from "../../mod.ts";
import { DeviceLost, DeviceOutOfMemory } from "../../kernels/backend.ts";
import { createPredictor } from "../../src/training/trainer.ts";
import { withLive } from "../../src/training/live_variables.ts";

const model = sequential([gru({ units: 8 }), dense({ units: 3 })]);
const x = host(normal(key(9), [2, 5, 4]));
const variablesOf = (seed: number): Variables => init(model, key(seed), spec([null, null, 4]));

/** How many bytes of a wasm device are in use. */
async function meter(device: Device): Promise<() => number> {
  const probe = compile((x: Tensor) => add(x, 1), { device });
  await probe(tensor(0));
  return () => Number(probe.explain().match(/(\d+) bytes of its memory in use/)?.[1]);
}

Deno.test("from the second call in a row on variables stay on the device, and others take their place", async () => {
  const device: Device = { name: "wasm", threads: 1, shareFrom: 7001 };
  const used = await meter(device);
  const [first, second] = [variablesOf(1), variablesOf(2)];
  const readings: number[] = [];
  for (const variables of [first, first, first, first, second, second, second]) {
    await predict(model, variables, x, { device });
    readings.push(used());
  }
  const [once, twice] = readings;
  assert(twice > once, `${readings}`);
  assertEquals(readings, [once, twice, twice, twice, once, twice, twice]);
  // More samples than a batch holds are another kind of call, in which variables are copied for its time alone.
  await predict(model, second, x, { device, batchSize: 1 });
  assertEquals(used(), twice);
});

for (const device of ["reference", "wasm", "webgpu"] as const) {
  Deno.test({
    name: `whichever variables come, in whichever order, predict gives what they give alone: ${device}`,
    ignore: device === "webgpu" && !navigator.gpu,
    fn: async () => {
      const all = [variablesOf(1), variablesOf(2)];
      const bias = tensor([5, 6, 7]);
      const { params, state } = all[0] as { params: readonly [Tensor, { kernel: Tensor }]; state: Tensor[] };
      all.push({ params: [params[0], { ...params[1], bias }], state });
      const alone = await Promise.all(all.map((variables) => {
        const other = sequential([gru({ units: 8 }), dense({ units: 3 })]);
        return predict(other, variables, x, { device });
      }));
      for (const at of [0, 0, 1, 1, 1, 2, 2, 0, 2, 0, 0, 0]) {
        const got = await predict(model, all[at], x, { device });
        assertEquals(host(got as Tensor).data, host(alone[at] as Tensor).data);
      }
      const atOnce = [0, 1, 1, 0, 0, 2, 2, 2];
      const together = await Promise.all(atOnce.map((at) => predict(model, all[at], x, { device })));
      together.forEach((got, call) =>
        assertEquals(host(got as Tensor).data, host(alone[atOnce[call]] as Tensor).data)
      );
    },
  });
}

Deno.test("copies are let go of with what predicts, when memory runs out and with a lost device; other errors leave them", async () => {
  const device: Device = { name: "wasm", threads: 1, shareFrom: 7002 };
  const used = await meter(device);
  const before = used();
  const variables = variablesOf(3);
  const predicting = createPredictor(model, { device });
  const kinds: string[] = [];
  const call = (fault?: Error) =>
    withLive(
      predicting,
      { predictor: { device: "wasm(threads: 1, relaxed: default, shareFrom: 7002)" }, device },
      variables,
      async ({ params }) => {
        const [{ kernel }] = params as [{ kernel: Tensor }];
        kinds.push(kernel.kind);
        await toHost(params);
        if (fault) throw fault;
      },
    );
  await call();
  await call();
  await assertRejects(() => call(new TypeError("no")), TypeError);
  await call();
  assertEquals(kinds.splice(0), ["host", "device", "device", "device"]);
  await assertRejects(() => call(new DeviceOutOfMemory("full")), DeviceOutOfMemory);
  assertEquals([kinds.splice(0), used()], [["device", "host"], before]); // tried without copies
  await assertRejects(() => call(new DeviceLost("gone")), DeviceLost);
  assertEquals([kinds.splice(0), used()], [["device"], before]);
  await call();
  assertEquals(kinds, ["device"]);
  assert(used() > before);
  predicting[Symbol.dispose]();
  assertEquals(used(), before);
});
