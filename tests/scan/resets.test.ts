/** That resets inside a sequence equal its parts run by themselves, in values and gradients, and that nothing passes them. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  add,
  at,
  type Cell,
  compile,
  concat,
  grad,
  host,
  type HostTensor,
  item,
  matmul,
  ones,
  reverse,
  scan,
  type ScanOptions,
  select,
  square,
  sum,
  tanh,
  type Tensor,
  tensor,
  toNested,
  treeLeaves,
  zeros,
} from "@cellfold/cellfold";
import { random } from "../layers/helpers.ts";
import { randomLike } from "../operations/finite_differences.ts";
import { assertGradientAlong } from "../operations/finite_differences.ts";
import { mapTree, zipTrees } from "../../src/tree/tree.ts";
import {
  anyOptions,
  assertTreesClose,
  type Fold,
  lossOf,
  maskFrom,
  property,
  type RandomOptions,
  resetsFrom,
  rowOf,
  run,
  scaleOf,
  stepsOf,
  weighted,
} from "./folds.ts";
import { cellOf, type Example, examples, type Point, pointOf, type State, stateOf } from "./random_cells.ts";

/** Where the sequences of a row are: first step and number of steps, of at least one. */
function partsOf(resets: HostTensor, row: number): (readonly [from: number, steps: number])[] {
  const time = resets.shape[1];
  const begins = Array.from({ length: time }, (_, step) => step).filter((step) =>
    step === 0 || resets.data[row * time + step] === 1
  );
  return begins.map((from, index) => [from, (begins[index + 1] ?? time) - from]);
}

const join = (trees: readonly unknown[], axis: number): unknown => {
  const leaves = trees.map((tree) => treeLeaves<Tensor>(tree as never));
  let index = 0;
  return mapTree(trees[0], (_: Tensor) => {
    const joined = concat(leaves.map((of) => of[index]), { axis });
    index++;
    return joined;
  });
};

/** Every sequence of every row run by itself, and put together again. */
function apart(
  resets: HostTensor,
  { mask, ...options }: ScanOptions,
  reset?: (state: State) => State,
): Fold {
  const time = resets.shape[1];
  return <S, I, O>(cell: Cell<S, I, O>, state: S, inputs: I): [O, S] => {
    const rows = Array.from({ length: resets.shape[0] }, (_, row) => {
      const parts = partsOf(resets, row);
      if (options.reverse) parts.reverse();
      const ends: unknown[] = [];
      const outputs = parts.map(([from, steps], index) => {
        // The first step of all is not a reset unless resets say so; backwards nothing precedes the last step.
        const isReset = index > 0 || !options.reverse && resets.data[row * time] === 1;
        const initial = isReset && reset ? reset(state as unknown as State) : state;
        const [out, end] = scan(
          cell as Cell<unknown, unknown, unknown>,
          rowOf(initial, row),
          stepsOf(rowOf(inputs, row), from, steps),
          { ...options, mask: mask && stepsOf(rowOf(mask, row), from, steps) as Tensor },
        );
        ends.push(end);
        return out;
      });
      if (options.reverse) outputs.reverse();
      return { outputs: join(outputs, 1), end: ends[ends.length - 1] };
    });
    return [join(rows.map((row) => row.outputs), 0) as O, join(rows.map((row) => row.end), 0) as S];
  };
}

const masked = (
  { maskSeed, reverse, maskedOutput }: RandomOptions,
  { batch, time }: Example,
): ScanOptions => ({
  reverse,
  maskedOutput,
  mask: maskSeed === undefined ? undefined : maskFrom(maskSeed, batch, time),
});

property(
  "resets equal the packed sequences run apart, in values and gradients",
  [examples(6, 1), anyOptions, fc.integer()],
  (example, random, seed) => {
    const point = pointOf(example);
    const options = masked(random, example);
    const resets = resetsFrom(seed, example.batch, example.time);
    const packed: Fold = (...fold) =>
      scan(...fold, { ...options, resets, checkpointEvery: random.checkpointEvery });
    const parts = apart(resets, options);
    assertTreesClose(run(example, point, packed), run(example, point, parts), "values");
    assertTreesClose(
      grad(lossOf(example, packed))(point),
      grad(lossOf(example, parts))(point),
      "gradients",
    );
  },
);

