/**
 * Spectra of signals: Fourier transforms as products with matrices of cosines and sines, windows, and mel filters. What only
 * sizes determine is computed as numbers, in float64.
 */
import { add, cast, mul, neg, sub } from "../../../../src/operations/elementwise.ts";
import { gather } from "../../../../src/operations/indexing.ts";
import { matmul } from "../../../../src/operations/matmul.ts";
import { expandDims, reshape, sliceAxis, stack, transpose } from "../../../../src/operations/structure.ts";
import { fixedDim } from "../../../../src/tensor/dims.ts";
import {
  type DType,
  fixedSize,
  hostTensor,
  printSpec,
  type Tensor,
  tensor,
} from "../../../../src/tensor/tensor.ts";
import { dtypeOf } from "../../tensors.ts";
import { attribute, axisOf, flag, type Node } from "../node.ts";
import { given, type Inputs, type Operator, type Operators } from "../operator.ts";
import { floatsOf, knownFloats, knownNumbers, type OnnxValue, valueOf } from "../values.ts";

/** The longest transform: its matrices have as many elements as the square of it. */
const LONGEST = 4096;

/** What a transform is. */
interface Transform {
  /** How many samples, or frequencies in the inverse, go in; more than there are count as 0. */
  readonly length: number;
  /** Only the frequencies up to half of the length: of a real signal, the others mirror them. */
  readonly onesided: boolean;
  readonly inverse: boolean;
}

/** Real and imaginary parts; without the latter, which are 0. */
interface Complex {
  readonly real: Tensor;
  readonly imaginary?: Tensor;
}

function sizesOf(
  rows: number,
  { length, onesided, inverse }: Transform,
): { readonly rows: number; readonly columns: number } {
  const half = Math.floor(length / 2) + 1;
  return inverse
    ? { rows: Math.min(rows, onesided ? half : length), columns: length }
    : { rows: Math.min(rows, length), columns: onesided ? half : length };
}

/** Cosines or sines of 2π·row·column/length as `[rows, columns]`, each row times `weight`. */
function waves(
  wave: (angle: number) => number,
  rows: number,
  columns: number,
  length: number,
  weight: (row: number) => number,
  dtype: DType,
): Tensor {
  const data = new Float64Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      data[row * columns + column] = weight(row) * wave(2 * Math.PI * ((row * column) % length) / length);
    }
  }
  return hostTensor(dtype === "float64" ? data : Float32Array.from(data), [rows, columns]);
}

/** The discrete Fourier transform along the last axis. */
function transformed({ real, imaginary }: Complex, transform: Transform): Complex {
  const { length, onesided, inverse } = transform;
  if (!(Number.isInteger(length) && length >= 1 && length <= LONGEST)) {
    throw new RangeError(
      `it transforms ${length} values at once, expected 1 to ${LONGEST}, as it is a product of matrices`,
    );
  }
  const last = real.shape.length - 1;
  const { rows, columns } = sizesOf(fixedSize(real, last), transform);
  // In the inverse of a half, a frequency stands for its mirror too, except the first and that in the middle.
  const single = (row: number) => row === 0 || 2 * row === length;
  const weight = (row: number) => inverse ? (onesided && !single(row) ? 2 : 1) / length : 1;
  const [cosines, sines] = [Math.cos, Math.sin].map((wave) =>
    waves(wave, rows, columns, length, weight, real.dtype)
  );
  const times = (x: Tensor, matrix: Tensor) => product(sliceAxis(x, last, 0, rows), matrix);
  // e^∓iωt = cos ωt ∓ i sin ωt
  const turned = (x: Tensor) => inverse ? times(x, sines) : neg(times(x, sines));
  const realPart = imaginary ? sub(times(real, cosines), turned(imaginary)) : times(real, cosines);
  if (inverse && onesided) return { real: realPart };
  const own = turned(real);
  return { real: realPart, imaginary: imaginary ? add(times(imaginary, cosines), own) : own };
}

