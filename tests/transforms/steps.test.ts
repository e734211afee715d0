/** What becomes of the steps of sequences inside a function: masks that follow the data, and functions that mix steps. */
import { assert, assertEquals } from "@std/assert";
import {
  add,
  cast,
  concat,
  cumsum,
  einsum,
  exp,
  expandDims,
  type HostTensor,
  iota,
  matmul,
  max,
  mean,
  mul,
  ones,
  pad,
  reshape,
  reverse,
  scan,
  softmax,
  type Spec,
  spec,
  sub,
  sum,
  symbol,
  type Tensor,
  tensor,
  toNested,
  transpose,
  type Tree,
  zeros,
} from "@cellfold/cellfold";
import { sliceAxis } from "@cellfold/cellfold/internal";
import { type Dim, multiplyDims, subtractDims } from "../../src/tensor/dims.ts";
import { outputMasks } from "../../src/transforms/steps.ts";
import { unstreamable } from "../../src/transforms/streamed_steps.ts";

type Fn = (...args: Tensor[]) => Tree<Tensor>;

const mask = tensor([[true, true, false], [true, false, false]]);
const x = tensor([[[1, 2], [3, 4], [5, 6]], [[7, 8], [9, 10], [11, 12]]]);

function masksOf(fn: Fn, args: readonly Tensor[] = [x], masks: readonly (Tensor | undefined)[] = [mask]) {
  return outputMasks(fn, args, masks).map((found) => found && toNested(found));
}

const same = [[1, 1, 0], [1, 0, 0]];

Deno.test("outputMasks: what keeps the axis of time keeps the mask", () => {
  const kernel = ones([2, 4]);
  const keeping: Record<string, Fn> = {
    elementwise: (x) => exp(add(x, 1)),
    "a sum over features": (x) => sum(x, { axes: -1, keepDims: true }),
    "a normalization": (x) => sub(x, mean(x, { axes: -1, keepDims: true })),
    "what is centered over time": (x) => sub(x, mean(x, { axes: 1, keepDims: true })),
    "a product with a kernel": (x) => matmul(x, kernel),
    "a product of rows": (x) => reshape(matmul(reshape(x, [6, 2]), kernel), [2, 3, 4]),
    einsum: (x) => einsum("bti,io->bto", x, kernel),
    "its own attention": (x) => matmul(softmax(matmul(x, x, { transposeRight: true })), x),
    "there and back": (x) =>
      transpose(mul(transpose(x, { permutation: [1, 0, 2] }), 2), { permutation: [1, 0, 2] }),
    "further axes": (x) => reshape(x, [2, 3, 1, 2]),
    "a running sum over time": (x) => cumsum(x, { axis: 1 }),
    "a running sum over features": (x) => cumsum(x),
    "a fold": (x) => scan((h: Tensor, x: Tensor) => [add(h, x), add(h, x)], zeros([2, 2]), x)[0],
  };
  for (const [name, fn] of Object.entries(keeping)) assertEquals(masksOf(fn), [same], name);
});

Deno.test("outputMasks: what rearranges steps rearranges the mask", () => {
  assertEquals(masksOf((x) => reverse(x, 1)), [[[0, 1, 1], [0, 0, 1]]]);
  assertEquals(masksOf((x) => reverse(x, [0, 1])), [[[0, 0, 1], [0, 1, 1]]]);
  assertEquals(masksOf((x) => sliceAxis(x, 1, 1, 2)), [[[1, 0], [0, 0]]]);
  assertEquals(masksOf((x) => sliceAxis(x, 0, 1, 1)), [[[1, 0, 0]]]);
  assertEquals(masksOf((x) => concat([x, reverse(x, 1)], { axis: 1 })), [[
    [1, 1, 0, 0, 1, 1],
    [1, 0, 0, 0, 0, 1],
  ]]);
  assertEquals(masksOf((x) => concat([ones([2, 1, 2]), x], { axis: 1 })), [[[1, 1, 1, 0], [1, 1, 0, 0]]]);
  assertEquals(masksOf((x) => concat([x, x])), [same]);
  assertEquals(masksOf((x) => pad(sliceAxis(x, 1, 0, 2), { low: [0, 1, 0], high: [0, 0, 0] })), [[[1, 1, 1], [
    1,
    1,
    0,
  ]]]);
  assertEquals(masksOf((x) => transpose(x, { permutation: [1, 0, 2] })), [[[1, 1], [1, 0], [0, 0]]]);
});

