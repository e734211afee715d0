/**
 * Random cells over random trees, as plain data that fast-check prints and shrinks: expressions over the leaves of
 * the state, those of the input, closed-over parameters and an integer counter. All leaves are
 * `[batch, units]` of one float dtype (those of `pointOf` float64), so that any expression fits anywhere; numbers
 * come from a seed.
 */
import fc from "fast-check";
import {
  add,
  broadcastTo,
  cast,
  type Cell,
  concat,
  div,
  einsum,
  equal,
  expandDims,
  gather,
  matmul,
  mean,
  mul,
  neg,
  select,
  sigmoid,
  sin,
  sub,
  tanh,
  type Tensor,
  tensor,
  zeros,
} from "../../mod.ts";
import { fixedSize, sliceAxis } from "../../src/internal.ts";
import { flattenTree, treeLeaves, unflattenTree } from "../../src/tree/tree.ts";
import { float64, numbersFrom } from "../operations/finite_differences.ts";

/** What a step computes for one leaf. */
export type Expression =
  | { readonly of: "state" | "input"; readonly index: number }
  | { readonly of: "bias" | "scale" | "counter" | "lookup" }
  | { readonly of: "number"; readonly value: number }
  | { readonly of: "tanh" | "sigmoid" | "sin" | "neg" | "matmul" | "einsum" | "mean"; readonly x: Expression }
  | {
    readonly of: "add" | "sub" | "mul" | "cut" | "oddSteps";
    readonly a: Expression;
    readonly b: Expression;
  };

/** Closed over by a cell. */
export interface Parameters {
  readonly matrix: Tensor;
  readonly vectors: { readonly bias: Tensor; readonly scale: Tensor };
}

/** The trees of floats that a scan depends on, and may be differentiated by. */
export interface Point {
  readonly parameters: Parameters;
  readonly state: unknown;
  readonly inputs: unknown;
}

/** The state of a cell: a tree of floats, and the steps so far (int32 `[batch]`) where the cell counts them. */
export interface State {
  readonly floats: unknown;
  readonly counter?: Tensor;
}

/** A random cell with its sizes. */
export interface Example {
  readonly layouts: { readonly state: Layout; readonly input: Layout; readonly output: Layout };
  readonly next: readonly Expression[];
  readonly outputs: readonly Expression[];
  readonly counts: boolean;
  readonly batch: number;
  readonly units: number;
  readonly time: number;
  readonly seed: number;
}

/** Trees of leaf indices. */
const LAYOUTS = {
  leaf: 0,
  list: [0, 1],
  named: { b: 0, a: 1 },
  nested: { video: [0, { deep: 1 }], audio: 2 },
} as const;
type Layout = keyof typeof LAYOUTS;
const COUNTS: Readonly<Record<Layout, number>> = { leaf: 1, list: 2, named: 2, nested: 3 };

function lay(layout: Layout, leaf: (index: number) => Tensor): unknown {
  const build = (node: unknown): unknown =>
    typeof node === "number"
      ? leaf(node)
      : Array.isArray(node)
      ? node.map(build)
      : Object.fromEntries(Object.entries(node as object).map(([key, value]) => [key, build(value)])); // LAYOUTS nests objects
  return build(LAYOUTS[layout]);
}

const index = fc.nat(2);
const leaf: fc.Arbitrary<Expression> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ of: fc.constantFrom("state", "input"), index }) },
  { weight: 2, arbitrary: fc.record({ of: fc.constantFrom("bias", "scale", "counter", "lookup") }) },
  { weight: 1, arbitrary: fc.record({ of: fc.constant("number"), value: fc.constantFrom(0, 1, -0.5) }) },
);
const expression: fc.Arbitrary<Expression> = fc.letrec<{ any: Expression }>((tie) => ({
  any: fc.oneof(
    { maxDepth: 3, depthSize: "small" },
    leaf,
    fc.record({
      of: fc.constantFrom("tanh", "sigmoid", "sin", "neg", "matmul", "einsum", "mean"),
      x: tie("any"),
    }),
    fc.record({ of: fc.constantFrom("add", "sub", "mul", "cut", "oddSteps"), a: tie("any"), b: tie("any") }),
  ),
})).any;
/** Bounded where the state is computed, so that long sequences stay smooth; a leaf alone passes something on. */
const nextState = fc.oneof(
  leaf,
  expression.map((x): Expression => ({ of: "tanh", x })),
);

