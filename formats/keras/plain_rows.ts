/** Keras's layers that pool, pad, repeat, rectify or disturb, and our types: one row for each, as in `classes.ts`. */
import { type ClassRow, how } from "./class_row.ts";
import type { Kind } from "./values.ts";

const channelsLast = { data_format: ["channels_last", null] };

/** A class for one, two and three spatial axes. */
function spatial(
  name: string,
  type: string,
  options: Readonly<Record<string, Kind>>,
  rest: (axes: number) => Partial<ClassRow> = () => ({}),
): ClassRow[] {
  return [1, 2, 3].map((axes) => ({
    className: `${name}${axes}D`,
    type: `${type}${axes}d`,
    options,
    fixed: channelsLast,
    ...rest(axes),
  }));
}

const pooling = { pool_size: "counts", strides: "counts", padding: "padding" } as const;

/** The rows. */
export const plainRows: readonly ClassRow[] = [
  ...spatial("MaxPooling", "maxPooling", pooling),
  ...spatial("AveragePooling", "averagePooling", pooling),
  ...spatial("GlobalMaxPooling", "globalMaxPooling", { keepdims: "flag" }, () => ({
    asKeras: { countsMasked: true },
  })),
  ...spatial("GlobalAveragePooling", "globalAveragePooling", { keepdims: "flag" }, (axes) => ({
    asKeras: { countsMasked: axes > 1 },
  })),
  ...spatial("ZeroPadding", "zeroPadding", { padding: "amounts" }),
  ...spatial("Cropping", "cropping", { cropping: "amounts" }, (axes) => axes === 1 ? { fixed: {} } : {}),
  ...spatial("UpSampling", "upSampling", { size: "counts" }, (axes) => ({
    fixed: axes === 1 ? {} : axes === 2 ? { ...channelsLast, interpolation: ["nearest"] } : channelsLast,
  })),
  ...spatial("SpatialDropout", "spatialDropout", { rate: "number" }, (axes) => ({
    fixed: axes === 1 ? {} : channelsLast,
    withoutCommon: true,
    without: how,
  })),
  {
    className: "ActivityRegularization",
    type: "activityRegularization",
    options: { l1: "number", l2: "number" },
  },
  { className: "GaussianNoise", type: "gaussianNoise", options: { stddev: "number" }, without: how },
  { className: "RepeatVector", type: "repeatVector", options: { n: "count" } },
  { className: "Permute", type: "permute", options: { dims: "counts" } },
  {
    className: "ReLU",
    type: "relu",
    options: { max_value: "limit", negative_slope: "number", threshold: "number" },
  },
  { className: "LeakyReLU", type: "leakyRelu", options: { negative_slope: "number" } },
  { className: "ELU", type: "elu", options: { alpha: "number" } },
  {
    className: "PReLU",
    type: "prelu",
    options: { alpha_initializer: "initializer", shared_axes: "sharedAxes" },
  },
  { className: "Softmax", type: "softmax", options: { axis: "axes" } },
  { className: "UnitNormalization", type: "unitNormalization", options: { axis: "axes" } },
  { className: "Dot", type: "dot", options: { axes: "axes", normalize: "flag" } },
];