/** A loss of a fold that goes on from `point.state`, and after a reset from `first`, which is differentiated too. */
function lossFrom(example: Example, fold: (first: State) => Fold) {
  return ({ point, first }: { readonly point: Point; readonly first: unknown }): Tensor => {
    const start = stateOf(example, first);
    const [outputs, final] = fold(start)(
      cellOf(example, point.parameters),
      stateOf(example, point.state),
      point.inputs,
    );
    return weighted([outputs, final.floats], example.seed + 1);
  };
}

property(
  "resets begin with the resetState where one is given, in values and gradients",
  [examples(5, 1), anyOptions, fc.integer()],
  (example, random, seed) => {
    const point = pointOf(example);
    const options = masked(random, example);
    const resets = resetsFrom(seed, example.batch, example.time);
    const both = { point, first: randomLike(point.state, seed) };
    const packed = lossFrom(
      example,
      (resetState) => (...fold) =>
        scan(...fold as unknown as [Cell<State, unknown, unknown>, State, unknown], {
          ...options,
          resets,
          resetState,
        }) as never,
    );
    const parts = lossFrom(example, (first) => apart(resets, options, () => first));
    assertTreesClose(grad(packed)(both), grad(parts)(both));
  },
);

property(
  "gradients through resets equal differences",
  [examples(5, 1), anyOptions, fc.integer()],
  (example, random, seed) => {
    const point = pointOf(example);
    const resets = resetsFrom(seed, example.batch, example.time);
    const fold: Fold = (...fold) => scan(...fold, { ...masked(random, example), resets });
    const loss = lossOf(example, fold);
    const direction = randomLike(point, seed + 2);
    const scale = scaleOf(run(example, point, fold));
    assertGradientAlong((p) => item(loss(p)), point, grad(loss)(point), direction, scale, "the gradient");
  },
);

property(
  "backwards, resets are those of the sequence flipped, in front of the step after",
  [examples(6, 1), anyOptions, fc.integer()],
  (example, random, seed) => {
    const point = pointOf(example);
    const { mask, ...options } = masked(random, example);
    const resets = resetsFrom(seed, example.batch, example.time);
    const flip = <T>(tree: T) => mapTree(tree, (x: Tensor) => reverse(x, 1));
    // Forwards, step 0 begins with the initial state, whatever stands there; backwards nothing stands behind.
    const shifted = concat(
      [stepsOf(resets, 1, example.time - 1) as Tensor, stepsOf(resets, 0, 1) as Tensor],
      {
        axis: 1,
      },
    );
    const backwards = run(
      example,
      point,
      (...fold) => scan(...fold, { ...options, mask, resets, reverse: true }),
    );
    const [outputs, final] = run(
      example,
      { ...point, inputs: flip(point.inputs) },
      (...fold) =>
        scan(...fold, {
          ...options,
          mask: mask && reverse(mask, 1),
          resets: reverse(shifted, 1),
          reverse: false,
        }),
    );
    assertTreesClose([flip(outputs), final], backwards);
  },
);

property(
  "chunks with resets equal the whole, with the state before all as resetState",
  [examples(6), fc.nat(6), fc.integer()],
  (example, cut, seed) => {
    const point = pointOf(example);
    const resets = resetsFrom(seed, example.batch, example.time);
    const first = Math.min(cut, example.time);
    const part = (tree: unknown, from: number, steps: number) => stepsOf(tree, from, steps);
    const chunked: Fold = (cell, state, inputs) => {
      const chunk = (carried: typeof state, from: number, steps: number) =>
        scan(cell, carried, part(inputs, from, steps) as typeof inputs, {
          resets: part(resets, from, steps) as Tensor,
          // The types of a generic function: the state is that of the fold.
          resetState: state as never,
        });
      const [early, between] = chunk(state, 0, first);
      const [late, final] = chunk(between, first, example.time - first);
      return [
        zipTrees(early, late, (a: Tensor, b: Tensor) => concat([a, b], { axis: 1 })) as typeof early,
        final,
      ];
    };
    assertTreesClose(
      run(example, point, chunked),
      run(example, point, (...fold) => scan(...fold, { resets })),
    );
  },
);

const [BATCH, TIME, UNITS] = [3, 6, 4];
const weights = { recurrent: random(1, [UNITS, UNITS]), kernel: random(2, [2, UNITS]) };
type Weights = typeof weights;
const sequence = random(3, [BATCH, TIME, 2]);
const cellWith = ({ recurrent, kernel }: Weights): Cell<Tensor, Tensor, Tensor> => (h, x) => {
  const next = tanh(add(matmul(x, kernel), matmul(h, recurrent)));
  return [next, next];
};

