/**
 * Where the elements of a resized axis come from: for each, the weights of elements of the axis as it was. All is computed
 * from sizes, as numbers (the documentation of ONNX's operator Resize, version 19).
 */

/** How an axis is resized. */
export interface AxisResize {
  /** Its size before. */
  readonly input: number;
  /** Its size after. */
  readonly output: number;
  /** How much larger it becomes, which need not be the quotient of the sizes, as they are rounded. */
  readonly scale: number;
  /** The part of the axis that is resized, from 0 to 1; only for `tf_crop_and_resize`. */
  readonly region: readonly [start: number, end: number];
}

/** How elements are interpolated. */
export interface Interpolation {
  readonly mode: string;
  readonly coordinates: string;
  readonly nearest: string;
  /** The coefficient a of cubic interpolation. */
  readonly cubic: number;
  readonly excludesOutside: boolean;
  readonly antialias: boolean;
}

/** Where an element of the output lies in the input. */
type Coordinates = (index: number, axis: AxisResize) => number;

const halfPixel: Coordinates = (index, { scale }) => (index + 0.5) / scale - 0.5;

/** The exact size after, of which `output` is a rounding. */
const exactSize = ({ input, scale }: AxisResize) => input * scale;

const coordinateModes: { readonly [mode: string]: Coordinates } = {
  half_pixel: halfPixel,
  pytorch_half_pixel: (index, axis) => exactSize(axis) === 1 ? -0.5 : halfPixel(index, axis),
  half_pixel_symmetric: (index, axis) =>
    axis.input / 2 * (1 - axis.output / exactSize(axis)) + halfPixel(index, axis),
  asymmetric: (index, { scale }) => index / scale,
  align_corners: (index, axis) =>
    exactSize(axis) === 1 ? 0 : index * (axis.input - 1) / (exactSize(axis) - 1),
  tf_crop_and_resize: (index, axis) => {
    const { input, region: [start, end] } = axis;
    const inside = exactSize(axis) === 1
      ? (end - start) * (input - 1) / 2
      : index * (end - start) * (input - 1) /
        (exactSize(axis) - 1);
    return inside + start * (input - 1);
  },
};

/** Whether the second of two neighbors is the nearest, by how far the place is from the first. */
const nearestModes: { readonly [mode: string]: (ratio: number) => boolean } = {
  round_prefer_floor: (ratio) => ratio > 0.5,
  round_prefer_ceil: (ratio) => ratio >= 0.5,
  floor: (ratio) => ratio === 1,
  ceil: () => true,
};

/** Cubic convolution (Keys, "Cubic convolution interpolation for digital image processing", 1981). */
function cubicWeight(distance: number, a: number): number {
  const x = Math.abs(distance);
  if (x <= 1) return (a + 2) * x ** 3 - (a + 3) * x ** 2 + 1;
  return x < 2 ? a * (x ** 3 - 5 * x ** 2 + 8 * x - 4) : 0;
}

/** The weights of neighbors by mode; `reach` is how many there are on each side, `shrink` is below 1 only with antialias. */
const kernels: {
  readonly [mode: string]: {
    readonly reach: number;
    weight(distance: number, interpolation: Interpolation): number;
  };
} = {
  linear: { reach: 1, weight: (distance) => Math.max(0, 1 - Math.abs(distance)) },
  cubic: { reach: 2, weight: (distance, { cubic }) => cubicWeight(distance, cubic) },
};

/** The modes that there are. */
export const resizeModes: readonly string[] = ["nearest", ...Object.keys(kernels)];

function find<T>(table: { readonly [name: string]: T }, name: string, what: string): T {
  if (Object.hasOwn(table, name)) return table[name];
  throw new RangeError(`its ${what} is ${JSON.stringify(name)}, expected ${Object.keys(table).join(", ")}`);
}

/** A place between two neighbors: the first, and how far it is from there; a whole number is the second one. */
function between(place: number): { readonly first: number; readonly ratio: number } {
  const first = Number.isInteger(place) ? place - 1 : Math.floor(place);
  return { first, ratio: place - first };
}

function inside(index: number, { input }: AxisResize): number {
  return Math.min(Math.max(index, 0), input - 1);
}

/** The elements that come from outside of the axis, which only a region can make. */
export function outsideOf(axis: AxisResize, { coordinates }: Interpolation): boolean[] {
  const place = find(coordinateModes, coordinates, "coordinate_transformation_mode");
  return Array.from({ length: axis.output }, (_, index) => {
    if (coordinates !== "tf_crop_and_resize") return false;
    const at = place(index, axis);
    return at < 0 || at > axis.input - 1;
  });
}

/** For each element after, the element before that it is. */
export function nearestPlaces(axis: AxisResize, { coordinates, nearest }: Interpolation): number[] {
  const place = find(coordinateModes, coordinates, "coordinate_transformation_mode");
  const isSecond = find(nearestModes, nearest, "nearest_mode");
  return Array.from({ length: axis.output }, (_, index) => {
    const { first, ratio } = between(place(index, axis));
    return inside(ratio === 1 || isSecond(ratio) ? first + 1 : first, axis);
  });
}

/** The weight of each element before (rows) in each element after (columns). */
export function resizeWeights(axis: AxisResize, interpolation: Interpolation): Float64Array {
  const place = find(coordinateModes, interpolation.coordinates, "coordinate_transformation_mode");
  const { reach, weight } = find(kernels, interpolation.mode, "mode");
  const shrink = interpolation.antialias ? Math.min(axis.scale, 1) : 1;
  const low = Math.floor(-reach / shrink) + 1;
  const matrix = new Float64Array(axis.input * axis.output);
  for (let column = 0; column < axis.output; column++) {
    const { first, ratio } = between(place(column, axis));
    const neighbors = Array.from({ length: 2 - 2 * low }, (_, offset) => {
      const index = first + low + offset;
      const isOutside = index < 0 || index >= axis.input;
      const own = weight(shrink * (low + offset - ratio), interpolation);
      return { index, weight: interpolation.excludesOutside && isOutside ? 0 : own };
    });
    const total = neighbors.reduce((sum, { weight }) => sum + weight, 0);
    for (const { index, weight } of neighbors) {
      matrix[inside(index, axis) * axis.output + column] += weight / total;
    }
  }
  return matrix;
}
