/** The operators LSTM, GRU and RNN as folds of the library's cells. */
import { gruCell } from "../../../../src/cells/gru.ts";
import { lstmCell } from "../../../../src/cells/lstm.ts";
import { simpleRnnCell } from "../../../../src/cells/simple_rnn.ts";
import { type ActivationLike, resolveActivation } from "../../../../src/operations/activations.ts";
import { equal, select } from "../../../../src/operations/elementwise.ts";
import { at, reshape, stack } from "../../../../src/operations/structure.ts";
import { zeros } from "../../../../src/operations/creation.ts";
import { stepSpec } from "../../../../src/program/types.ts";
import { type Cell, scan } from "../../../../src/scan.ts";
import { printShape } from "../../../../src/tensor/dims.ts";
import { isTensor, printSpec, type Tensor } from "../../../../src/tensor/tensor.ts";
import { mapTree, type Tree, treeLeaves } from "../../../../src/tree/tree.ts";
import { activationsOf } from "../activations.ts";
import { withCellActivation } from "../lstm_variant.ts";
import { attribute, flag, type Node } from "../node.ts";
import { type Call, given, type Inputs, type Operator, type Operators } from "../operator.ts";
import {
  type CellWeights,
  cellWeights,
  checkWeights,
  type OnnxWeights,
  type RecurrentLayout,
  type RecurrentName,
  weightsOfTree,
} from "../recurrent_weights.ts";
import { zeroOf } from "../quantized.ts";
import { lstmWeights } from "../quantized_weights.ts";
import {
  floatsOf,
  indicesOf,
  type OnnxValue,
  permuted,
  squeezed,
  tensorOf,
  valueOf,
  wholeFloatsOf,
} from "../values.ts";

/** The defaults of `activations` for one direction. */
const defaultActivations: Readonly<Record<RecurrentName, readonly string[]>> = {
  LSTM: ["Sigmoid", "Tanh", "Tanh"],
  GRU: ["Sigmoid", "Tanh"],
  RNN: ["Tanh"],
};

/** The LSTM of onnxruntime whose weights are whole numbers. There it rounds its inputs and states too, which is not done here. */
export const QUANTIZED_LSTM = "com.microsoft.DynamicQuantizeLSTM";

/** The attributes of a node. */
interface Options extends RecurrentLayout {
  readonly direction: "forward" | "reverse" | "bidirectional";
  readonly activations: readonly (readonly ActivationLike[])[];
  /** Null if values are not limited. */
  readonly clip: number | null;
  readonly batchFirst: boolean;
}

function optionsOf(node: Node, units: number): Options {
  // Only these are registered with this.
  const operator = node.operator === QUANTIZED_LSTM ? "LSTM" : node.operator as RecurrentName;
  const direction = attribute(node, "direction", "string") ?? "forward";
  if (direction !== "forward" && direction !== "reverse" && direction !== "bidirectional") {
    throw new RangeError(
      `its direction is ${JSON.stringify(direction)}, expected forward, reverse or bidirectional`,
    );
  }
  const directions = direction === "bidirectional" ? 2 : 1;
  const bound = attribute(node, "clip", "float") ?? Infinity;
  if (!(bound > 0)) throw new RangeError(`its clip is ${bound}, expected above 0`);
  return {
    operator,
    direction,
    directions,
    units,
    resetAfter: flag(node, "linear_before_reset", false),
    activations: activationsOf(node, defaultActivations[operator], directions),
    clip: bound === Infinity ? null : bound,
    inputForget: flag(node, "input_forget", false),
    batchFirst: flag(node, "layout", false),
  };
}

/**
 * The layout of a node's weights, from its attributes and the shape of R; the weights are checked against it.
 */
export function layoutOf(node: Node, weights: OnnxWeights): RecurrentLayout {
  const { shape } = weights.R;
  if (shape.length !== 3) {
    throw new RangeError(
      `its R is ${printSpec(weights.R)}, expected three axes: directions, gates of units, units`,
    );
  }
  const size = attribute(node, "hidden_size", "int") ?? shape[2];
  if (typeof size !== "number" || !Number.isInteger(size) || size < 1) {
    throw new RangeError(`its hidden_size is ${size}, expected a whole number from 1`);
  }
  const options = optionsOf(node, size);
  checkWeights(options, weights);
  return options;
}

