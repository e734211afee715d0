/** NaN does not vanish on WebGPU: a training that went wrong must not go on with numbers that look right. */
import { assertEquals } from "@std/assert";
import {
  abs,
  compile,
  erf,
  exp,
  expm1,
  type HostTensor,
  log,
  log1p,
  maximum,
  minimum,
  pow,
  reduceMax,
  relu,
  sigmoid,
  sign,
  sin,
  softmax,
  tanh,
  type Tensor,
  tensor,
  toHost,
} from "../../../mod.ts";
import { webgpu } from "../../../kernels/webgpu/mod.ts";

const x = tensor([NaN, 1, -2, Infinity, -Infinity, -0.1, 60]);
const y = tensor([1, NaN, NaN, NaN, 1, 1, 2]);

const functions: Readonly<Record<string, (x: Tensor, y: Tensor) => Tensor>> = {
  abs,
  erf,
  exp,
  expm1,
  log,
  log1p,
  sin,
  sign,
  sigmoid,
  tanh,
  relu,
  softmax: (x) => softmax(x),
  pow,
  maximum,
  minimum,
  "maximum of all": (x) => reduceMax(x),
  "maximum, the other way round": (x, y) => maximum(y, x),
};

Deno.test({
  name: "on webgpu, a result is NaN where it is on the reference",
  ignore: !await webgpu.available(),
  // A device outlives a test.
  sanitizeResources: false,
  sanitizeOps: false,
  async fn(t) {
    for (const [name, fn] of Object.entries(functions)) {
      await t.step(name, async () => {
        const [expected, actual] = await Promise.all(["reference", "webgpu"].map(async (device) => {
          using compiled = await compile((x: Tensor, y: Tensor) => fn(x, y), { device });
          const { data } = await toHost(await compiled(x, y)) as HostTensor; // of one tensor
          return [...data].map(Number.isNaN);
        }));
        assertEquals(actual, expected);
      });
    }
  },
});
