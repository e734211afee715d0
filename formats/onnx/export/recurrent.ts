/** Recurrent layers as the operators LSTM, GRU and RNN; both directions of `bidirectional` in one. */
import type { Layer, Mask, Variables } from "../../../src/layers/layer.ts";
import type { Shape } from "../../../src/tensor/dims.ts";
import { isLeaf, type Spec, type Tensor } from "../../../src/tensor/tensor.ts";
import { flattenTree, type Tree } from "../../../src/tree/tree.ts";
import { type ExportContext, lengthsOf } from "./context.ts";
import type { Attributes, Edge, GraphBuilder } from "./graph_builder.ts";
import { isLibraryLayer, type Recurrent, recurrentOf } from "./library.ts";
import { reshapeNode, reversedNode } from "./primitives.ts";
import {
  cellParams,
  type Match,
  matchRecurrent,
  type OperatorWeights,
  operatorWeights,
} from "./recurrent_match.ts";
import type { LayerCall, LayerResult } from "./trace_layer.ts";

/** A recurrent layer about to be written. */
interface Plan {
  readonly builder: GraphBuilder;
  readonly match: Match;
  readonly recurrent: Recurrent;
  readonly input: Edge;
  readonly mask: Edge | undefined;
  readonly lengths: string | undefined;
  /** For each direction, the initial h, and c of an LSTM. */
  readonly initial: readonly (readonly Edge[])[] | undefined;
  readonly mergeMode: string | null;
}

/** Writes a recurrent layer as one operator; undefined if no operator computes it. */
export function writeRecurrent(
  context: ExportContext,
  name: string,
  layer: Layer,
  variables: Variables,
  call: LayerCall,
): LayerResult | undefined {
  const recurrent = recurrentOf(layer);
  const match = recurrent && matchRecurrent(recurrent);
  if (call.resets !== undefined) return undefined; // no operator begins anew inside a sequence
  if (!match || !isSequence(call.input) || !isLibraryLayer(layer, variables, call)) return undefined;
  const mask = call.mask as Edge | undefined; // an edge stands for a tensor; whether it is one is checked
  if (mask !== undefined && !isLeaf(mask)) return undefined;
  const lengths = mask && lengthsOf(context, mask);
  if (mask && lengths === undefined) return undefined; // it may have holes
  const { mergeMode } = layer.options;
  const plan: Plan = {
    builder: context.builder.within(name),
    match,
    recurrent,
    input: call.input,
    mask,
    lengths,
    initial: initialEdges(match, recurrent, call.initialState),
    mergeMode: typeof mergeMode === "string" ? mergeMode : null,
  };
  const weights = weightEdges(context, name, plan, variables);
  return resultOf(plan, operatorNode(plan, weights));
}

function isSequence(input: Tree<Edge>): input is Edge {
  return isLeaf(input) && input.dtype === "float32" && input.shape.length === 3;
}

/** The initial state of each direction: h, and c of an LSTM. */
function initialEdges(
  { operator }: Match,
  { backward }: Recurrent,
  state: Tree<Edge> | undefined,
): Plan["initial"] {
  if (state === undefined) return undefined;
  const { leaves } = flattenTree<Edge>(state);
  const each = operator === "LSTM" ? 2 : 1;
  return backward ? [leaves.slice(0, each), leaves.slice(each)] : [leaves];
}

/** The names of the weights; empty if the operator has none. */
type OperatorEdges = Readonly<Record<keyof OperatorWeights, string>>;

function weightEdges(
  { weights: written, builder }: ExportContext,
  name: string,
  { match, recurrent }: Plan,
  variables: Variables,
): OperatorEdges {
  const cells = cellParams(variables, recurrent);
  const { kernel } = cells[0];
  let weights = written.get(kernel);
  if (!weights) written.set(kernel, weights = operatorWeights(match, cells));
  const { W, R, B, P } = weights;
  return {
    W: builder.tensor(W, `${name}.W`),
    R: builder.tensor(R, `${name}.R`),
    B: B ? builder.tensor(B, `${name}.B`) : "",
    P: P ? builder.tensor(P, `${name}.P`) : "",
  };
}