/** A cell's step and its initial state; a state of one tensor is that tensor, not a list. */
interface Recurrence {
  readonly step: Cell<Tree<Tensor>, Tensor, Tensor>;
  readonly initial: readonly Tensor[];
}

/** A recurrence whose step gets no other state than `initial`, or one like it. */
function recurrence<State>(step: Cell<State, Tensor, Tensor>, initial: readonly Tensor[]): Recurrence {
  return { step: step as unknown as Recurrence["step"], initial };
}

/** The recurrence of one direction. */
function recurrenceOf(options: Options, index: number, weights: CellWeights, x: Tensor): Recurrence {
  const { operator, units, clip, inputForget, resetAfter } = options;
  const context = { training: false, input: stepSpec(x) };
  const [gates, candidate, cellActivation] = options.activations[index];
  const shared = { units, useBias: weights.bias !== undefined, clip };
  const zero = zeros([x.shape[0], units], { dtype: x.dtype });
  switch (operator) {
    case "RNN": {
      const cell = simpleRnnCell({ ...shared, activation: gates });
      return recurrence(cell.step(weights, context), [zero]);
    }
    case "GRU": {
      const cell = gruCell({ ...shared, activation: candidate, recurrentActivation: gates, resetAfter });
      return recurrence(cell.step(weights, context), [zero]);
    }
    case "LSTM": {
      const peepholes = weights.peepholes !== undefined;
      const cell = lstmCell({
        ...shared,
        peepholes,
        inputForget,
        activation: candidate,
        recurrentActivation: gates,
      });
      const step = cell.step(weights, context);
      if (candidate === cellActivation) return recurrence(step, [zero, zero]);
      const whole = withCellActivation(step, weights, {
        clip,
        inputForget,
        gates: resolveActivation(gates),
        cell: resolveActivation(cellActivation),
      });
      return recurrence(whole, [zero, zero]);
    }
  }
}

/** The batch-major sequence of a node. */
function sequenceOf(X: OnnxValue, { batchFirst }: Options): Tensor {
  const rank = X.kind === "tensor" ? X.axes.length : 1;
  if (rank !== 3) throw new TypeError(`its X has ${rank} axes, expected 3`);
  return floatsOf(batchFirst ? X : permuted(X, [1, 0, 2]));
}

/** The initial state of each direction, `[batch, units]`. */
function initialStates(value: OnnxValue, { batchFirst, directions }: Options): Tensor[] {
  const rank = value.kind === "tensor" ? value.axes.length : 1;
  if (rank !== 3) throw new TypeError(`its initial state has ${rank} axes, expected 3`);
  const first = batchFirst ? permuted(value, [1, 0, 2]) : value;
  if (directions === 1) return [tensorOf(squeezed(first, [0]))];
  const both = tensorOf(first);
  if (both.shape[0] !== 2) {
    throw new TypeError(`its initial state is ${printSpec(both)}, expected 2 directions`);
  }
  return [at(both, 0), at(both, 1)];
}

function lengthsOf(value: OnnxValue | undefined, x: Tensor): Tensor | undefined {
  if (!value) return undefined;
  const lengths = indicesOf(value);
  if (lengths.shape.length === 1 && lengths.shape[0] === x.shape[0]) return lengths;
  throw new TypeError(`its sequence_lens are ${printSpec(lengths)}, expected int32[${x.shape[0]}]`);
}

/** The sequences of all directions as Y. */
function sequencesValue(outputs: readonly Tensor[], batchFirst: boolean): OnnxValue {
  if (outputs.length === 1) {
    return {
      kind: "tensor",
      base: outputs[0],
      axes: batchFirst ? [0, 1, undefined, 2] : [1, undefined, 0, 2],
    };
  }
  const both = valueOf(stack(outputs, { axis: 2 }));
  return batchFirst ? both : permuted(both, [1, 2, 0, 3]);
}

