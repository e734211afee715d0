/**
 * What the lowering makes of a Program: a small function for each kind of kernel, and the kernels that it becomes. Behind
 * each stands what it reads and what it writes: inputs, outputs, or buffers, which are named after what is in them; what
 * moves on with the steps of a scan has … behind it. All backends but the reference start from these kernels;
 * wasm goes on from there and packs the operands of products.
 */
import { assertEquals } from "@std/assert";
import {
  add,
  argmax,
  concat,
  gather,
  matmul,
  max,
  mul,
  pad,
  randomBits,
  reshape,
  reverse,
  scan,
  scatterAdd,
  spec,
  sum,
  tanh,
  type Tensor,
  trace,
  transpose,
} from "../../../mod.ts";
import { kernelFunctions } from "../../../kernels/lowering/kernels.ts";
import { lowerProgram } from "../../../kernels/lowering/lower.ts";
import type { AnyKernel, KernelFunctions } from "../../../kernels/lowering/kinds/kind.ts";
import { cpuFunctions } from "../../../kernels/cpu/kernels.ts";
import { lowerForCpu } from "../../../kernels/cpu/lower.ts";
import { wasmTarget } from "../../../kernels/wasm/target.ts";
import type { View } from "../../../kernels/lowering/views.ts";
import type { Spec } from "../../../src/tensor/tensor.ts";

const x = spec([4, 3]), w = spec([3, 5]), tokens = spec([2], "int32");

/** Kernels as lines of text, with what they read and write. */
function print<Kernel extends AnyKernel>(
  kernels: readonly Kernel[],
  functions: KernelFunctions<Kernel>,
  indent = "",
): string[] {
  const names = (views: readonly View[]) =>
    views.map(({ buffer, loops }) => buffer.name + (loops.some(({ stride }) => stride !== 0) ? "…" : ""))
      .join(", ");
  return kernels.flatMap((kernel) => {
    const [line] = functions.printKernel(kernel, indent);
    if (kernel.body) return [line, ...print(kernel.body as readonly Kernel[], functions, `${indent}  `)]; // of the same kinds
    return [
      `${line}: ${names(functions.readsOf(kernel)) || "constants"} -> ${
        names(functions.writesOf(kernel)) || "packed"
      }`,
    ];
  });
}

/** Fails unless a function becomes these kernels, and on wasm those, or the same. */
function assertLowered(
  fn: (...args: Tensor[]) => unknown,
  args: readonly Spec[],
  expected: { readonly kernels: readonly string[]; readonly wasm?: readonly string[] },
): void {
  const { program } = trace(fn as never, ...args);
  const kernels = lowerProgram(program, { columns: 8 }).kernels;
  assertEquals(print(kernels, kernelFunctions), expected.kernels);
  const wasm = lowerForCpu(program, { threads: 2, target: wasmTarget, shareFrom: 4096 }).kernels;
  assertEquals(print(wasm, cpuFunctions), expected.wasm ?? expected.kernels);
}

Deno.test("fused: elementwise operations of one shape are one kernel, with results in registers", () => {
  assertLowered(
    (x) => mul(tanh(add(x, 1)), x),
    [x],
    {
      kernels: [
        "fused [4, 3]: add tanh mul: input 0, input 0 -> output 0",
      ],
    },
  );
});

Deno.test("reduce: sums and maxima", () => {
  assertLowered(
    (x) => [sum(x, { axes: 1 }), max(x, { axes: 0 })],
    [x],
    {
      kernels: [
        "sum [4, 3] -> [4]: input 0 -> output 0",
        "max [4, 3] -> [3]: input 0 -> output 1",
      ],
    },
  );
});

Deno.test("argmax", () => {
  assertLowered(
    (x) => argmax(x, { axis: 1 }),
    [x],
    {
      kernels: [
        "argmax [4, 3] -> [4]: input 0 -> output 0",
      ],
    },
  );
});