/** The wanted outputs of the operator. */
interface Outputs {
  readonly Y: string;
  readonly states: readonly string[];
}

function activationAttributes({ operator, activations }: Match): Attributes {
  const names = activations.map(({ name }) => name);
  const usual = { LSTM: "Sigmoid,Tanh,Tanh", GRU: "Sigmoid,Tanh", RNN: "Tanh" }[operator];
  if (names.join() === usual || names.join() === `${usual},${usual}`) return {};
  const alphas = activations.flatMap(({ alpha }) => alpha === undefined ? [] : [alpha]);
  const betas = activations.flatMap(({ beta }) => beta === undefined ? [] : [beta]);
  return {
    activations: { strings: names },
    ...(alphas.length > 0 ? { activation_alpha: { floats: alphas } } : {}),
    ...(betas.length > 0 ? { activation_beta: { floats: betas } } : {}),
  };
}

function operatorNode(plan: Plan, { W, R, B, P }: OperatorEdges): Outputs {
  const { builder, match, recurrent: { forward, backward }, input, lengths, initial } = plan;
  const { operator, units, resetAfter, inputForget, clip } = match;
  const { returnSequences, returnState, goBackwards } = forward.flags;
  const parts = operator === "LSTM" ? [0, 1] : [0];
  const initialOf = (part: number): string => {
    if (!initial) return "";
    const each = initial.map((state) => builder.node("Unsqueeze", [state[part].edge, builder.ints([0])]));
    return each.length === 1 ? each[0] : builder.node("Concat", each, { axis: { int: 0 } });
  };
  const [Y, ...states] = builder.nodeOf(
    operator,
    [
      builder.node("Transpose", [input.edge], { perm: { ints: [1, 0, 2] } }),
      W,
      R,
      B,
      lengths ?? "",
      ...parts.map(initialOf),
      ...(P === "" ? [] : [P]),
    ],
    [returnSequences, ...parts.map((part) => part === 0 || returnState)],
    {
      hidden_size: { int: units },
      direction: { string: backward ? "bidirectional" : goBackwards ? "reverse" : "forward" },
      ...activationAttributes(match),
      ...(operator === "GRU" && resetAfter ? { linear_before_reset: { int: 1 } } : {}),
      ...(inputForget ? { input_forget: { int: 1 } } : {}),
      ...(clip === null ? {} : { clip: { float: clip } }),
    },
  );
  return { Y, states };
}

/** One direction of a state `[directions, batch, units]`. */
function ofDirection({ builder, recurrent }: Plan, edge: string, direction: number, axis: number): string {
  return recurrent.backward
    ? builder.node("Gather", [edge, builder.scalar(direction, "int32")], { axis: { int: axis } })
    : builder.node("Squeeze", [edge, builder.ints([axis])]);
}

/** `value` in the rows or steps where `condition` (bool) is true, else `otherwise`. */
function where(builder: GraphBuilder, condition: string, value: string, otherwise: string): string {
  return builder.node("Where", [condition, value, otherwise]);
}

/** The sequence of one layer, batch-major and in the layer's order. */
function sequenceOf(plan: Plan, Y: string, last: string): string {
  const { builder, recurrent: { forward }, mask } = plan;
  const { goBackwards, zeroOutputForMask } = forward.flags;
  const alone = builder.node("Squeeze", [Y, builder.ints([1])]);
  const sequence = builder.node("Transpose", [alone], { perm: { ints: [1, 0, 2] } });
  if (goBackwards) return reversedNode(builder, sequence, [1]); // masked steps come first and are 0
  if (!mask || zeroOutputForMask) return sequence;
  // After a row's end our layer repeats its last output, while ONNX gives zeros.
  const steps = builder.node("Unsqueeze", [mask.edge, builder.ints([2])]);
  return where(builder, steps, sequence, builder.node("Unsqueeze", [last, builder.ints([1])]));
}

