/**
 * The weights of each kind of layer and cell in the order in which Keras stores them, with their shapes for an input.
 * The shapes hold a file against its configuration before anything of that size is allocated.
 */
import type { JsonOptions } from "../../src/options/json.ts";
import type { Dim, Shape } from "../../src/tensor/dims.ts";

/** A weight of a layer or cell. */
export interface WeightRow {
  /** Its key in our params or state. */
  readonly name: string;
  /** Whether it is trained. */
  readonly part: "params" | "state";
  /** Its shape where the layer's input has this one; of a cell, the input of one step. */
  shape(input: Shape): Shape;
}

/** An option that was saved as a count. */
function count(options: JsonOptions, name: string): number {
  return Number(options[name]);
}

const last = (shape: Shape): Dim => shape[shape.length - 1];

function param(name: string, shape: (input: Shape) => Shape): WeightRow {
  return { name, part: "params", shape };
}

/** Kernel, recurrent kernel and bias of a cell. */
function matrices(options: JsonOptions, gates: number, biasShape: Shape): WeightRow[] {
  const units = count(options, "units");
  return [
    param("kernel", (input) => [last(input), gates * units]),
    param("recurrentKernel", () => [units, gates * units]),
    ...(options.useBias ? [param("bias", () => biasShape)] : []),
  ];
}

function convolution(options: JsonOptions): WeightRow[] {
  const filters = count(options, "filters");
  const window = options.kernelSize as readonly number[]; // saved as a list
  return [
    param("kernel", (input) => [...window, last(input), 4 * filters]),
    param("recurrentKernel", () => [...window, filters, 4 * filters]),
    ...(options.useBias ? [param("bias", () => [4 * filters])] : []),
  ];
}

function normalisation(options: JsonOptions): WeightRow[] {
  const axes = [options.axis].flat().map(Number);
  const shape = (input: Shape) => axes.map((axis) => input[axis < 0 ? axis + input.length : axis]);
  return [
    ...(options.scale ? [param("gamma", shape)] : []),
    ...(options.center ? [param("beta", shape)] : []),
  ];
}

const rows: Readonly<Record<string, (options: JsonOptions) => readonly WeightRow[]>> = {
  simpleRnnCell: (options) => matrices(options, 1, [count(options, "units")]),
  gruCell: (options) => {
    const all = 3 * count(options, "units");
    return matrices(options, 3, options.resetAfter ? [2, all] : [all]);
  },
  lstmCell: (options) => matrices(options, 4, [4 * count(options, "units")]),
  convLstm1dCell: convolution,
  convLstm2dCell: convolution,
  convLstm3dCell: convolution,
  dense: (options) => [
    param("kernel", (input) => [last(input), count(options, "units")]),
    ...(options.useBias ? [param("bias", () => [count(options, "units")])] : []),
  ],
  embedding: (options) => [
    param("embeddings", () => [count(options, "inputDim"), count(options, "outputDim")]),
  ],
  batchNormalization: (options) => {
    const [{ shape }] = normalisation({ ...options, scale: true });
    const moving = ["movingMean", "movingVariance"].map((name): WeightRow => ({
      name,
      part: "state",
      shape,
    }));
    return [...normalisation(options), ...moving];
  },
  layerNormalization: normalisation,
  masking: () => [],
  dropout: () => [],
  activation: () => [],
  flatten: () => [],
  reshape: () => [],
  merge: () => [],
};

/** The weights of a layer or cell of this type; undefined where there is no such type in Keras. */
export function weightRows(type: string, options: JsonOptions): readonly WeightRow[] | undefined {
  return Object.hasOwn(rows, type) ? rows[type](options) : undefined;
}