/** The product of the last axis and a matrix. */
function product(x: Tensor, matrix: Tensor): Tensor {
  return x.shape.length > 1
    ? matmul(x, matrix)
    : reshape(matmul(expandDims(x, 0), matrix), [matrix.shape[1]]);
}

/** A tensor whose last axis is real and imaginary part, or the former alone. */
function complexOf(x: Tensor): Complex {
  const last = x.shape.length - 1;
  const size = x.shape[last];
  if (last < 1 || (size !== 1 && size !== 2)) {
    throw new TypeError(
      `it transforms ${printSpec(x)}, expected a last axis of size 1 (real) or 2 (complex)`,
    );
  }
  const part = (index: number) => reshape(sliceAxis(x, last, index, 1), x.shape.slice(0, -1));
  return { real: part(0), imaginary: size === 2 ? part(1) : undefined };
}

function stacked({ real, imaginary }: Complex): Tensor {
  return imaginary
    ? stack([real, imaginary], { axis: real.shape.length })
    : expandDims(real, real.shape.length);
}

/** Both parts with this axis last, or back. */
function swapped({ real, imaginary }: Complex, axis: number): Complex {
  const last = real.shape.length - 1;
  const permutation = real.shape.map((_, other) => other === axis ? last : other === last ? axis : other);
  const swap = (x: Tensor) => transpose(x, { permutation });
  return { real: swap(real), imaginary: imaginary && swap(imaginary) };
}

function fourier(node: Node, inputs: Inputs): OnnxValue {
  const x = floatsOf(given(inputs, 0));
  const listed = inputs[2] ? knownNumbers(inputs[2], "axis")[0] : attribute(node, "axis", "int");
  const axis = axisOf(listed ?? (node.opset < 20 ? 1 : -2), x.shape.length);
  if (axis === x.shape.length - 1) {
    throw new RangeError(`its axis is ${axis}, where the parts of complex numbers are`);
  }
  const inverse = flag(node, "inverse", false), onesided = flag(node, "onesided", false);
  const size = fixedSize(x, axis);
  const length = inputs[1]
    ? knownNumbers(inputs[1], "dft_length")[0]
    : inverse && onesided
    ? 2 * (size - 1)
    : size;
  return valueOf(
    stacked(swapped(transformed(swapped(complexOf(x), axis), { length, onesided, inverse }), axis)),
  );
}

/** The most samples in all frames of a signal. */
const MOST_SAMPLES = 2 ** 24;

/** Spectra of frames of a signal, each `step` later than the one before. */
function spectra(node: Node, inputs: Inputs): OnnxValue {
  const signal = floatsOf(given(inputs, 0));
  const x = signal.shape.length === 2 ? expandDims(signal, 2) : signal;
  if (x.shape.length !== 3) {
    throw new TypeError(`it takes ${printSpec(signal)}, expected batch, samples and 1 or 2`);
  }
  const [step] = knownNumbers(given(inputs, 1), "frame_step");
  const window = inputs[2] && floatsOf(inputs[2]);
  const [length] = inputs[3] ? knownNumbers(inputs[3], "frame_length") : window ? [fixedSize(window, 0)] : [];
  if (length === undefined || !(step >= 1)) {
    throw new TypeError(
      `it has ${length === undefined ? "neither window nor frame_length" : `the frame_step ${step}`}`,
    );
  }
  const samples = fixedDim(x.shape[1], "The length of a signal");
  const count = Math.floor((samples - length) / step) + 1;
  if (!(count >= 1 && length >= 1 && count * length <= MOST_SAMPLES)) {
    throw new RangeError(
      `it cuts ${count} frames of ${length} from ${samples} samples, which is none, or too much`,
    );
  }
  const places = Int32Array.from({ length: count * length }, (_, index) => {
    const frame = Math.floor(index / length);
    return frame * step + index % length;
  });
  const rows = transpose(x, { permutation: [1, 0, 2] });
  const frames = transpose(gather(rows, hostTensor(places, [count, length])), { permutation: [2, 0, 1, 3] });
  const shaped = window ? mul(frames, reshape(window, [length, 1])) : frames;
  return valueOf(
    stacked(
      transformed(complexOf(shaped), { length, onesided: flag(node, "onesided", true), inverse: false }),
    ),
  );
}

