/** What lies within a tensor only for some sizes is refused by every device when it does not, and computed when it does. */
import { assertEquals, assertRejects } from "@std/assert";
import {
  at,
  compile,
  cumsum,
  type Device,
  iota,
  pad,
  scan,
  slice,
  spec,
  sum,
  type Tensor,
  valueAndGrad,
  zeros,
} from "../../mod.ts";
import { native } from "../../kernels/native/mod.ts";
import { subtractDims } from "../../src/tensor/dims.ts";
import { webgpu } from "../../kernels/webgpu/mod.ts";

const numbers = (rows: number, steps: number) => iota([rows, steps], { axis: 1, dtype: "float32" });

/** A function of tensors with open sizes, sizes for which it has a result, and others. */
interface Ranged {
  readonly fn: (...inputs: Tensor[]) => unknown;
  readonly specs: readonly ReturnType<typeof spec>[];
  readonly good: readonly (readonly [rows: number, steps: number])[];
  readonly bad: readonly (readonly [rows: number, steps: number])[];
  readonly says: string;
}

const cases: Readonly<Record<string, Ranged>> = {
  "a middle part": {
    fn: (x) => cumsum(slice(x, { start: [0, 2], size: [x.shape[0], 3] }), { axis: 1 }),
    specs: [spec(["rows", "steps"])],
    good: [[2, 5]],
    bad: [[2, 4]],
    says: "Cannot slice elements 2 to 4 of axis 1: it has 4 here",
  },
  "the last steps": {
    fn: (x) => slice(x, { start: [0, -3], size: [x.shape[0], 3] }),
    specs: [spec(["rows", "steps"])],
    good: [[4, 3]],
    bad: [[4, 2]],
    says: "Cannot slice elements -1 to 1 of axis 1",
  },
  "the last step of none": {
    fn: (x) => at(x, -1, { axis: 1 }),
    specs: [spec(["rows", "steps"])],
    good: [[3, 1]],
    bad: [[3, 0]],
    says: "it has 0 here",
  },
  "as many as another one has, and their gradient": {
    fn: valueAndGrad((x: Tensor, y: Tensor) => sum(slice(x, { start: [0, 0], size: y.shape }))),
    specs: [spec(["rows", "steps"]), spec(["few", "steps"])],
    good: [[5, 2], [3, 2]],
    bad: [[5, 2], [7, 2]],
    says: "Cannot slice elements 0 to 6 of axis 0: it has 5 here",
  },
  "within a scan": {
    fn: (x, y) =>
      scan(
        (h: Tensor, step: Tensor) => [slice(step, { start: [1], size: [y.shape[0]] }), h] as const,
        zeros([]),
        x,
      )[0],
    specs: [spec(["rows", "steps"]), spec(["few", "less"])],
    good: [[6, 2], [5, 1]],
    bad: [[6, 2], [6, 1]],
    says: "Cannot slice elements 1 to 6 of axis 0: it has 6 here",
  },
  "zeros up to a length": {
    fn: (x, y) => pad(x, { low: [0, 0], high: [0, subtractDims(y.shape[1], x.shape[1])] }),
    specs: [spec(["rows", "steps"]), spec(["few", "more"])],
    good: [[2, 3], [1, 4]],
    bad: [[2, 5], [1, 4]],
    says: "Cannot pad with -1 zeros",
  },
};

const devices: readonly { readonly device: Device; readonly ignore?: boolean }[] = [
  { device: "reference" },
  { device: "wasm" },
  { device: "native", ignore: !await native.available() },
  { device: "webgpu", ignore: !await webgpu.available() },
];

for (const { device, ignore } of devices) {
  Deno.test({
    name: `${device} refuses to read or write outside of a tensor, for each set of sizes`,
    ignore,
    // Workers and a device outlive a test.
    sanitizeResources: false,
    sanitizeOps: false,
    async fn(t) {
      for (const [name, { fn, specs, good, bad, says }] of Object.entries(cases)) {
        await t.step(name, async () => {
          using compiled = compile(fn, { device, specs });
          const tensors = (sizes: Ranged["good"]) => specs.map((_, index) => numbers(...sizes[index]));
          const expected = fn(...tensors(good));
          assertEquals(await compiled(...tensors(good)), expected);
          await assertRejects(() => compiled(...tensors(bad)), RangeError, says);
          assertEquals(await compiled(...tensors(good)), expected);
        });
      }
    },
  });
}
