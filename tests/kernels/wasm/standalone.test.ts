/** Programs as WebAssembly modules of their own, through what these export: what the device gives, to the bit. */
import { assertEquals, assertThrows } from "@std/assert";
import {
  add,
  argmax,
  compile,
  concat,
  div,
  host,
  type HostTensor,
  iota,
  key,
  matmul,
  mean,
  mul,
  normal,
  scan,
  slice,
  type Spec,
  spec,
  sum,
  symbol,
  type Tensor,
  trace,
  transpose,
  zeros,
} from "@cellfold/cellfold";
import { addDims, sizeAsTensor } from "@cellfold/cellfold/internal";
import { openInputs } from "../../../kernels/standalone/open_values.ts";
import type { InputRole } from "../../../kernels/standalone/roles.ts";
import { regionsOf } from "../../../kernels/wasm/standalone/layout.ts";
import { standaloneModule } from "../../../kernels/wasm/standalone/module.ts";
import { runPasses } from "../../../src/passes/mod.ts";
import { evaluateShape } from "../../../src/tensor/dims.ts";

/** What a module exports. */
interface Exports {
  readonly memory: WebAssembly.Memory;
  input(index: number): number;
  output(index: number): number;
  prepare(...sizes: number[]): number;
  run(): void;
}

/** A function of weights and one input with open sizes. */
interface Case {
  readonly fn: (weights: readonly Tensor[], x: Tensor) => Tensor;
  readonly weights: readonly HostTensor[];
  readonly x: Spec;
  readonly sizes: readonly Readonly<Record<string, number>>[];
}

const weight = (seed: number, shape: readonly number[]) => host(normal(key(seed), shape));

function instanceOf({ fn, weights, x }: Pick<Case, "fn" | "weights" | "x">, sizes: readonly string[]) {
  const { program } = trace(fn, weights, x);
  const roles = [
    ...weights.map((value): InputRole => ({ kind: "weight", value })),
    { kind: "given" } as const,
  ];
  const bytes = standaloneModule({ program: runPasses(program), roles, sizes, isStep: false }, "{}");
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes));
  return { exports: exports as unknown as Exports, output: program.outputs[0] }; // as the module's header says
}

const cases: Readonly<Record<string, Case>> = {
  "a weight that is multiplied as it is": {
    fn: ([w], x) => matmul(x, w),
    weights: [weight(1, [5, 19])],
    x: spec([null, 5]),
    sizes: [{ batch: 1 }, { batch: 33 }],
  },
  "a transposed weight": {
    fn: ([w], x) => matmul(x, w, { transposeRight: true }),
    weights: [weight(2, [13, 70])],
    x: spec([null, 70]),
    sizes: [{ batch: 3 }],
  },
  "a part of a weight, which is read otherwise too": {
    fn: ([w], x) => add(matmul(x, slice(w, { start: [1, 2], size: [4, 9] })), sum(w)),
    weights: [weight(3, [6, 12])],
    x: spec([null, 4]),
    sizes: [{ batch: 2 }],
  },
  "a batch of weights": {
    fn: ([w], x) => matmul(transpose(x, { permutation: [1, 0, 2] }), w),
    weights: [weight(4, [3, 6, 10])],
    x: spec([null, 3, 6]),
    sizes: [{ batch: 4 }, { batch: 9 }],
  },
  "sums of many terms": {
    fn: ([w], x) => matmul(x, w),
    weights: [weight(5, [700, 24])],
    x: spec([null, 700]),
    sizes: [{ batch: 2 }, { batch: 40 }],
  },
  "products whose terms are open": {
    fn: (_, x) => matmul(transpose(x, { permutation: [1, 0] }), x),
    weights: [],
    x: spec([null, 11]),
    sizes: [{ batch: 1 }, { batch: 600 }],
  },
  "sizes as numbers, and indices along them": {
    fn: (_, x) => {
      const time = sizeAsTensor(x.shape[1]);
      const places = iota([1, x.shape[1], 1], { axis: 1, dtype: "float32" });
      return add(div(mean(x, { axes: 1, keepDims: true }), time), mul(x, places));
    },
    weights: [],
    x: spec([null, null, 3]),
    sizes: [{ batch: 2, time: 1 }, { batch: 1, time: 50 }, { batch: 3, time: 9 }],
  },
  "sizes inside a loop": {
    fn: ([w], x) => {
      const step = (h: Tensor, x: Tensor) => {
        const places = iota([x.shape[0], 4], { axis: 0, dtype: "float32" });
        const next = add(mul(matmul(x, w), div(1, sizeAsTensor(x.shape[0]))), add(h, places));
        return [next, next] as const;
      };
      return scan(step, zeros([x.shape[0], 4]), x)[0];
    },
    weights: [weight(6, [3, 4])],
    x: spec([null, null, 3]),
    sizes: [{ batch: 2, time: 3 }, { batch: 5, time: 8 }],
  },
  "outputs that are longer": {
    fn: (_, x) => concat([x, x, slice(x, { start: [0, 0], size: [x.shape[0], 1] })], { axis: 1 }),
    weights: [],
    x: spec([null, null]),
    sizes: [{ batch: 2, time: 3 }, { batch: 1, time: 8 }],
  },
};