Deno.test("outputMasks: several masks meet, and a step counts if it counts in all", () => {
  const other = tensor([[false, true, true], [true, true, true]]);
  assertEquals(masksOf(add, [x, x], [mask, other]), [[[0, 1, 0], [1, 0, 0]]]);
  assertEquals(masksOf((a, b) => concat([a, b]), [x, x], [undefined, mask]), [same]);
  assertEquals(masksOf((a, b) => [b, mul(a, b), a], [x, x], [other, mask]), [
    same,
    [[0, 1, 0], [1, 0, 0]],
    [[0, 1, 1], [1, 1, 1]],
  ]);
  // A query keeps its own mask, whatever it attends to.
  const memory = ones([2, 4, 2]);
  const some = tensor([[true, false, false, false], [true, true, true, true]]);
  const attend: Fn = (q, m) => matmul(softmax(matmul(q, m, { transposeRight: true })), m);
  assertEquals(masksOf(attend, [x, memory], [mask, some]), [same]);
});

Deno.test("outputMasks: a mask over masks is reduced as the data is", () => {
  const words = ones([1, 3, 2, 4]); // [batch, sentences, words, features]
  const inner = tensor([[[true, true], [true, false], [false, false]]]);
  assertEquals(masksOf((x) => sum(x, { axes: 2 }), [words], [inner]), [[[1, 1, 0]]]);
  assertEquals(masksOf((x) => max(x, { axes: 3 }), [words], [inner]), [[[[1, 1], [1, 0], [0, 0]]]]);
  assertEquals(masksOf((x) => add(x, 1), [words], [inner]), [[[[1, 1], [1, 0], [0, 0]]]]);
});

Deno.test("outputMasks: what has no axis of time has no mask", () => {
  const ending: Record<string, Fn> = {
    "a mean": (x) => mean(x, { axes: 1 }),
    "all features in a row": (x) => reshape(x, [2, 6]),
    "all rows": (x) => reshape(x, [6, 2]),
    "the last step": (x) => reshape(sliceAxis(x, 1, 2, 1), [2, 2]),
    "the last state": (x) => scan((h: Tensor, x: Tensor) => [add(h, x), add(h, x)], zeros([2, 2]), x)[1],
    "another axis first": (x) => transpose(x, { permutation: [0, 2, 1] }),
  };
  for (const [name, fn] of Object.entries(ending)) assertEquals(masksOf(fn), [undefined], name);
});

Deno.test("outputMasks: random rearrangements treat the mask as they treat data", () => {
  let seed = 12345;
  const draw = (n: number) => (seed = (seed * 1103515245 + 12345) % 2147483648) % n;
  for (let round = 0; round < 200; round++) {
    const [batch, time] = [1 + draw(3), 2 + draw(4)];
    const bits = Array.from({ length: batch }, () => Array.from({ length: time }, () => draw(2)));
    const data = tensor(bits.map((row) => row.map((bit) => [bit, bit, bit])), { dtype: "float32" });
    const moves: ((x: Tensor) => Tensor)[] = [
      (x) => reverse(x, 1),
      (x) => reverse(x, [0, 2]),
      (x) => sliceAxis(x, 1, 1, (x.shape[1] as number) - 1),
      (x) => concat([x, reverse(x, 1)], { axis: 1 }),
      (x) => concat([x, ones([x.shape[0], 2, 3])], { axis: 1 }),
      (x) => concat([x, reverse(x, 0)], { axis: 0 }),
      (x) => reshape(reshape(x, [(x.shape[0] as number) * (x.shape[1] as number), 3]), x.shape),
      (x) => transpose(reverse(transpose(x, { permutation: [1, 0, 2] }), 0), { permutation: [1, 0, 2] }),
      (x) => transpose(x, { permutation: [1, 0, 2] }),
    ];
    const chosen = Array.from({ length: 1 + draw(4) }, () => moves[draw(moves.length)]);
    const fn = (x: Tensor) =>
      chosen.reduce((x, move) => x.shape[1] === 1 && move === moves[2] ? x : move(x), x);
    const [found] = outputMasks(fn, [data], [cast(sliceBits(data), "bool")]);
    assert(found, `round ${round}`);
    assertEquals(toNested(cast(found, "float32")), toNested(sliceBits(fn(data))), `round ${round}`);
  }
});

