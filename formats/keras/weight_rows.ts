/**
 * The weights of each kind of layer and cell in the order in which Keras stores them, with their shapes for
 * an input. With the shapes, a file is checked against its configuration before anything of that size is
 * allocated.
 */
import type { JsonOptions } from "../../src/options/json.ts";
import type { Shape } from "../../src/tensor/dims.ts";
import { tensor } from "../../src/tensor/tensor.ts";
import { cellRow } from "./cells.ts";
import { convWeights } from "./conv_rows.ts";
import { count, last, param, type WeightRow } from "./weight_row.ts";

function normalization(options: JsonOptions): WeightRow[] {
  const axes = [options.axis].flat().map(Number);
  const shape = (input: Shape) =>
    axes.map((axis) => axis < 0 ? axis + input.length : axis).sort((a, b) => a - b).map((axis) =>
      input[axis]
    );
  return [
    ...(options.scale ? [param("gamma", shape)] : []),
    ...(options.center ? [param("beta", shape)] : []),
  ];
}

const rows: Readonly<Record<string, (options: JsonOptions) => readonly WeightRow[]>> = {
  dense: (options) => [
    param("kernel", (input) => [last(input), count(options, "units")]),
    ...(options.useBias ? [param("bias", () => [count(options, "units")])] : []),
  ],
  embedding: (options) => [
    param("embeddings", () => [count(options, "inputDim"), count(options, "outputDim")]),
  ],
  batchNormalization: (options) => {
    const [{ shape }] = normalization({ ...options, scale: true });
    const moving = ["movingMean", "movingVariance"].map((name): WeightRow => ({
      name,
      part: "state",
      shape,
    }));
    return [...normalization(options), ...moving];
  },
  layerNormalization: normalization,
  normalization: (options) => {
    const [{ shape }] = normalization({ ...options, scale: true });
    return [
      { name: "mean", part: "state", shape },
      { name: "variance", part: "state", shape },
      // How many batches Keras saw, which it keeps for older files.
      { name: "count", part: "state", shape: () => [], unread: tensor(0) },
    ];
  },
  prelu: ({ sharedAxes }) => {
    const isShared = (axis: number) => Array.isArray(sharedAxes) && sharedAxes.includes(axis);
    return [param("alpha", (input) => input.map((dim, axis) => isShared(axis) ? 1 : dim).slice(1))];
  },
  masking: () => [],
  dropout: () => [],
  activation: () => [],
  flatten: () => [],
  reshape: () => [],
  merge: () => [],
  ...convWeights,
};

/** The weights of a layer or cell of this type; undefined if Keras has no such type. */
export function weightRows(type: string, options: JsonOptions): readonly WeightRow[] | undefined {
  return Object.hasOwn(rows, type) ? rows[type](options) : cellRow(type)?.weights(options);
}
