/** Options of weights in descriptions of models: where they may be, and which weights they are of. */
import type { Json } from "../../src/internal.ts";
import type { CellDescription, LayerDescription, Options } from "./description.ts";

/** What the weights are called in options, by their names in params. */
type Names = { readonly [option: string]: string };

const matrices: Names = { kernel: "kernel", recurrent: "recurrentKernel", bias: "bias" };
const normalization: Names = { gamma: "gamma", beta: "beta" };
const convolution: Names = { kernel: "kernel", bias: "bias" };

/** The weights that have regularizers and constraints, by the type of the layer or cell. */
export const weightsOf: { readonly [type: string]: Names } = {
  dense: { kernel: "kernel", bias: "bias" },
  embedding: { embeddings: "embeddings" },
  batchNormalization: normalization,
  layerNormalization: normalization,
  prelu: { alpha: "alpha" },
  ...Object.fromEntries(
    ["simpleRnn", "gru", "lstm", "layerNormLstm"].flatMap((
      type,
    ) => [[type, matrices], [`${type}Cell`, matrices]]),
  ),
  ...Object.fromEntries([1, 2, 3].flatMap((axes) => [
    [`convLstm${axes}d`, matrices],
    [`conv${axes}d`, convolution],
    [`conv${axes}dTranspose`, convolution],
  ])),
  ...Object.fromEntries([1, 2].flatMap((axes) => [
    [`depthwiseConv${axes}d`, { depthwise: "kernel", bias: "bias" }],
    [`separableConv${axes}d`, { depthwise: "depthwiseKernel", pointwise: "pointwiseKernel", bias: "bias" }],
  ])),
};

/**
 * The description with further options of its layers and cells.
 *
 * @param optionsOf What is added to the options of a type; `isOfPair` for the layers inside `bidirectional`.
 */
export function withOptions(
  description: LayerDescription,
  optionsOf: (type: string, isOfPair: boolean) => Options,
): LayerDescription {
  const ofCell = (cell: CellDescription): CellDescription => {
    const cells = cell.cells?.map(ofCell);
    return { ...cell, options: { ...cell.options, ...optionsOf(cell.type, false) }, ...(cells && { cells }) };
  };
  const visit = (description: LayerDescription, isOfPair: boolean): LayerDescription => {
    const { inner, backward, cell, layers, type } = description;
    const isPair = type === "bidirectional";
    return {
      ...description,
      options: { ...description.options, ...optionsOf(type, isOfPair) },
      ...(inner && { inner: visit(inner, isPair) }),
      ...(backward && { backward: visit(backward, isPair) }),
      ...(cell && { cell: ofCell(cell) }),
      ...(layers && { layers: layers.map((layer) => visit(layer, false)) }),
    };
  };
  return visit(description, false);
}

/** What the options that end in `suffix` say, by the paths of the weights. */
export function rulesOf(
  model: LayerDescription,
  suffix: "Regularizer" | "Constraint",
): ReadonlyMap<string, Json> {
  const rules = new Map<string, Json>();
  const put = (type: string, options: Options, path: string) => {
    for (const [name, weight] of Object.entries(weightsOf[type] ?? {})) {
      const given = options[`${name}${suffix}`];
      if (given !== undefined) rules.set(`${path}.${weight}`, given);
    }
  };
  const visitCell = ({ type, options, cells }: CellDescription, path: string): void => {
    put(type, options, path);
    cells?.forEach((cell, index) => visitCell(cell, `${path}.${index}`));
  };
  const visit = (
    { type, options, inner, backward, cell, layers = [] }: LayerDescription,
    path: string,
  ): void => {
    put(type, options, path);
    if (cell) visitCell(cell, path);
    if (type === "bidirectional" && inner) {
      visit(inner, `${path}.forward`);
      visit(backward ?? inner, `${path}.backward`);
    } else if (inner) visit(inner, path);
    layers.forEach((layer, index) => visit(layer, `${path}.${index}`));
  };
  visit(model, "params");
  return rules;
}