function sliceBits(x: Tensor): Tensor {
  return reshape(sliceAxis(x, 2, 0, 1), x.shape.slice(0, 2));
}

const time = symbol("time");

/** Why a function of sequences, which keeps no state, cannot be given them in chunks. */
function mixedSteps(fn: Fn, args: readonly Spec[], time: Dim) {
  const whole = (_: Tree<Tensor>, state: Tree<Tensor>, input: readonly Tensor[]) =>
    [fn(...input), state] as const;
  return unstreamable(whole, [[], [], args as readonly Tensor[]], time); // specs stand for tensors
}
const sequence = spec([2, time, 3]);

Deno.test("unstreamable: what works step by step", () => {
  const stepwise: Record<string, Fn> = {
    elementwise: (x) => mul(exp(x), 2),
    "a product with a kernel": (x) => matmul(x, ones([3, 4])),
    "a normalization over features": (x) => sub(x, mean(x, { axes: -1, keepDims: true })),
    "a running sum over features": (x) => cumsum(x),
    "rows and back": (x) => reshape(reshape(x, [multiplyDims(time, 2), 3]), [2, time, 3]),
    "a constant at every step": (x) => add(x, ones([2, time, 3])),
    "a constant alone": () => ones([2, time, 3]),
    "two sequences": (x, y) => concat([x, y]),
    "attention within a step": (x) => softmax(expandDims(x, -1), { axis: -2 }),
  };
  for (const [name, fn] of Object.entries(stepwise)) {
    assertEquals(mixedSteps(fn, [sequence, sequence], time), undefined, name);
  }
});

Deno.test("unstreamable: what depends on other steps, names the operation", () => {
  const mixing: Record<string, [Fn, string | undefined]> = {
    "a mean over time": [(x) => sub(x, mean(x, { axes: 1, keepDims: true })), "sum"],
    "a reversal": [(x) => reverse(x, 1), "reverse"],
    "a running sum": [(x) => cumsum(x, { axis: 1 }), "cumsum"],
    "a running sum of rows": [(x) => cumsum(reshape(x, [multiplyDims(time, 2), 3]), { axis: 0 }), "cumsum"],
    "attention": [(x) => matmul(softmax(matmul(x, x, { transposeRight: true })), x), "matmul"],
    "a maximum over time": [(x) => max(x, { axes: 1 }), "max"],
    "a shift": [
      (x) => pad(sliceAxis(x, 1, 0, subtractDims(time, 1)), { low: [0, 1, 0], high: [0, 0, 0] }),
      "slice",
    ],
    "joining": [(x) => concat([x, x], { axis: 1 }), "concat"],
    "the number of a step": [(x) => add(x, cast(iota([2, time, 3], { axis: 1 }), "float32")), "iota"],
    "how many steps": [(x) => mul(x, sum(ones([2, time, 1]), { axes: 1, keepDims: true })), "sum"],
    "a fold": [(x) => scan((h: Tensor, x: Tensor) => [add(h, x), add(h, x)], zeros([2, 3]), x)[0], "scan"],
    "time elsewhere": [(x) => transpose(x, { permutation: [1, 0, 2] }), undefined],
    "features and steps in a row": [(x) => reshape(x, [multiplyDims(time, 3), 2]), "reshape"],
  };
  for (const [name, [fn, operation]] of Object.entries(mixing)) {
    const found = mixedSteps(fn, [sequence], time);
    assert(found, name);
    assertEquals(found.operation, operation, name);
  }
});