/** Random examples of up to `longest` steps. */
export function examples(longest = 5, shortest = 0): fc.Arbitrary<Example> {
  const layout = fc.constantFrom<Layout>("leaf", "list", "named", "nested");
  return fc.record({ state: layout, input: layout, output: layout }).chain((layouts) =>
    fc.record({
      layouts: fc.constant(layouts),
      next: fc.array(nextState, { minLength: COUNTS[layouts.state], maxLength: COUNTS[layouts.state] }),
      outputs: fc.array(expression, { minLength: COUNTS[layouts.output], maxLength: COUNTS[layouts.output] }),
      counts: fc.boolean(),
      batch: fc.integer({ min: 1, max: 3 }),
      units: fc.integer({ min: 1, max: 3 }),
      time: fc.integer({ min: shortest, max: longest }),
      seed: fc.integer(),
    })
  );
}

/** The numbers of an example. */
export function pointOf({ layouts, batch, units, time, seed }: Example): Point {
  const next = numbersFrom(seed);
  const random = (shape: number[]) =>
    float64(Array.from({ length: shape.reduce((a, b) => a * b, 1) }, next), shape);
  return {
    parameters: { matrix: random([units, units]), vectors: { bias: random([units]), scale: random([]) } },
    state: lay(layouts.state, () => random([batch, units])),
    inputs: lay(layouts.input, () => random([batch, time, units])),
  };
}

/** The initial state of an example with these floats. */
export function stateOf({ counts }: Example, floats: unknown): State {
  const [first] = treeLeaves<Tensor>(floats);
  return counts ? { floats, counter: zeros([first.shape[0]], { dtype: "int32" }) } : { floats };
}

/** The cell of an example, closing over `parameters`. */
export function cellOf(example: Example, parameters: Parameters): Cell<State, unknown, unknown> {
  return (state, input) => {
    const floats = flattenTree<Tensor>(state.floats);
    const compute = evaluator(floats.leaves, treeLeaves<Tensor>(input), state.counter, parameters);
    const outputs = lay(example.layouts.output, (leaf) => compute(example.outputs[leaf]));
    const next = unflattenTree(floats.structure, example.next.map(compute));
    if (!state.counter) return [outputs, { floats: next }];
    return [outputs, { floats: next, counter: add(state.counter, 1) }];
  };
}

const unary = { tanh, sigmoid, sin, neg } as const;
const binary = { add, sub, mul } as const;

function evaluator(
  state: readonly Tensor[],
  input: readonly Tensor[],
  counter: Tensor | undefined,
  { matrix, vectors }: Parameters,
): (expression: Expression) => Tensor {
  const { shape, dtype } = state[0];
  const units = fixedSize(state[0], 1);
  const wide = (x: Tensor) => broadcastTo(x, shape);
  const steps = expandDims(counter ?? zeros([shape[0]], { dtype: "int32" }), 1);
  const compute = (expression: Expression): Tensor => {
    switch (expression.of) {
      case "state":
        return state[expression.index % state.length];
      case "input":
        return input[expression.index % input.length];
      case "bias":
      case "scale":
        return wide(vectors[expression.of]);
      case "counter":
        return wide(cast(steps, dtype));
      case "lookup":
        return gather(matrix, counter ?? zeros([shape[0]], { dtype: "int32" }));
      case "number":
        return wide(tensor(expression.value, { dtype }));
      case "tanh":
      case "sigmoid":
      case "sin":
      case "neg":
        return unary[expression.of](compute(expression.x));
      case "matmul":
        return matmul(compute(expression.x), matrix);
      case "einsum":
        return einsum("bi,oi,o->bo", compute(expression.x), matrix, vectors.bias);
      case "mean":
        return wide(mean(compute(expression.x), { axes: 1, keepDims: true }));
      case "add":
      case "sub":
      case "mul":
        return binary[expression.of](compute(expression.a), compute(expression.b));
      case "cut":
        return sliceAxis(concat([compute(expression.a), compute(expression.b)]), 1, units - 1, units);
      case "oddSteps": {
        const odd = equal(sub(steps, mul(div(steps, 2), 2)), 1);
        return select(odd, compute(expression.a), compute(expression.b));
      }
    }
  };
  return compute;
}
