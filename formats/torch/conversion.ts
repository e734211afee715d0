/** What a conversion is: how the variables of one layer and the tensors of a PyTorch module become each other. */
import { layerName } from "../../src/layers/define.ts";
import type { Layer, Variables } from "../../src/layers/layer.ts";
import { transpose as permute } from "../../src/operations/structure.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";

/** Tensors by name. */
export type NamedTensors = Readonly<Record<string, Tensor>>;

/** Both ways between a layer's variables and a module's tensors, whose names are those inside the module. */
export interface Conversion {
  readonly toTorch: (variables: Variables) => NamedTensors;
  /** The variables from exactly the tensors that `toTorch` names. */
  readonly fromTorch: (tensors: NamedTensors, template: Variables) => Variables;
}

/** A layer as PyTorch sees it: a module, or one or more of the layers of a recurrent module. */
export interface Counterpart {
  /** What all layers of a recurrent module have alike, as text: `nn.LSTM of 8 units, …`; absent for other modules. */
  readonly kind?: string;
  /** How many layers of the module it is: more than one where its cells are stacked. */
  readonly depth: number;
  /** The conversion, where the first of them is this layer of the module, from 0. */
  readonly conversion: (first: number) => Conversion;
}

/** The name of a tensor that has no part in what is computed: PyTorch counts the batches of a batch norm. */
export const COUNTER = "num_batches_tracked";

/** A matrix `[in, out]` as PyTorch's `[out, in]`, and back. */
export function transposed(matrix: Tensor): Tensor {
  return permute(matrix, { permutation: [1, 0] });
}

/** The error for a layer that no module computes. */
export function noModule(layer: Pick<Layer, "type" | "name">, reason: string): TypeError {
  return new TypeError(`Cannot convert ${layerName(layer)} to or from PyTorch: ${reason}`);
}