Deno.test("matmul: what is added to a product is added by its kernel; wasm packs the right operand", () => {
  assertLowered(
    (x, w, b) => tanh(add(matmul(x, w), b)),
    [x, w, spec([4, 5])],
    {
      kernels: [
        "matmul [4, 3] -> [4, 5] with 1 addend: input 0, input 1, input 2 -> matmul",
        "fused [4, 5]: tanh: matmul -> output 0",
      ],
      wasm: [
        "pack [3, 5]: input 1 -> packed",
        "matmul [4, 3] -> [4, 5] with 1 addend: input 0, input 2 -> matmul",
        "fused [4, 5]: tanh: matmul -> output 0",
      ],
    },
  );
});

Deno.test("longProduct: on wasm, products and sums over many rows of one operand are one kernel", () => {
  assertLowered(
    (x, y) => [matmul(x, y, { transposeLeft: true }), sum(y, { axes: 0 })],
    [spec([600, 3]), spec([600, 5])],
    {
      kernels: [
        "matmul [3, 600] -> [3, 5]: input 0, input 1 -> output 0",
        "sum [600, 5] -> [5]: input 1 -> output 1",
      ],
      wasm: [
        "products [3, 600], ones with [600, 5], threads share columns: input 1, input 0 -> output 0, output 1",
      ],
    },
  );
});

Deno.test("sumOfProducts: on processors, a sum over rows reads the factors, first along one axis", () => {
  const z = spec([2, 3, 4]);
  assertLowered(
    (x, y) => [sum(mul(x, y), { axes: [0, 1] }), sum(mul(x, add(y, 1)), { axes: 2 })],
    [z, z],
    {
      kernels: [
        "fused [2, 3, 4]: mul add mul: input 0, input 1, input 1, input 0 -> mul, mul",
        "sum [2, 3, 4] -> [4]: mul -> output 0",
        "sum [2, 3, 4] -> [2, 3]: mul -> output 1",
      ],
      wasm: [
        "fused [2, 3, 4]: add mul: input 1, input 0 -> mul",
        "sum of products [2, 3, 4] -> [2, 4]: input 0, input 1 -> sums of lines",
        "sum [2, 4] -> [4]: sums of lines -> output 0",
        "sum [2, 3, 4] -> [2, 3]: mul -> output 1",
      ],
    },
  );
});

Deno.test("gather", () => {
  assertLowered(
    (x, i) => gather(x, i),
    [x, tokens],
    {
      kernels: [
        "gather [4, 3] -> [2, 3]: input 0, input 1 -> output 0",
      ],
    },
  );
});

Deno.test("scatterAdd", () => {
  assertLowered(
    (i, u) => scatterAdd(i, u, { rows: 6 }),
    [spec([40], "int32"), spec([40, 3])],
    {
      kernels: [
        "scatterAdd [40, 3] -> [6, 3]: input 0, input 1 -> output 0",
      ],
    },
  );
});

Deno.test("randomBits: into a buffer of its own, and from there to where it is wanted", () => {
  assertLowered(
    (k) => randomBits(k, [3]),
    [spec([2], "int32")],
    {
      kernels: [
        "randomBits [3]: input 0, constant -> randomBits",
        "fused [3]: copy: randomBits -> output 0",
      ],
    },
  );
});

Deno.test("scan: the next carry is written over the last one; on wasm weights are packed before the loop", () => {
  assertLowered(
    (h, x, w) =>
      scan(
        (h: Tensor, x: Tensor) => {
          const next = tanh(add(matmul(h, w), x));
          return [next, next];
        },
        h,
        x,
      ),
    [spec([4, 3]), spec([4, 6, 3]), spec([3, 3])],
    {
      kernels: [
        "fused [4, 3]: copy: input 0 -> output 1",
        "scan of 6 steps, 4 rows shared by all threads",
        "  matmul [4, 3] -> [4, 3] with 1 addend: output 1, input 2, input 1… -> matmul",
        "  fused [4, 3]: tanh: matmul -> output 0…, output 1",
      ],
      wasm: [
        "fused [4, 3]: copy: input 0 -> output 1",
        "pack [3, 3]: input 2 -> packed",
        "scan of 6 steps, 4 rows shared by all threads",
        "  matmul [4, 3] -> [4, 3] with 1 addend: output 1, input 1… -> matmul",
        "  fused [4, 3]: tanh: matmul -> output 0…, output 1",
      ],
    },
  );
});