/** A window of a size that is known: a sum of cosines, periodic or symmetric. */
function window(coefficients: readonly number[]): Operator {
  return {
    attributes: ["output_datatype", "periodic"],
    inputs: [1, 1],
    compute: (node, inputs) => {
      const [size] = knownNumbers(given(inputs, 0), "size");
      if (!(size >= 0 && size <= LARGEST_WINDOW)) {
        throw new RangeError(`it makes a window of ${size}, expected 0 to ${LARGEST_WINDOW}`);
      }
      const period = flag(node, "periodic", true) ? size : size - 1;
      const values = Array.from(
        { length: size },
        (_, index) =>
          coefficients.reduce((sum, c, order) => sum + c * Math.cos(2 * Math.PI * order * index / period), 0),
      );
      return [made(node, values, [size])];
    },
  };
}

const LARGEST_WINDOW = 2 ** 20;

/** Numbers in the type that a node says, by default float. */
function made(node: Node, values: readonly number[], shape: readonly number[]): OnnxValue {
  const type = attribute(node, "output_datatype", "int") ?? 1;
  return valueOf(cast(tensor(values, { shape }), dtypeOf(node.place, type)));
}

/** Frequencies on the mel scale (O'Shaughnessy, "Speech communication", 1987). */
const melOf = (hertz: number) => 2595 * Math.log1p(hertz / 700) / Math.LN10;
const hertzOf = (mel: number) => 700 * Math.expm1(mel / 2595 * Math.LN10);

/** Triangular filters over the bins of a spectrum, `[bins, filters]`. */
function melWeights(node: Node, inputs: Inputs): OnnxValue {
  const [[filters], [length], [rate]] = ["num_mel_bins", "dft_length", "sample_rate"].map((name, index) =>
    knownNumbers(given(inputs, index), name)
  );
  const [[low], [high]] = ["lower_edge_hertz", "upper_edge_hertz"].map((name, index) =>
    knownFloats(given(inputs, index + 3), name)
  );
  const bins = Math.floor(length / 2) + 1;
  if (
    !(filters >= 1 && length >= 1 && rate > 0 && low >= 0 && high > low && filters * bins <= LARGEST_WINDOW)
  ) {
    throw new RangeError(
      `it makes ${filters} filters of ${bins} bins from ${low} to ${high} Hz at ${rate} Hz, which is none, or too much`,
    );
  }
  const [from, to] = [melOf(low), melOf(high)];
  const edges = Array.from({ length: filters + 2 }, (_, index) => {
    const mel = from + index * (to - from) / (filters + 2);
    return Math.floor((length + 1) * hertzOf(mel) / rate);
  });
  const weights = Array.from({ length: bins * filters }, (_, index) => {
    const bin = Math.floor(index / filters), filter = index % filters;
    const [left, center, right] = edges.slice(filter, filter + 3);
    if (bin === center && left === center) return 1;
    if (bin >= left && bin < center) return (bin - left) / (center - left);
    if (bin >= center && bin < right) return (right - bin) / (right - center);
    return bin === center ? 1 : 0;
  });
  return made(node, weights, [bins, filters]);
}

/** The operators of this file. */
export const signalOperators: Operators = {
  BlackmanWindow: window([0.42, -0.5, 0.08]),
  HammingWindow: window([25 / 46, -21 / 46]),
  HannWindow: window([0.5, -0.5]),
  MelWeightMatrix: {
    attributes: ["output_datatype"],
    inputs: [5, 5],
    compute: (node, inputs) => [melWeights(node, inputs)],
  },
  DFT: {
    attributes: ["axis", "inverse", "onesided"],
    inputs: [1, 3],
    compute: (node, inputs) => [fourier(node, inputs)],
  },
  STFT: { attributes: ["onesided"], inputs: [2, 4], compute: (node, inputs) => [spectra(node, inputs)] },
};
