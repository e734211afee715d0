/** Small graphs with If, Loop and sequences of tensors. */
import { tensor } from "@cellfold/cellfold";
import type { GraphProto, NodeProto, Partly } from "../../../../formats/onnx/protos.ts";
import { dataTypes, valueInfo } from "../../../../formats/onnx/tensors.ts";
import type { OperatorCase } from "./fold_cases.ts";
import { node, signed } from "./graphs.ts";

type Types = { readonly [name: string]: keyof typeof dataTypes };

/** A graph inside a node; it names the types of its inputs and outputs. */
export function inner(
  inputs: Types,
  outputs: Types,
  nodes: readonly Partly<NodeProto>[],
): Partly<GraphProto> {
  const infos = (types: Types, shape?: readonly number[]) =>
    Object.entries(types).map(([name, type]) =>
      valueInfo(name, dataTypes[type], type === "float" ? undefined : shape)
    );
  return { name: "inner", node: nodes, input: infos(inputs, []), output: infos(outputs) };
}

const x = signed([2, 3], 1);
const xs = signed([5, 2, 3], 2);
const yes = tensor(true);
const float32 = { out: "float32" } as const;

/** What every loop here reads and makes at a step. */
const step: Types = { i: "int64", on: "bool" };
const goesOn: Types = { next: "bool" };
const always = node("Identity", ["on"], ["next"]);

/** `s + xs[i]` at every step, whose tanh is stacked. */
const summing = inner({ ...step, s: "float" }, { ...goesOn, s2: "float", o: "float" }, [
  always,
  node("Gather", ["xs", "i"], ["row"]),
  node("Add", ["s", "row"], ["s2"]),
  node("Tanh", ["s2"], ["o"]),
]);

/** What sums a sequence, as tf2onnx writes it: a counter of its own, compared with the size as floats. */
const counting = inner(
  { ...step, k: "int32", s: "float", most: "int32" },
  { ...goesOn, k2: "int32", s2: "float", most2: "int32", o: "float" },
  [
    node("Add", ["k", "one"], ["k2"]),
    node("Gather", ["xs", "k"], ["row"]),
    node("Add", ["s", "row"], ["s2"]),
    node("Tanh", ["s2"], ["o"]),
    node("Identity", ["most"], ["most2"]),
    node("Cast", ["most"], ["limit"], { to: dataTypes.float }),
    node("Cast", ["k2"], ["counted"], { to: dataTypes.float }),
    node("Less", ["counted", "limit"], ["next"]),
  ],
);

/** Loops, all of which begin. */
export const loopCases: OperatorCase[] = [
  {
    name: "Loop over a sequence, whose outputs are stacked",
    nodes: [
      node("Shape", ["xs"], ["shape"]),
      node("Gather", ["shape", "zero"], ["steps"]),
      node("Loop", ["steps", "", "x"], ["last", "out"], { body: { graph: summing } }),
    ],
    inputs: { xs, x },
    ints: { zero: 0 },
    outputs: { last: "float32", ...float32 },
  },
  {
    name: "Loop over a part of a sequence",
    nodes: [node("Loop", ["steps", "yes", "x"], ["last", "out"], { body: { graph: summing } })],
    inputs: { xs, x },
    ints: { steps: 3 },
    weights: { yes },
    outputs: { last: "float32", ...float32 },
  },
  {
    name: "Loop that makes no step",
    nodes: [node("Loop", ["steps", "yes", "x"], ["out", "none"], { body: { graph: summing } })],
    inputs: { xs, x },
    ints: { steps: 0 },
    weights: { yes },
    outputs: float32,
  },
  {
    name: "Loop while a counter is less than a size, both as floats",
    nodes: [
      node("Shape", ["xs"], ["shape"]),
      node("Gather", ["shape", "zero"], ["wide"]),
      node("Cast", ["wide"], ["steps"], { to: dataTypes.int32 }),
      node("Cast", ["steps"], ["bound"], { to: dataTypes.float }),
      node("Less", ["nothing", "bound"], ["begins"]),
      node("Loop", ["", "begins", "first", "x", "steps"], ["made", "last", "same", "out"], {
        body: { graph: counting },
      }),
    ],
    inputs: { xs, x },
    ints: { zero: 0 },
    weights: {
      nothing: tensor(0),
      first: tensor(0, { dtype: "int32" }),
      one: tensor(1, { dtype: "int32" }),
    },
    outputs: { last: "float32", made: "int32", ...float32 },
  },
  {
    name: "Loop while a counter that grows by 2 is at most 5",
    nodes: [
      node("Loop", ["", "yes", "first", "x"], ["counted", "out"], {
        body: {
          graph: inner({ ...step, k: "int64", s: "float" }, { ...goesOn, k2: "int64", s2: "float" }, [
            node("Add", ["k", "two"], ["k2"]),
            node("Cast", ["k"], ["value"], { to: dataTypes.float }),
            node("Add", ["s", "value"], ["s2"]),
            node("LessOrEqual", ["k2", "five"], ["next"]),
          ]),
        },
      }),
    ],
    inputs: { x },
    ints: { first: 1, two: 2, five: 5 },
    weights: { yes },
    outputs: { counted: "int64", ...float32 },
  },
  {
    name: "Loop while values are small, of 10 steps at most",
    nodes: [
      node("Loop", ["steps", "yes", "x"], ["out"], {
        body: {
          graph: inner({ ...step, s: "float" }, { ...goesOn, s2: "float" }, [
            node("Add", ["s", "s"], ["s2"]),
            node("ReduceMax", ["s2"], ["most"], { keepdims: 0 }),
            node("Less", ["most", "limit"], ["next"]),
          ]),
        },
      }),
    ],
    inputs: { x },
    ints: { steps: 10 },
    weights: { yes, limit: tensor(20) },
    outputs: float32,
  },
  {
    name: "Loop whose state grows",
    nodes: [
      node("Loop", ["steps", "yes", "x"], ["out"], {
        body: {
          graph: inner({ ...step, s: "float" }, { ...goesOn, s2: "float" }, [
            always,
            node("Concat", ["s", "x"], ["s2"], { axis: 1 }),
          ]),
        },
      }),
    ],
    inputs: { x },
    ints: { steps: 3 },
    weights: { yes },
    outputs: float32,
  },
  {
    name: "Loop in a loop, which reads from the end",
    nodes: [
      node("Loop", ["steps", "", "x"], ["out"], {
        body: {
          graph: inner({ ...step, s: "float" }, { ...goesOn, s2: "float" }, [
            always,
            node("Sub", ["four", "i"], ["from"]),
            node("Gather", ["xs", "from"], ["row"]),
            node("Add", ["s", "row"], ["sum"]),
            node("Loop", ["two", "", "sum"], ["s2"], {
              body: {
                graph: inner({ j: "int64", on2: "bool", u: "float" }, { next2: "bool", u2: "float" }, [
                  node("Identity", ["on2"], ["next2"]),
                  node("Cast", ["i"], ["value"], { to: dataTypes.float }),
                  node("Add", ["u", "value"], ["more"]),
                  node("Tanh", ["more"], ["u2"]),
                ]),
              },
            }),
          ]),
        },
      }),
    ],
    inputs: { xs, x },
    ints: { steps: 5, four: 4, two: 2 },
    outputs: float32,
  },
];

