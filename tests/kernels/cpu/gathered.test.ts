/** Convolutions whose windows products lay out themselves: the same numbers as in float64, and no copy of all windows. */
import {
  add,
  cast,
  compile,
  convolve,
  grad,
  host,
  key,
  mul,
  normal,
  spec,
  sum,
  type Tensor,
} from "@cellfold/cellfold";
import type { ConvolutionOptions } from "@cellfold/cellfold/internal";
import { assert, assertEquals } from "@std/assert";
import { lowerForCpu } from "../../../kernels/cpu/lower.ts";
import { createNative } from "../../../kernels/native/mod.ts";
import { createWasm } from "../../../kernels/wasm/mod.ts";
import { wasmTarget } from "../../../kernels/wasm/target.ts";
import { missing } from "../native/backends.ts";

interface Case {
  readonly x: readonly number[];
  readonly kernel: readonly number[];
  readonly options: ConvolutionOptions;
}

/** Places that are no multiple of a block, and enough of them that the kernel's gradient is a long product. */
const CASES: readonly Case[] = [
  { x: [4, 300, 8], kernel: [5, 8, 16], options: { padding: "same" } },
  { x: [2, 400, 8], kernel: [4, 8, 5], options: { dilation: [3], strides: [2] } },
  { x: [3, 20, 30, 8], kernel: [3, 3, 8, 9], options: { padding: "same" } },
  { x: [2, 9, 12, 10, 8], kernel: [2, 3, 2, 8, 5], options: { dilation: [1, 2, 1] } },
  { x: [3, 20, 30, 16], kernel: [3, 3, 8, 6], options: { groups: 2 } },
  { x: [3, 40, 36], kernel: [3, 4, 18], options: { groups: 9 } },
  { x: [2, 30, 38], kernel: [3, 2, 95], options: { groups: 19 } },
  { x: [3, 20, 30, 20], kernel: [3, 3, 1, 20], options: { groups: 20, padding: "same" } },
  { x: [3, 21, 30, 9], kernel: [3, 2, 1, 18], options: { groups: 9, strides: [2, 1] } },
  { x: [2, 90, 24], kernel: [3, 2, 24], options: { groups: 12, dilation: [2] } },
  { x: [3, 21, 30, 8], kernel: [3, 3, 8, 9], options: { padding: "same", strides: [2, 2] } },
  { x: [3, 50, 8], kernel: [4, 8, 9], options: { dilation: [3], strides: [2] } },
  { x: [3, 50, 8], kernel: [4, 8, 9], options: { dilation: [2], strides: [2] } },
  { x: [4, 30, 20, 1], kernel: [3, 3, 1, 12], options: { padding: "same" } },
];

/** The cases that native runs too: a C compiler takes a second for each. */
const COMPILED = [2, 7, 10];

const wasms = [createWasm({ threads: 1 }), createWasm({ threads: 2, shareFrom: 0 })];
const natives = missing === undefined ? [createNative({ threads: 2, shareFrom: 0 }, "2 threads")] : [];

/** A convolution with its bias, and its gradients for a cotangent. */
const all = (options: ConvolutionOptions) => (x: Tensor, kernel: Tensor, bias: Tensor, c: Tensor) => {
  const y = (x: Tensor, kernel: Tensor, bias: Tensor) => add(convolve(x, kernel, options), bias);
  const gradients = grad((given: readonly Tensor[]) => sum(mul(y(given[0], given[1], given[2]), c)));
  return [y(x, kernel, bias), ...gradients([x, kernel, bias])];
};

for (const [index, { x: shape, kernel: window, options }] of CASES.entries()) {
  const name = `[${shape}] with [${window}], ${JSON.stringify(options)}`;
  const [x, kernel, bias] = [shape, window, window.slice(-1)].map((each, i) => normal(key(i), each));
  const c = normal(key(3), convolve(x, kernel, options).shape);
  Deno.test({
    name: `a convolution by rows is that of float64: ${name}`,
    sanitizeResources: false, // threads stay
    sanitizeOps: false,
    fn: async () => {
      const fn = all(options);
      const [wx, wk, wb, wc] = [x, kernel, bias, c].map((each) => cast(each, "float64"));
      const wanted = fn(wx, wk, wb, wc).map((each) => host(each).data);
      for (const device of [...wasms, ...COMPILED.includes(index) ? natives : []]) {
        using compiled = compile(fn, { device });
        for (const [at, found] of (await compiled(x, kernel, bias, c)).entries()) {
          // A sum of n terms in parts of 64 is off by some units in the last place of its largest part.
          const largest = Array.from(wanted[at], Number).reduce(
            (most, value) => Math.max(most, Math.abs(value)),
            1,
          );
          host(found).data.forEach((value, i) =>
            assert(Math.abs(Number(value) - Number(wanted[at][i])) <= 4e-6 * largest, `${at}[${i}]: ${value}`)
          );
        }
      }
    },
  });
}

Deno.test("no copy of all windows is made if products alone read them", () => {
  using compiled = compile(all({ padding: "same" }));
  const [x, kernel, bias, c] = [[4, 300, 8], [5, 8, 16], [16], [4, 300, 16]].map((shape) => spec(shape));
  const program = compiled.program(x, kernel, bias, c);
  const { kernels } = lowerForCpu(program, { threads: 1, target: wasmTarget, shareFrom: 4096 });
  const windows = 4 * 300 * 5 * 8;
  assertEquals(
    kernels.filter((kernel) =>
      kernel.kind === "fused" &&
      kernel.operations.some(({ stores }) => stores.some(({ buffer }) => buffer.size === windows))
    ),
    [],
  );
  const gathered = kernels.flatMap((kernel) =>
    kernel.kind === "packedMatmul" && kernel.gathered
      ? ["product"]
      : kernel.kind === "longProduct" && kernel.lefts.some((left) => left !== "ones" && left.gathered)
      ? ["long product"]
      : []
  );
  assertEquals(gathered.toSorted(), ["long product", "product", "product"]);
});