for (const [name, one] of Object.entries(cases)) {
  Deno.test(`standaloneModule: ${name}`, async () => {
    const sizes = [...new Set(one.x.shape.filter((dim) => typeof dim !== "number").map(String))];
    const { exports, output } = instanceOf(one, sizes);
    using device = compile(one.fn, {
      device: { name: "wasm", threads: 1, relaxed: false },
      specs: [one.weights, one.x],
    });
    for (const [seed, some] of [...one.sizes, ...one.sizes].entries()) {
      const x = weight(seed, evaluateShape(one.x.shape, some));
      const expected = host(await device(one.weights, x));
      assertEquals(exports.prepare(...sizes.map((name) => some[name])), 1);
      new Float32Array(exports.memory.buffer, exports.input(0), x.data.length).set(x.data);
      exports.run();
      const length = expected.data.length;
      assertEquals(evaluateShape(output.shape, some), [...expected.shape]);
      assertEquals([...new Float32Array(exports.memory.buffer, exports.output(0), length)], [
        ...expected.data,
      ]);
    }
  });
}

Deno.test("prepare: what has no memory is refused, and what was prepared before stays", () => {
  const { exports } = instanceOf(
    { fn: (_, x) => mul(x, 2), weights: [], x: spec([null, null]) },
    ["batch", "time"],
  );
  assertEquals(exports.prepare(2, 3), 1);
  new Float32Array(exports.memory.buffer, exports.input(0), 6).set([1, 2, 3, 4, 5, 6]);
  const before = exports.memory.buffer.byteLength;
  // One element too many, a size whose bytes wrap around 32 bits, none at all, and less than none.
  for (const sizes of [[65536, 16384], [65536, 65536], [2 ** 31 - 1, 2 ** 31 - 1], [0, 3], [2, -1]]) {
    assertEquals(exports.prepare(...sizes), 0, String(sizes));
  }
  assertEquals(exports.memory.buffer.byteLength, before);
  exports.run();
  assertEquals([...new Float32Array(exports.memory.buffer, exports.output(0), 6)], [2, 4, 6, 8, 10, 12]);
});

Deno.test("standaloneModule: a Program without a result for sizes of 1 is refused", () => {
  const last = (x: Tensor) => slice(x, { start: [0, 1], size: [x.shape[0], addDims(x.shape[1], -1)] });
  const { program } = trace((x: Tensor) => argmax(last(x), { axis: 1 }), spec([null, null]));
  const roles = [{ kind: "given" } as const];
  assertThrows(
    () => standaloneModule({ program, roles, sizes: ["batch", "time"], isStep: false }, "{}"),
    RangeError,
    "argmax",
  );
});

Deno.test("openInputs: equal values are one input, also inside loops", () => {
  const time = symbol("time");
  const { program } = trace((x: Tensor) => {
    const [, sums] = scan(
      (h: Tensor, x: Tensor) => [add(h, x), mul(h, sizeAsTensor(time))],
      sum(x, { axes: 1 }),
      x,
    );
    return add(sums as Tensor, sizeAsTensor(time));
  }, spec([2, null, 3]));
  const opened = openInputs(program);
  assertEquals(opened.values, [{ kind: "size", size: time }]);
  assertEquals(opened.program.inputs.length, 2);
  assertEquals(openInputs(opened.program).values, []);
});

Deno.test("regionsOf: what is never needed at once shares a region, and nothing else does", () => {
  const time = symbol("time");
  const pieces = [
    { key: "a", size: time, first: 0, last: 1 },
    { key: "b", size: 4, first: 2, last: 3 },
    { key: "c", size: time, first: 1, last: 2 },
    { key: "d", size: 1, first: 0, last: 9 },
  ];
  const regions = regionsOf(pieces, ["time"]).map((region) => region.map(({ key }) => key).sort());
  assertEquals(regions, [["a", "b"], ["c"], ["d"]]);
});
