/**
 * The recurrent layers that the operators LSTM, GRU and RNN can compute, and their weights in the operators'
 * layout.
 */
import type { Variables } from "../../../src/layers/layer.ts";
import type { RecurrentLayer } from "../../../src/layers/rnn.ts";
import { concat, reshape, split, stack, transpose } from "../../../src/operations/structure.ts";
import { zeros } from "../../../src/operations/creation.ts";
import { host, type HostTensor, type Tensor } from "../../../src/tensor/tensor.ts";
import type { Recurrent } from "./library.ts";

/** An ONNX activation: its name, with alpha and beta if it has them. */
interface OnnxActivation {
  readonly name: string;
  readonly alpha?: number;
  readonly beta?: number;
}

/** The ONNX activations for ours, where they exist. */
const activations: { readonly [name: string]: OnnxActivation } = {
  tanh: { name: "Tanh" },
  sigmoid: { name: "Sigmoid" },
  relu: { name: "Relu" },
  softsign: { name: "Softsign" },
  softplus: { name: "Softplus" },
  linear: { name: "Affine", alpha: 1, beta: 0 },
  leakyRelu: { name: "LeakyRelu", alpha: 0.2 },
  hardSigmoid: { name: "HardSigmoid", alpha: 1 / 6, beta: 0.5 },
  hardSigmoidKeras2: { name: "HardSigmoid", alpha: 0.2, beta: 0.5 },
  elu: { name: "Elu", alpha: 1 },
  celu: { name: "Elu", alpha: 1 },
};

/** A recurrent layer that an operator can compute. */
export interface Match {
  readonly operator: "LSTM" | "GRU" | "RNN";
  readonly units: number;
  /** Those of all directions, one after another. */
  readonly activations: readonly OnnxActivation[];
  readonly resetAfter: boolean;
  readonly peepholes: boolean;
  readonly inputForget: boolean;
  /** Null if values are not limited. */
  readonly clip: number | null;
}

function matchCell({ cell }: RecurrentLayer): Match | undefined {
  const { type, options } = cell;
  const { units, activation, recurrentActivation } = options;
  // As float32: a bound too small is 0, which operators refuse, and one too large is no bound.
  const clip = typeof options.clip === "number" ? Math.fround(options.clip) : Infinity;
  if (clip === 0 || options.projection) return undefined; // no operator projects its output
  const own = typeof activation === "string" ? activations[activation] : undefined;
  const gates = typeof recurrentActivation === "string" ? activations[recurrentActivation] : undefined;
  const common = {
    units: Number(units),
    resetAfter: options.resetAfter === true,
    peepholes: options.peepholes === true,
    inputForget: options.inputForget === true,
    clip: clip === Infinity ? null : clip,
  };
  if (!own) return undefined;
  if (type === "simpleRnnCell") return { operator: "RNN", activations: [own], ...common };
  if (!gates) return undefined;
  if (type === "gruCell") return { operator: "GRU", activations: [gates, own], ...common };
  if (type === "lstmCell") return { operator: "LSTM", activations: [gates, own, own], ...common };
  return undefined;
}

/** The operator for one layer or both of a pair; undefined if there is none. */
export function matchRecurrent({ forward, backward }: Recurrent): Match | undefined {
  const first = matchCell(forward);
  if (!first || !backward) return first;
  const second = matchCell(backward);
  const shared = ["operator", "units", "resetAfter", "peepholes", "inputForget", "clip"] as const;
  const alike = second && shared.every((name) => first[name] === second[name]) &&
    forward.cell.options.useBias === backward.cell.options.useBias;
  const ways = !forward.flags.goBackwards && backward.flags.goBackwards;
  return alike && ways ? { ...first, activations: [...first.activations, ...second.activations] } : undefined;
}

/** The weights of a cell. */
interface CellParams {
  readonly kernel: Tensor;
  readonly recurrentKernel: Tensor;
  readonly bias?: Tensor;
  readonly peepholes?: Tensor;
}

/** The params of each direction. */
export function cellParams({ params }: Variables, { backward }: Recurrent): readonly CellParams[] {
  if (!backward) return [params as unknown as CellParams]; // of a library cell, as was checked
  const pair = params as unknown as { readonly forward: CellParams; readonly backward: CellParams };
  return [pair.forward, pair.backward];
}

/** Rows of gates in ONNX's order; coupled gates have zeros for f, which nothing reads. */
function ordered(rows: Tensor, { operator, inputForget }: Match): Tensor {
  if (operator !== "LSTM") return rows;
  const parts = split(rows, inputForget ? 3 : 4, { axis: 0 });
  const [i, f, c, o] = inputForget
    ? [parts[0], zeros(parts[0].shape, { dtype: rows.dtype }), parts[1], parts[2]]
    : parts;
  return concat([i, o, f, c], { axis: 0 });
}

/** Peepholes i, o, f; coupled gates have zeros for f. */
function orderedPeepholes(peepholes: Tensor, { inputForget, units }: Match): Tensor {
  return inputForget
    ? concat([peepholes, zeros([units], { dtype: peepholes.dtype })], { axis: 0 })
    : peepholes;
}

/** Both biases of ONNX: that of the input, and that of the state (0 if our cell has one bias). */
function biases(bias: Tensor, match: Match): Tensor {
  if (bias.shape.length === 2) return reshape(bias, [-1]);
  const ofInput = ordered(bias, match);
  return concat([ofInput, zeros(ofInput.shape, { dtype: bias.dtype })], { axis: 0 });
}

/** The weights of all directions. */
export interface OperatorWeights {
  /** `[directions, gates·units, features]`. */
  readonly W: HostTensor;
  /** `[directions, gates·units, units]`. */
  readonly R: HostTensor;
  /** `[directions, 2·gates·units]`. */
  readonly B: HostTensor | undefined;
  /** `[directions, 3·units]`, of an LSTM with peepholes. */
  readonly P: HostTensor | undefined;
}

/** The weights in the operator's layout. */
export function operatorWeights(match: Match, cells: readonly CellParams[]): OperatorWeights {
  const stacked = (of: (cell: CellParams) => Tensor) => host(stack(cells.map(of)));
  const { bias, peepholes } = cells[0];
  return {
    W: stacked(({ kernel }) => ordered(transpose(kernel), match)),
    R: stacked(({ recurrentKernel }) => ordered(transpose(recurrentKernel), match)),
    // Both directions have a bias or neither, and likewise peepholes, as was checked.
    B: bias && stacked((cell) => biases(cell.bias ?? bias, match)),
    P: peepholes && stacked((cell) => orderedPeepholes(cell.peepholes ?? peepholes, match)),
  };
}