Deno.test("unstreamable: what it lets pass gives the same in pieces as in one", () => {
  const begin = 20_261_128;
  let state = begin;
  const draw = (
    n: number,
  ) => (state = (state * 1103515245 + 12345) % 2147483648, Math.floor(state / 65536) % n);
  const features = 3;
  const length = (x: Tensor) => x.shape[1];
  const moves: Record<string, (x: Tensor) => Tensor> = {
    exp: (x) => exp(mul(x, 0.1)),
    kernel: (x) => matmul(x, cast(iota([features, features]), "float32")),
    softmax: (x) => softmax(x),
    centered: (x) => sub(x, mean(x, { axes: 2, keepDims: true })),
    "features reversed": (x) => reverse(x, 2),
    "features numbered": (x) => add(x, cast(iota([features]), "float32")),
    "a feature kept": (x) => mul(x, sliceAxis(x, 2, 0, 1)),
    "joined and cut": (x) => sliceAxis(concat([x, exp(x)]), 2, 1, features),
    "time first and back": (x) =>
      transpose(exp(transpose(x, { permutation: [1, 0, 2] })), { permutation: [1, 0, 2] }),
    "rows and back": (x) =>
      reshape(softmax(reshape(x, [multiplyDims(2, length(x)), features])), [2, length(x), features]),
    "pairs of features": (x) => sum(mul(expandDims(x, 2), expandDims(x, 3)), { axes: 2 }),
    "within a step": (x) => add(x, reshape(matmul(expandDims(x, 2), expandDims(x, 3)), [2, length(x), 1])),
    "a constant sequence": (x) => add(x, ones([2, length(x), features])),
    "a mean over time": (x) => sub(x, mean(x, { axes: 1, keepDims: true })),
    "a maximum over time": (x) => sub(x, max(x, { axes: 1, keepDims: true })),
    "time reversed": (x) => reverse(x, 1),
    "the number of the step": (x) => add(x, cast(iota([2, length(x), features], { axis: 1 }), "float32")),
    "how many steps": (x) => mul(x, sum(ones([2, length(x), 1]), { axes: 1, keepDims: true })),
    attention: (x) => matmul(softmax(matmul(x, x, { transposeRight: true })), x),
    fold: (x) => scan((h: Tensor, x: Tensor) => [add(h, x), add(h, x)], zeros([2, features]), x)[0],
    "time and features in one": (x) =>
      reshape(
        softmax(reshape(x, [2, multiplyDims(features, length(x))])),
        [2, length(x), features],
      ),
    shift: (x) => pad(sliceAxis(x, 1, 0, subtractDims(length(x), 1)), { low: [0, 1, 0], high: [0, 0, 0] }),
  };
  const names = Object.keys(moves);
  const whole = mul(cast(iota([2, 6, features], { axis: 1 }), "float32"), tensor([0.3, -0.2, 0.1]));
  let passed = 0;
  for (let round = 0; round < 400; round++) {
    const chosen = Array.from({ length: 1 + draw(4) }, () => names[draw(names.length)]);
    const fn = (x: Tensor) => chosen.reduce((x, name) => moves[name](x), x);
    const mixing = mixedSteps(fn, [spec([2, time, features])], time);
    const cut = 1 + draw(5);
    const pieces = concat(
      [fn(sliceAxis(whole, 1, 0, cut)), fn(sliceAxis(whole, 1, cut, 6 - cut))],
      { axis: 1 },
    );
    const apart = sub(pieces, fn(whole)) as HostTensor;
    const same = apart.data.every((difference) => Math.abs(difference) < 1e-4);
    if (mixing === undefined) {
      passed++;
      assert(same, `seed ${begin}, round ${round}: ${chosen.join(", ")}`);
    }
  }
  assert(passed > 60 && passed < 360, `${passed} passed`);
});