/** The last output of one layer. */
function lastOf({ builder, recurrent: { forward }, mask }: Plan, last: string): string {
  const { goBackwards, zeroOutputForMask } = forward.flags;
  if (!mask || goBackwards || !zeroOutputForMask) return last;
  const final = builder.node("Slice", [
    mask.edge,
    builder.ints([-1]),
    builder.ints([Number.MAX_SAFE_INTEGER]),
    builder.ints([1]),
  ]);
  return where(builder, final, last, builder.scalar(0, "float32"));
}

/** The outputs of both directions merged, or as two if they are not merged. */
function merged(plan: Plan, forward: string, backward: string): string[] {
  const { builder, mergeMode } = plan;
  switch (mergeMode) {
    case "sum":
      return [builder.node("Add", [forward, backward])];
    case "mul":
      return [builder.node("Mul", [forward, backward])];
    case "ave":
      return [
        builder.node("Mul", [builder.node("Add", [forward, backward]), builder.scalar(0.5, "float32")]),
      ];
    case "concat":
      return [builder.node("Concat", [forward, backward], { axis: { int: -1 } })];
    default:
      return [forward, backward];
  }
}

/** The output of the layer, from those of the operator. */
function outputOf(plan: Plan, { Y, states: [Y_h] }: Outputs): string[] {
  const { builder, input, match: { units }, recurrent: { forward, backward }, mergeMode } = plan;
  const { returnSequences } = forward.flags;
  if (!backward) {
    const last = ofDirection(plan, Y_h, 0, 0);
    return [returnSequences ? sequenceOf(plan, Y, last) : lastOf(plan, last)];
  }
  if (!returnSequences) {
    return merged(plan, ofDirection(plan, Y_h, 0, 0), ofDirection(plan, Y_h, 1, 0));
  }
  const both = builder.node("Transpose", [Y], { perm: { ints: [2, 0, 1, 3] } });
  if (mergeMode === "concat") {
    const [batch, time] = input.shape;
    return [reshapeNode(builder, both, [batch, time, 2, units], [batch, time, 2 * units])];
  }
  return merged(plan, ofDirection(plan, both, 0, 2), ofDirection(plan, both, 1, 2));
}

/** The final state of a direction: a row without steps keeps its initial state. */
function finalOf(plan: Plan, { states }: Outputs, direction: number): Tree<Edge> {
  const { builder, input, match: { units, operator }, lengths, initial } = plan;
  const edges = states.map((state, part): Edge => {
    const final = ofDirection(plan, state, direction, 0);
    const spec: Spec = { shape: [input.shape[0], units], dtype: "float32" };
    if (lengths === undefined || !initial) return { ...spec, edge: final };
    const positive = builder.node("Less", [builder.scalar(0, "int32"), lengths]);
    const condition = builder.node("Unsqueeze", [positive, builder.ints([1])]);
    return { ...spec, edge: where(builder, condition, final, initial[direction][part].edge) };
  });
  return operator === "LSTM" ? edges : edges[0];
}

function resultOf(plan: Plan, outputs: Outputs): LayerResult {
  const { input, match: { units }, recurrent: { forward, backward }, mask } = plan;
  const { returnSequences, returnState } = forward.flags;
  const [batch, time] = input.shape;
  const names = outputOf(plan, outputs);
  const features = backward && plan.mergeMode === "concat" ? 2 * units : units;
  const shape: Shape = returnSequences ? [batch, time, features] : [batch, features];
  const edges = names.map((edge): Edge => ({ shape, dtype: "float32", edge }));
  const output: Tree<Edge> = edges.length === 1 ? edges[0] : edges;
  const ordered: Edge | undefined = mask && forward.flags.goBackwards
    ? { shape: mask.shape, dtype: mask.dtype, edge: reversedNode(plan.builder, mask.edge, [1]) }
    : mask;
  const passed = returnSequences ? ordered as Spec as Tensor | undefined : undefined; // an edge stands for a tensor
  const outputMask: Mask = passed && edges.length > 1 ? [passed, passed] : passed;
  if (!returnState) return { output, mask: outputMask };
  const final = backward ? [finalOf(plan, outputs, 0), finalOf(plan, outputs, 1)] : finalOf(plan, outputs, 0);
  return { output: [output, final], mask: outputMask && [outputMask, undefined] };
}