/** The states of all directions as Y_h or Y_c. */
function statesValue(states: readonly Tensor[], batchFirst: boolean): OnnxValue {
  if (states.length === 1) {
    return { kind: "tensor", base: states[0], axes: batchFirst ? [0, undefined, 1] : [undefined, 0, 1] };
  }
  const both = valueOf(stack(states));
  return batchFirst ? permuted(both, [1, 0, 2]) : both;
}

function compute(node: Node, inputs: Inputs, call: Call): OnnxValue[] {
  const isLstm = node.operator === "LSTM" || node.operator === QUANTIZED_LSTM;
  const kept = call.weightsOf(node);
  const weights = kept ? weightsOfTree(kept) : weightsInGraph(node, inputs);
  const [units] = weights[0].recurrentKernel.shape;
  const options = optionsOf(node, Number(units));
  const { direction, directions, batchFirst } = options;
  const x = sequenceOf(given(inputs, 0), options);
  if (x.shape[2] !== weights[0].kernel.shape[0]) {
    throw new TypeError(
      `its X is batch by time by ${x.shape[2]} features (${printShape(x.shape)}), but its W is for ${
        weights[0].kernel.shape[0]
      }`,
    );
  }
  const lengths = lengthsOf(inputs[4], x);
  const initial = [inputs[5], isLstm ? inputs[6] : undefined].map((value) =>
    value && initialStates(value, options)
  );
  const ran = Array.from({ length: directions }, (_, index) => {
    const { step, initial: zeros } = recurrenceOf(options, index, weights[index], x);
    const parts = zeros.map((zero, part) => initial[part]?.[index] ?? zero);
    const reverse = direction === "reverse" || index === 1;
    const state: Tree<Tensor> = isLstm ? parts : parts[0];
    const [outputs, final] = scan(step, state, x, { reverse, lengths, maskedOutput: "zero" });
    // As in onnxruntime: a row without steps ends with zeros, whatever its initial state.
    const begun = initial.some((value) => value !== undefined);
    const ended = lengths && begun
      ? mapTree(final, (part: Tensor) => select(equal(reshape(lengths, [lengths.shape[0], 1]), 0), 0, part))
      : final;
    const states = isTensor(ended) ? [ended] : treeLeaves<Tensor>(ended);
    return { outputs, states };
  });
  const states = (part: number) => statesValue(ran.map(({ states }) => states[part]), batchFirst);
  const Y = sequencesValue(ran.map(({ outputs }) => outputs), batchFirst);
  return isLstm ? [Y, states(0), states(1)] : [Y, states(0)];
}

/** The weights of a node, in our layout, if they are not the model's own. */
function weightsInGraph(node: Node, inputs: Inputs): CellWeights[] {
  const optional = (value: OnnxValue | undefined) => value && floatsOf(value);
  const isQuantized = node.operator === QUANTIZED_LSTM;
  const matrix = (what: string, whole: number, scale: number) =>
    isQuantized
      ? lstmWeights({
        whole: wholeFloatsOf(given(inputs, whole)),
        scale: floatsOf(given(inputs, scale)),
        zero: zeroOf(inputs[scale + 1]),
      }, what)
      : floatsOf(given(inputs, whole));
  const weights = {
    W: matrix("W", 1, 8),
    R: matrix("R", 2, 10),
    B: optional(inputs[3]),
    P: node.operator === "LSTM" || isQuantized ? optional(inputs[7]) : undefined,
  };
  if (weights.R.shape.length !== 3) {
    throw new TypeError(`its weights R are ${printSpec(weights.R)}, expected 3 axes`);
  }
  return cellWeights(layoutOf(node, weights), weights);
}

const shared = [
  "activation_alpha",
  "activation_beta",
  "activations",
  "clip",
  "direction",
  "hidden_size",
  "layout",
];

function recurrent(inputs: number, outputs: number, ...more: readonly string[]): Operator {
  return { attributes: [...shared, ...more], inputs: [3, inputs], outputs, compute };
}

/** The recurrent operators. */
export const recurrentOperators: Operators = {
  LSTM: recurrent(8, 3, "input_forget"),
  GRU: recurrent(6, 2, "linear_before_reset"),
  RNN: recurrent(6, 2),
  [QUANTIZED_LSTM]: recurrent(12, 3, "input_forget"),
};
