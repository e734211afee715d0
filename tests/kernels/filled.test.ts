/**
 * Tensors are plain data that anyone can put together: one without a value for each element is refused wherever it
 * comes in, before a backend copies it over what lies beside its place.
 */
import * as cf from "@cellfold/cellfold";
import type { Device, HostTensor, Tensor } from "@cellfold/cellfold";
import { assertAlmostEquals, assertRejects } from "@std/assert";
import { native } from "../../kernels/native/mod.ts";
import { webgpu } from "../../kernels/webgpu/mod.ts";

const devices: readonly { readonly name: string; readonly device: Device; readonly ignore?: boolean }[] = [
  { name: "reference", device: "reference" },
  { name: "wasm", device: { name: "wasm", threads: 1 } },
  { name: "native", device: { name: "native", threads: 1 }, ignore: !await native.available() },
  { name: "webgpu", device: "webgpu", ignore: !await webgpu.available() },
];

const layer = cf.lstm({ units: 2, returnSequences: true });
const input = cf.spec([1, null, 2]);
const variables = cf.init(layer, cf.key(0), input);
const chunk = cf.ones([1, 3, 2]);

/** A tensor with as many values, whatever its shape. */
const withValues = (x: Tensor, count: number): HostTensor => ({
  ...cf.host(x),
  data: new Float32Array(count).fill(9),
});

for (const { name, device, ignore } of devices) {
  Deno.test({
    name: `a tensor with too few or too many values is refused, and harms no other, on ${name}`,
    ignore,
    sanitizeOps: false, // a device outlives a test
    sanitizeResources: false,
    fn: async () => {
      using stream = cf.streaming(layer, variables, { input, device });
      using other = cf.streaming(layer, variables, { input, device });
      using together = cf.streams(layer, variables, { capacity: 2, input, device });
      using trainer = cf.createTrainer(layer, { device });
      using twice = cf.compile((x: Tensor) => cf.mul(x, 2), { device });
      using whole = cf.streaming(layer, variables, { device: "reference" });
      await other.push(chunk);
      await whole.push(chunk);
      await stream.push(chunk);
      await twice(chunk);
      for (const count of [1, 5, 1000]) {
        const wrong = withValues(chunk, count);
        const refused = (use: () => Promise<unknown>) =>
          assertRejects(use, RangeError, `but its data has ${count} values`);
        const params = cf.mapTree(variables.params, (leaf: Tensor) => withValues(leaf, count));
        const state = cf.mapTree(stream.state, (leaf: Tensor) => withValues(leaf, count));
        await refused(() => stream.push(wrong));
        await refused(() => stream.step(withValues(cf.ones([1, 2]), count)));
        await refused(() => together.step(withValues(cf.ones([2, 2]), count)));
        await refused(async () => await together.join(state));
        await refused(async () => await Object.assign(stream, { state }));
        await refused(() => cf.streaming(layer, { params: variables.params, state }, { device }).push(chunk));
        await refused(() => cf.streaming(layer, { params, state: [] }, { device }).push(chunk));
        await refused(() => trainer.upload({ params, state: [] }));
        await refused(() => cf.predict(layer, { params, state: [] }, chunk, { device }));
        await refused(() => cf.predict(layer, variables, wrong, { device }));
        await refused(() => twice(wrong));
      }
      const [got, expected] = [await other.push(chunk), await whole.push(chunk)] as HostTensor[];
      got.data.forEach((value, index) => assertAlmostEquals(value, expected.data[index], 1e-5));
    },
  });
}
