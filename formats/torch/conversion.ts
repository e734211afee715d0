/** Conversions between the variables of one layer and the tensors of a PyTorch module. */
import { layerName } from "../../src/layers/define.ts";
import type { Layer, Variables } from "../../src/layers/layer.ts";
import { transpose as permute } from "../../src/operations/structure.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";

/** Tensors by name. */
export type NamedTensors = Readonly<Record<string, Tensor>>;

/** Both conversions between a layer's variables and a module's tensors, named as inside the module. */
export interface Conversion {
  readonly toTorch: (variables: Variables) => NamedTensors;
  /** The variables from exactly the tensors that `toTorch` names. */
  readonly fromTorch: (tensors: NamedTensors, template: Variables) => Variables;
}

/** A layer as PyTorch sees it: a module, or one or more layers of a recurrent module. */
export interface Counterpart {
  /**
   * What all layers of a recurrent module have in common, as text: `nn.LSTM of 8 units, …`; absent for other
   * modules.
   */
  readonly kind?: string;
  /** How many layers of the module it is: more than one if its cells are stacked. */
  readonly depth: number;
  /** The conversion, if the first of them is this layer of the module, from 0. */
  readonly conversion: (first: number) => Conversion;
}

/** The name of a tensor that does not affect the result: PyTorch counts the batches of a batch norm. */
export const COUNTER = "num_batches_tracked";

/** A matrix `[in, out]` as PyTorch's `[out, in]`, and back. */
export function transposed(matrix: Tensor): Tensor {
  return permute(matrix, { permutation: [1, 0] });
}

/** The error for a layer that has no PyTorch module. */
export function noModule(layer: Pick<Layer, "type" | "name">, reason: string): TypeError {
  return new TypeError(`Cannot convert ${layerName(layer)} to or from PyTorch: ${reason}`);
}
