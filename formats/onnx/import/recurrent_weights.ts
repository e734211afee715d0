/**
 * The weights of ONNX's recurrent operators in the layout of the library's cells, which is Keras's: LSTM
 * gates i, o, f, c become i, f, c, o (without f if the gates are coupled), matrices are transposed, and both
 * biases become one if only their sum matters.
 */
import { add } from "../../../src/operations/elementwise.ts";
import { at, concat, sliceAxis, split, stack, transpose } from "../../../src/operations/structure.ts";
import { printShape } from "../../../src/tensor/dims.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import type { Tree } from "../../../src/tree/tree.ts";

/** The recurrent operators. */
export type RecurrentName = "LSTM" | "GRU" | "RNN";

/** The number of matrices (one per gate or candidate) of each. */
export const gateCounts: Readonly<Record<RecurrentName, number>> = { LSTM: 4, GRU: 3, RNN: 1 };

/** The weights of a node, in ONNX's layout. */
export interface OnnxWeights {
  /** `[directions, gates·units, features]`. */
  readonly W: Tensor;
  /** `[directions, gates·units, units]`. */
  readonly R: Tensor;
  /** `[directions, 2·gates·units]`. */
  readonly B?: Tensor;
  /** `[directions, 3·units]`. */
  readonly P?: Tensor;
}

/** What determines the layout. */
export interface RecurrentLayout {
  readonly operator: RecurrentName;
  readonly directions: number;
  readonly units: number;
  /** For a GRU: the reset gate acts after the recurrent product. */
  readonly resetAfter: boolean;
  /** For an LSTM: the forget gate is 1 - i, so that nothing reads its weights. */
  readonly inputForget: boolean;
}

/** The weights of one direction: those of `lstmCell`, `gruCell` or `simpleRnnCell`. */
export type CellWeights = { readonly [name: string]: Tensor };

/** Throws unless the weights have the shapes that the operator requires. */
export function checkWeights({ operator, directions, units }: RecurrentLayout, weights: OnnxWeights): void {
  const rows = gateCounts[operator] * units;
  const check = (name: keyof OnnxWeights, ...rest: readonly (number | "any")[]) => {
    const tensor = weights[name];
    if (!tensor) return;
    const expected = [directions, ...rest];
    const fits = tensor.shape.length === expected.length &&
      tensor.shape.every((dim, axis) =>
        expected[axis] === "any" ? typeof dim === "number" : dim === expected[axis]
      );
    const float = tensor.dtype === "float32" || tensor.dtype === "float64";
    if (fits && float && tensor.dtype === weights.W.dtype) return;
    throw new TypeError(
      `its weights ${name} are ${tensor.dtype}${printShape(tensor.shape)}, expected ${
        float ? weights.W.dtype : "float32"
      }[${expected.map((size) => size === "any" ? "features" : size).join(", ")}]`,
    );
  };
  check("W", rows, "any");
  check("R", rows, units);
  check("B", 2 * rows);
  check("P", 3 * units);
}

/** The parts of an LSTM's rows i, o, f, c as i, f, c, o, or as i, c, o. */
function reordered(rows: Tensor, { operator, inputForget }: RecurrentLayout): Tensor {
  if (operator !== "LSTM") return rows;
  const [i, o, f, c] = split(rows, 4, { axis: 0 });
  return concat(inputForget ? [i, c, o] : [i, f, c, o], { axis: 0 });
}

/** An LSTM's peepholes i, o, f, or the first two. */
function peepholesOf(peepholes: Tensor, { inputForget, units }: RecurrentLayout): Tensor {
  return inputForget ? sliceAxis(peepholes, 0, 0, 2 * units) : peepholes;
}

function biasOf(bias: Tensor, layout: RecurrentLayout): Tensor {
  const { operator, resetAfter } = layout;
  const [ofInput, ofState] = split(bias, 2, { axis: 0 });
  if (operator === "GRU" && resetAfter) return stack([ofInput, ofState]);
  return reordered(add(ofInput, ofState), layout);
}

/** The weights of each direction, already checked. */
export function cellWeights(layout: RecurrentLayout, { W, R, B, P }: OnnxWeights): CellWeights[] {
  return Array.from({ length: layout.directions }, (_, direction) => ({
    kernel: transpose(reordered(at(W, direction), layout)),
    recurrentKernel: transpose(reordered(at(R, direction), layout)),
    ...(B ? { bias: biasOf(at(B, direction), layout) } : {}),
    ...(P ? { peepholes: peepholesOf(at(P, direction), layout) } : {}),
  }));
}

/** The weights of all directions as one tree: those of the only one, or `{ forward, backward }`. */
export function weightTree(weights: readonly CellWeights[]): Tree<Tensor> {
  const [forward, backward] = weights;
  return backward ? { forward, backward } : forward;
}

/** The inverse of `weightTree`. */
export function weightsOfTree(tree: Tree<Tensor>): CellWeights[] {
  const pair = tree as { readonly forward?: CellWeights; readonly backward?: CellWeights }; // as weightTree made it
  if (pair.forward && pair.backward && !("dtype" in pair.forward)) return [pair.forward, pair.backward];
  return [tree as CellWeights];
}
