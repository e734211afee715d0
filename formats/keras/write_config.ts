/** The configuration of a whole model. */
import { inputSpecs } from "../../src/models/init.ts";
import type { Json } from "../../src/options/json.ts";
import { isLeaf, type Spec, type Tensor } from "../../src/tensor/tensor.ts";
import type { Tree } from "../../src/tree/tree.ts";
import { inputJson, writeGraph } from "./graph_write.ts";
import { writeSequential, type Written } from "./write_layers.ts";

/** The configuration of a model in the words of Keras 3. */
export function configOf(written: Written, input: Tree<Spec | Tensor> | undefined): Json {
  if (written.layer.type === "model") {
    if (input === undefined) return writeGraph(written);
    throw new TypeError(
      "Cannot write the Keras file: a graph has inputs of its own; leave the option input out",
    );
  }
  if (input === undefined || !isLeaf(input)) {
    throw new TypeError(
      "Cannot write the Keras file: a sequential model does not say what it takes; give the spec of its one input, " +
        "as in toKeras(model, variables, { input: spec([null, null, 28]) })",
    );
  }
  const spec = inputSpecs(input) as Spec; // a single leaf, as just checked
  return writeSequential(written, [inputJson("input_layer", spec)], writeGraph);
}