Deno.test("views: transpose and reverse are no kernels", () => {
  assertLowered(
    (x) => add(transpose(x), reverse(transpose(x), [0])),
    [x],
    {
      kernels: [
        "fused [3, 4]: add: input 0, input 0 -> output 0",
      ],
    },
  );
});

Deno.test("a reshape that no view can say is a copy", () => {
  assertLowered(
    (x) => add(reshape(transpose(x), [12]), 1),
    [x],
    {
      kernels: [
        "fused [3, 4]: copy: input 0 -> reshape",
        "fused [12]: add: reshape -> output 0",
      ],
    },
  );
});

Deno.test("concat: its parts are written into it; what is not computed here is copied", () => {
  assertLowered(
    (x) => concat([tanh(x), x], { axis: 1 }),
    [x],
    {
      kernels: [
        "fused [4, 3]: tanh copy: input 0, input 0 -> output 0, output 0",
      ],
    },
  );
});

Deno.test("pad: zeros, and the rest between them", () => {
  assertLowered(
    (x) => pad(x, { low: [1, 0], high: [0, 0] }),
    [x],
    {
      kernels: [
        "fused [1, 3]: copy: constants -> output 0",
        "fused [4, 3]: copy: input 0 -> output 0",
      ],
    },
  );
});

Deno.test("pad: two sides of one width are one kernel, others are two", () => {
  assertLowered(
    (x) => pad(x, { low: [1, 2], high: [1, 3] }),
    [x],
    {
      kernels: [
        "fused [1, 8]: copy: constants -> output 0, output 0",
        "fused [4, 2]: copy: constants -> output 0",
        "fused [4, 3]: copy: constants -> output 0",
        "fused [4, 3]: copy: input 0 -> output 0",
      ],
    },
  );
});

Deno.test("pad: with zeros between elements, all is zero first", () => {
  assertLowered(
    (x) => pad(x, { low: [0, 0], high: [0, 0], interior: [1, 0] }),
    [x],
    {
      kernels: [
        "fused [7, 3]: copy: constants -> output 0",
        "fused [4, 3]: copy: input 0 -> output 0",
      ],
    },
  );
});

Deno.test("stages: elementwise work is postponed to the kernel of its reader", () => {
  assertLowered(
    (x, w) => tanh(add(matmul(x, w), mul(x, x))),
    [spec([4, 4]), spec([4, 4])],
    {
      kernels: [
        "matmul [4, 4] -> [4, 4]: input 0, input 1 -> matmul",
        "fused [4, 4]: mul add tanh: input 0, input 0, matmul -> output 0",
      ],
      wasm: [
        "pack [4, 4]: input 1 -> packed",
        "matmul [4, 4] -> [4, 4]: input 0 -> matmul",
        "fused [4, 4]: mul add tanh: input 0, input 0, matmul -> output 0",
      ],
    },
  );
});

Deno.test("carries: of two that swap, one goes through memory of its own", () => {
  assertLowered(
    (a, b, x) => scan(([a, b]: readonly Tensor[], x: Tensor) => [a, [b, add(a, x)]], [a, b], x),
    [spec([4, 3]), spec([4, 3]), spec([4, 6, 3])],
    {
      kernels: [
        "fused [4, 3]: copy: input 0 -> output 1",
        "fused [4, 3]: copy: input 1 -> output 2",
        "scan of 6 steps, 4 rows shared by all threads",
        "  fused [4, 3]: add copy: output 1, input 2…, output 1 -> add, output 0…",
        "  fused [4, 3]: copy: output 2 -> carry on its way",
        "  fused [4, 3]: copy: carry on its way -> output 1",
        "  fused [4, 3]: copy: add -> output 2",
      ],
    },
  );
});

Deno.test("carries: what reads a carry at another element than it writes does not write over it", () => {
  assertLowered(
    (a, x) => scan((a: Tensor, x: Tensor) => [x, add(reverse(a, [1]), x)], a, x),
    [spec([4, 3]), spec([4, 6, 3])],
    {
      kernels: [
        "fused [4, 3]: copy: input 0 -> output 1",
        "scan of 6 steps, 4 rows shared by all threads",
        "  fused [4, 3]: add copy: output 1, input 1…, input 1… -> add, output 0…",
        "  fused [4, 3]: copy: add -> output 1",
      ],
    },
  );
});