const branches = {
  then_branch: { graph: inner({}, { a: "float" }, [node("Mul", ["x", "w"], ["a"])]) },
  else_branch: { graph: inner({}, { b: "float" }, [node("Neg", ["x"], ["b"])]) },
};

/** Branches by values and by sizes. */
const ifCases: OperatorCase[] = [-100, 100].map((bound) => ({
  name: `If by a sum above ${bound}`,
  nodes: [
    node("ReduceSum", ["x"], ["sum"], { keepdims: 0 }),
    node("Greater", ["sum", "bound"], ["truth"]),
    node("If", ["truth"], ["out"], branches),
  ],
  inputs: { x },
  weights: { bound: tensor(bound), w: tensor([1, 2, 3]) },
  outputs: float32,
}));

const byRank: OperatorCase = {
  name: "If by a size, with results of different ranks",
  nodes: [
    node("Shape", ["x"], ["shape"]),
    node("Gather", ["shape", "one"], ["size"]),
    node("Equal", ["size", "three"], ["truth"]),
    node("If", ["truth"], ["out"], {
      ...branches,
      then_branch: { graph: inner({}, { a: "float" }, [node("ReduceSum", ["x"], ["a"], { keepdims: 0 })]) },
    }),
  ],
  inputs: { x },
  ints: { one: 1, three: 3 },
  outputs: float32,
};

const sequences: OperatorCase[] = [
  {
    name: "sequences that are split, changed and joined",
    nodes: [
      node("SplitToSequence", ["x", "one"], ["parts"], { axis: 1 }),
      node("SequenceAt", ["parts", "last"], ["z"]),
      node("SequenceAt", ["parts", "zero"], ["a"]),
      node("SequenceConstruct", ["z", "a"], ["two"]),
      node("SequenceInsert", ["two", "x", "one"], ["three"]),
      node("SequenceErase", ["three", "zero"], ["rest"]),
      node("ConcatFromSequence", ["rest"], ["out"], { axis: 1 }),
      node("SequenceLength", ["three"], ["length"]),
    ],
    inputs: { x },
    ints: { one: 1, last: -1, zero: 0 },
    outputs: { length: "int64", ...float32 },
  },
  {
    name: "a sequence that begins empty, and one without the axis that was split",
    nodes: [
      node("SequenceEmpty", [], ["none"], { dtype: dataTypes.float }),
      node("SplitToSequence", ["x"], ["columns"], { axis: 1, keepdims: 0 }),
      node("SequenceAt", ["columns", "last"], ["z"]),
      node("SequenceInsert", ["none", "z"], ["one"]),
      node("ConcatFromSequence", ["one"], ["row"], { axis: 0 }),
      node("ConcatFromSequence", ["columns"], ["stacked"], { axis: 0, new_axis: 1 }),
      node("Add", ["stacked", "row"], ["out"]),
    ],
    inputs: { x },
    ints: { last: -1 },
    outputs: float32,
  },
];

const places: OperatorCase = {
  name: "NonZero of a constant",
  nodes: [
    node("NonZero", ["w"], ["places"]),
    node("Cast", ["x"], ["same"], { to: dataTypes.float }),
    node("Identity", ["same"], ["out"]),
  ],
  inputs: { x },
  weights: { w: tensor([[0, 2, 0], [1, 0, 3]]) },
  outputs: { places: "int64", ...float32 },
};

/** All of them. */
export const controlCases: readonly OperatorCase[] = [...loopCases, ...ifCases, byRank, ...sequences, places];
