/** The layers that convolve: streams of causal ones, and what is refused. */
import * as cf from "@cellfold/cellfold";
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { at, expandDims, sliceAxis } from "../../src/operations/mod.ts";
import { random } from "./helpers.ts";

const causal = () =>
  cf.sequential([
    cf.conv1d({ filters: 4, kernelSize: 3, dilationRate: 2, padding: "causal", activation: "relu" }),
    cf.depthwiseConv1d({ kernelSize: 2, padding: "causal" }),
    cf.separableConv1d({ filters: 3, kernelSize: 2, padding: "causal" }),
    cf.conv1d({ filters: 2, kernelSize: 1 }),
    cf.gru({ units: 3, returnSequences: true }),
    cf.dense({ units: 2 }),
  ]);

for (const device of ["reference", "wasm"] as const) {
  Deno.test(`conv1d: with the padding causal, chunks and steps give what predict gives: ${device}`, async () => {
    const model = causal();
    const variables = cf.init(model, cf.key(0), cf.spec([null, null, 3]));
    const x = random(1, [2, 9, 3]);
    const whole = await cf.predict(model, variables, x, { device }) as cf.Tensor;
    using stream = cf.streaming(model, variables, { batch: 2, device });
    const first = await stream.push(sliceAxis(x, 1, 0, 4));
    const step = await stream.step(at(x, 4, { axis: 1 }));
    using fork = stream.fork();
    const rest = await stream.push(sliceAxis(x, 1, 5, 4));
    const parts = [first, expandDims(step as cf.Tensor, 1), rest] as cf.Tensor[];
    const difference = cf.abs(cf.sub(cf.concat(parts, { axis: 1 }), whole));
    assert(Math.max(...cf.host(difference).data) < 1e-6);
    assertEquals(await fork.push(sliceAxis(x, 1, 5, 4)), rest);
  });
}

Deno.test("conv1d: what looks ahead, or skips steps, is not fed in chunks", async () => {
  const options = { filters: 2, kernelSize: 2 };
  for (
    const layer of [
      cf.conv1d(options),
      cf.conv1d({ ...options, padding: "same" }),
      cf.conv1d({ ...options, padding: "causal", strides: 2 }),
    ]
  ) {
    using stream = cf.streaming(layer, cf.init(layer, cf.key(0), cf.spec([null, null, 3])));
    await assertRejects(() => stream.push(cf.zeros([1, 4, 3])), TypeError, "Cannot feed conv1d in chunks");
  }
});

Deno.test("convolutions refuse channels and options that do not fit, naming the layer", () => {
  const init = (layer: cf.Layer, ...shape: number[]) => cf.init(layer, cf.key(0), cf.spec(shape));
  assertThrows(() => cf.conv1d({ filters: 3, kernelSize: 2, groups: 2 }), RangeError, "filters is 3");
  assertThrows(
    () => init(cf.conv1d({ filters: 2, kernelSize: 2, groups: 2 }), 1, 4, 3),
    RangeError,
    "channels is 3",
  );
  assertThrows(() => cf.conv2d({ filters: 1, kernelSize: 2, padding: "causal" }), RangeError, "causal");
  assertThrows(() => init(cf.conv2d({ filters: 1, kernelSize: 2 }), 1, 4, 3), TypeError, "expected 4 axes");
  const layer = cf.conv1d({ filters: 2, kernelSize: 2, name: "front" });
  const variables = init(layer, 1, 4, 3);
  assertThrows(
    () => layer.apply(variables, cf.zeros([1, 4, 5]), { training: false }),
    TypeError,
    "Cannot use conv1d front with an input of shape [1, 4, 5]",
  );
});