for (const device of ["reference", "wasm", "webgpu"] as const) {
  Deno.test({
    name: `NaN in a state that a reset abandons passes on neither a value nor a gradient, on ${device}`,
    ignore: device === "webgpu" && !navigator.gpu,
    fn: async () => {
      // The state given is NaN, and what is read before step 3 is too: nothing of it may be used.
      const resets = tensor(Array.from({ length: BATCH }, () => [1, 0, 0, 1, 0, 0].map(Boolean)));
      const counts = tensor(Array.from({ length: BATCH }, () => [0, 0, 0, 1, 1, 1].map(Boolean)));
      const all = { weights, sequence, state: zeros([BATCH, UNITS]) };
      const loss = ({ weights, sequence, state }: typeof all, mask?: Tensor) => {
        const [outputs, last] = scan(cellWith(weights), state, sequence, {
          resets,
          mask,
          resetState: zeros([BATCH, UNITS]),
        });
        return add(sum(square(at(outputs, -1, { axis: 1 }))), sum(last));
      };
      const run = compile(
        (
          all: Parameters<typeof loss>[0],
        ) => [loss(all), grad(loss)(all), grad((a: typeof all) => loss(a, counts))(all)],
        { device },
      );
      using compiled = run;
      const expected = treeLeaves<Tensor>(await compiled(all) as never).map(toNested);
      const abandoned = { ...all, state: select(tensor(true), NaN, all.state) };
      const found = treeLeaves<Tensor>(await compiled(abandoned) as never).map(toNested);
      assertEquals(found, expected);
      assert(!JSON.stringify(expected).includes("null"), "all numbers are finite");
    },
  });
}

Deno.test("NaN in the steps before a reset reaches no gradient of the steps after it", () => {
  const nan = select(tensor([[[true], [true], [true], [false], [false], [false]]]), NaN, sequence);
  const resets = tensor(Array.from({ length: BATCH }, () => [0, 0, 0, 1, 0, 0].map(Boolean)));
  const loss = (x: Tensor) => sum(square(scan(cellWith(weights), zeros([BATCH, UNITS]), x, { resets })[1]));
  const after = (x: Tensor) => stepsOf(x, 3, 3) as Tensor;
  assertEquals(toNested(loss(nan)), toNested(loss(sequence)));
  assertEquals(toNested(after(grad(loss)(nan))), toNested(after(grad(loss)(sequence))));
  const before = host(stepsOf(grad(loss)(sequence), 0, 3) as Tensor).data;
  assert(before.every((value) => value === 0), "the gradient stops at the reset");
});

Deno.test("a masked step with a reset resets, and repeats no output from before", () => {
  const sums: Cell<Tensor, Tensor, Tensor> = (total, x) => [add(total, x), add(total, x)];
  const options = {
    mask: tensor([[true, true, false, true]]),
    resets: tensor([[false, false, true, false]]),
  };
  const [outputs, last] = scan(sums, tensor([0]), tensor([[1, 2, 4, 8]]), options);
  assertEquals(toNested(outputs), [[1, 3, 0, 8]]);
  assertEquals(toNested(last), [8]);
});

Deno.test("scan refuses resets and a resetState that do not fit, by name", () => {
  const sums: Cell<Tensor, Tensor, Tensor> = (total, x) => [add(total, x), add(total, x)];
  const fold = (options: ScanOptions<Tensor>) => () => scan(sums, zeros([2]), ones([2, 3]), options);
  const resets = tensor([[true, false, true], [false, false, false]]);
  const bools = (shape: readonly number[]) => zeros(shape, { dtype: "bool" });
  assertThrows(fold({ resets: ones([2, 3]) }), TypeError, "the resets float32[2, 3]: expected bool[2, 3]");
  assertThrows(fold({ resets: bools([2, 4]) }), TypeError, "the resets bool[2, 4]: expected bool[2, 3]");
  assertThrows(fold({ resetState: zeros([2]) }), TypeError, "no resets are given");
  assertThrows(
    fold({ resets, resetState: zeros([2, 1]) }),
    TypeError,
    "the resetState float32[2, 1] at resetState: expected float32[2]",
  );
  const counted: Cell<{ readonly steps: Tensor }, Tensor, Tensor> = (
    { steps },
    x,
  ) => [x, { steps: add(steps, 1) }];
  assertThrows(
    () => scan(counted, { steps: tensor(0) }, ones([2, 3]), { resets }),
    TypeError,
    "Cannot reset float32[] at steps",
  );
});
