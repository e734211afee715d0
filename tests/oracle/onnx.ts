/** Cases of ONNX: the file in the case, imported, with the case's inputs. */
import { fromOnnx } from "../../formats/onnx/mod.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { isTensor } from "../../src/tensor/tensor.ts";
import type { OracleCase } from "./format.ts";
import type { Forward } from "./forward.ts";
import type { Named } from "./names.ts";

/** A call of the imported model: its inputs are those of the graph, what the case says of initializers is not read. */
export function onnxCall({ fields }: OracleCase): Forward {
  const bytes = Uint8Array.fromBase64(String(fields.model_base64));
  const { model, variables, inputs, outputs } = fromOnnx(bytes);
  return (tensors) => {
    const input = Object.fromEntries(inputs.map(({ name }) => [name, tensors[name]]));
    const { output } = model.apply(variables, input, { training: false });
    return isTensor(output) ? { [outputs[0]]: output } : output as Record<string, Tensor> satisfies Named; // by name
  };
}
