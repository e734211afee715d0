/**
 * Spectra of signals: short-time Fourier transforms, bands of frequencies as ears hear them, and cepstra. All are products
 * with matrices that are known when they are traced, so that they run and are differentiated like any other product; a
 * transform takes `frameLength · fftLength` multiplications a frame, which suffices up to frames of some 1,024 samples.
 */
import { checkCount, checkList, describeValue } from "../describe.ts";
import { unknownName } from "../known_names.ts";
import { checkOptions } from "../option_names.ts";
import { quoted } from "../quoted.ts";
import { checkTensor, fixedSize, printSpec, type Tensor, tensor } from "../tensor/tensor.ts";
import { convolve } from "./convolution.ts";
import { add, greater, log, maximum, mul, select, sqrt } from "./elementwise.ts";
import { isFloat } from "./infer.ts";
import { matmul } from "./matmul.ts";
import { expandDims, sliceAxis, squeeze } from "./structure.ts";

/** The name of a window. */
export type WindowName = "hann" | "hamming" | "blackman" | "rectangular";

/** Windows, as weights of a frame: they are periodic, as is usual for spectra. */
const WINDOWS: { readonly [Name in WindowName]: (turns: number) => number } = {
  hann: (turns: number) => 0.5 - 0.5 * Math.cos(turns),
  hamming: (turns: number) => 0.54 - 0.46 * Math.cos(turns),
  blackman: (turns: number) => 0.42 - 0.5 * Math.cos(turns) + 0.08 * Math.cos(2 * turns),
  rectangular: () => 1,
};

/** How a signal is cut into frames and transformed. */
export interface StftOptions {
  /** Samples of a frame. */
  readonly frameLength: number;
  /** Samples from the beginning of a frame to that of the next; default: a quarter of `frameLength`, rounded down. */
  readonly frameStep?: number;
  /** Length of the transform, to which frames are filled up with zeros; default: the next power of two. */
  readonly fftLength?: number;
  /** What a frame is multiplied by: a periodic window by its name, default `hann`, or `frameLength` weights. */
  readonly window?: WindowName | readonly number[];
}

/** Real and imaginary parts. */
export interface Spectrum {
  /** `[batch, frames, bins]` or `[frames, bins]`. */
  readonly real: Tensor;
  /** The same shape. */
  readonly imaginary: Tensor;
}

const STFT_OPTIONS: readonly (keyof StftOptions)[] = ["frameLength", "frameStep", "fftLength", "window"];

/** The weights of a frame. */
function weightsOf(what: string, { window = "hann", frameLength }: StftOptions): readonly number[] {
  if (typeof window === "string") {
    if (!Object.hasOwn(WINDOWS, window)) throw unknownName("window", window, Object.keys(WINDOWS));
    return Array.from(
      { length: frameLength },
      (_, n) => WINDOWS[window](2 * Math.PI * n / frameLength),
    );
  }
  checkList(what, window, "window", `the name of a window or ${frameLength} numbers`);
  if (!window.every(Number.isFinite)) {
    throw new TypeError(
      `Cannot compute ${what}: window has ${describeValue(window)}, expected finite numbers`,
    );
  }
  if (window.length === frameLength) return window;
  throw new RangeError(
    `Cannot compute ${what}: window has ${window.length} numbers, expected frameLength of them, which is ${frameLength}`,
  );
}

/** The options with all that they leave out, checked. */
function stftPlan(what: string, options: StftOptions) {
  const { frameLength } = options;
  checkCount(what, frameLength, "frameLength");
  const {
    frameStep = Math.max(1, Math.floor(frameLength / 4)),
    fftLength = 2 ** Math.ceil(Math.log2(frameLength)),
  } = options;
  checkCount(what, frameStep, "frameStep");
  checkCount(what, fftLength, "fftLength", frameLength);
  return { frameLength, frameStep, fftLength, bins: Math.floor(fftLength / 2) + 1 };
}

/** The bins of a transform. */
function binsOf(what: string, options: StftOptions): number {
  return stftPlan(what, options).bins;
}

function checkSignal(what: string, signal: Tensor): void {
  checkTensor(what, signal, "signal");
  if ((signal.shape.length === 1 || signal.shape.length === 2) && isFloat(signal)) return;
  throw new TypeError(
    `Cannot compute ${what} of ${printSpec(signal)}: expected floats of the shape [batch, time] or [time]`,
  );
}

/** The real parts of all bins, then their imaginary parts: `[batch, frames, 2 · bins]`. */
function transform(what: string, signal: Tensor, options: StftOptions): Tensor {
  const { frameLength, frameStep, fftLength, bins } = stftPlan(what, options);
  const weights = weightsOf(what, options);
  const matrix = new Float64Array(frameLength * 2 * bins);
  for (let n = 0; n < frameLength; n++) {
    for (let k = 0; k < bins; k++) {
      const turns = 2 * Math.PI * (n * k % fftLength) / fftLength;
      matrix[n * 2 * bins + k] = weights[n] * Math.cos(turns);
      matrix[n * 2 * bins + bins + k] = -weights[n] * Math.sin(turns);
    }
  }
  const kernel = tensor(matrix, { shape: [frameLength, 1, 2 * bins], dtype: signal.dtype });
  const rows = signal.shape.length === 1 ? expandDims(signal, 0) : signal;
  const size = rows.shape[1];
  if (typeof size === "number" && size < frameLength) {
    throw new RangeError(
      `Cannot compute ${what} of ${printSpec(signal)}: a frame has ${frameLength} samples; pad the signal`,
    );
  }
  const spectra = convolve(expandDims(rows, -1), kernel, { strides: [frameStep] });
  return signal.shape.length === 1 ? squeeze(spectra, { axes: 0 }) : spectra;
}

/**
 * The short-time Fourier transform of real signals: of each frame, which begins `frameStep` samples after the one
 * before, times the window, `X[k] = Σₙ x[n] e^(−2πi k n / fftLength)` for the `⌊fftLength / 2⌋ + 1` bins that are not
 * redundant. Only frames that lie wholly in the signal count; pad it for others (Allen and Rabiner, "A unified approach
 * to short-time Fourier analysis and synthesis", 1977).
 *
 * @param signal `[batch, time]` or `[time]`, float32 or float64; `time` may be open.
 * @returns Real and imaginary parts, `[batch, frames, bins]` or `[frames, bins]`.
 * @throws TypeError for another rank or dtype; RangeError for a signal shorter than a frame and for options out of range.
 *
 * @example
 * ```ts
 * import { assertAlmostEquals, assertEquals } from "@std/assert";
 * import { host, stft, tensor } from "@cellfold/cellfold";
 * const wave = tensor(Array.from({ length: 24 }, (_, n) => Math.cos(2 * Math.PI * n / 8)));
 * const { real } = stft(wave, { frameLength: 16, frameStep: 8, window: "rectangular" });
 * assertEquals(real.shape, [2, 9]);
 * assertAlmostEquals(Number(host(real).data[2]), 8, 1e-5); // two turns a frame
 * ```
 */
export function stft(signal: Tensor, options: StftOptions): Spectrum {
  checkSignal("stft", signal);
  checkOptions("stft", options, STFT_OPTIONS);
  const bins = binsOf("stft", options);
  const both = transform("stft", signal, options);
  const axis = both.shape.length - 1;
  return { real: sliceAxis(both, axis, 0, bins), imaginary: sliceAxis(both, axis, bins, bins) };
}

/** The options of {@linkcode spectrogram}. */
export interface SpectrogramOptions extends StftOptions {
  /** 2 (default): squared magnitudes. 1: magnitudes, whose derivative is 0 where they are 0. */
  readonly power?: 1 | 2;
}

/**
 * The squared magnitudes of a short-time Fourier transform, or its magnitudes.
 *
 * @param signal As for {@linkcode stft}.
 * @returns `[batch, frames, bins]` or `[frames, bins]`.
 * @throws As {@linkcode stft}; RangeError for another `power`.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { spectrogram, zeros } from "@cellfold/cellfold";
 * const { shape } = spectrogram(zeros([2, 1600]), { frameLength: 400, frameStep: 160 });
 * assertEquals(shape, [2, 8, 257]);
 * ```
 */
export function spectrogram(signal: Tensor, options: SpectrogramOptions): Tensor {
  checkSignal("spectrogram", signal);
  checkOptions("spectrogram", options, [...STFT_OPTIONS, "power"]);
  const { power = 2, ...framing } = options;
  if (power !== 1 && power !== 2) {
    throw new RangeError(`Cannot compute spectrogram: power is ${quoted(power)}, expected 1 or 2`);
  }
  const squared = squaredMagnitudes("spectrogram", signal, framing);
  if (power === 2) return squared;
  const isThere = greater(squared, 0); // sqrt has no finite derivative at 0
  return select(isThere, sqrt(select(isThere, squared, 1)), squared);
}

function squaredMagnitudes(what: string, signal: Tensor, options: StftOptions): Tensor {
  const bins = binsOf(what, options);
  const both = transform(what, signal, options);
  const squares = mul(both, both), axis = both.shape.length - 1;
  return add(sliceAxis(squares, axis, 0, bins), sliceAxis(squares, axis, bins, bins));
}

/** What a mel is. */
export type MelScale = "htk" | "slaney";

/** Mels of hertz, and back. */
const SCALES: {
  readonly [Name in MelScale]: {
    readonly mels: (hertz: number) => number;
    readonly hertz: (mels: number) => number;
  };
} = {
  htk: {
    mels: (hertz: number) => 2595 * Math.log10(1 + hertz / 700),
    hertz: (mels: number) => 700 * (10 ** (mels / 2595) - 1),
  },
  // Straight up to 1,000 Hz, then 27 mels each time that the frequency is multiplied by 6.4.
  slaney: {
    mels: (hertz: number) =>
      hertz < 1000 ? 3 * hertz / 200 : 15 + 27 * Math.log(hertz / 1000) / Math.log(6.4),
    hertz: (mels: number) => mels < 15 ? 200 * mels / 3 : 1000 * 6.4 ** ((mels - 15) / 27),
  },
};

/** The bands of a {@linkcode melFilterbank}. */
export interface MelOptions {
  /** Samples per second, in hertz. */
  readonly sampleRate: number;
  /** Bands; default 40. */
  readonly mels?: number;
  /** Where the first band begins, in hertz; default 0. */
  readonly lowest?: number;
  /** Where the last band ends, in hertz; default: half of `sampleRate`. */
  readonly highest?: number;
  /** Which mels: `htk` (default), 2595 log₁₀(1 + f / 700), or `slaney`, straight below 1 kHz. */
  readonly melScale?: MelScale;
  /** In which unit the sides of a band are straight: `hertz` (default), as in librosa, or `mel`, as in TensorFlow. */
  readonly slopes?: "hertz" | "mel";
  /** `none` (default): the peak of a band is 1. `area`: its area is 1 over hertz (librosa's default). */
  readonly norm?: "none" | "area";
}

const MEL_OPTIONS: readonly (keyof MelOptions)[] = [
  "sampleRate",
  "mels",
  "lowest",
  "highest",
  "melScale",
  "slopes",
  "norm",
];

/**
 * A matrix that gathers the bins of a spectrum in bands that are evenly spaced in mels: triangles, each from the middle of
 * the band before to that of the band after (Davis and Mermelstein, "Comparison of parametric representations for
 * monosyllabic word recognition", 1980; the two scales are those of the programs HTK and Slaney's Auditory Toolbox).
 *
 * @param bins Bins of the spectrum, from 0 Hz to half of `sampleRate`: `fftLength / 2 + 1`.
 * @returns `[bins, mels]`, for `matmul(spectrogram(signal, …), filterbank)`; float32, or float64 by `dtype`.
 * @throws RangeError for numbers out of range, and for names that are unknown.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { matmul, melFilterbank, spectrogram, zeros } from "@cellfold/cellfold";
 * const power = spectrogram(zeros([1, 16000]), { frameLength: 400, frameStep: 160 });
 * const bands = matmul(power, melFilterbank(257, { sampleRate: 16000 }));
 * assertEquals(bands.shape, [1, 98, 40]);
 * ```
 */
export function melFilterbank(
  bins: number,
  options: MelOptions & { readonly dtype?: "float32" | "float64" },
): Tensor {
  checkCount("melFilterbank", bins, "bins", 2);
  checkOptions("melFilterbank", options, [...MEL_OPTIONS, "dtype"]);
  return filterbank("melFilterbank", bins, options, options.dtype ?? "float32");
}

function checkHertz(what: string, value: unknown, name: string, least: number, most: number): void {
  if (typeof value === "number" && value >= least && value <= most) return;
  throw new RangeError(
    `Cannot compute ${what}: ${name} is ${quoted(value)}, expected hertz from ${least} to ${most}`,
  );
}

function filterbank(what: string, bins: number, options: MelOptions, dtype: Tensor["dtype"]): Tensor {
  const { sampleRate, mels = 40, melScale = "htk", slopes = "hertz", norm = "none" } = options;
  checkHertz(what, sampleRate, "sampleRate", Number.MIN_VALUE, Number.MAX_VALUE);
  const { lowest = 0, highest = sampleRate / 2 } = options;
  checkHertz(what, lowest, "lowest", 0, sampleRate / 2);
  checkHertz(what, highest, "highest", lowest, sampleRate / 2);
  checkCount(what, mels, "mels");
  if (!Object.hasOwn(SCALES, melScale)) throw unknownName("melScale", melScale, Object.keys(SCALES));
  if (slopes !== "hertz" && slopes !== "mel") throw unknownName("slopes", slopes, ["hertz", "mel"]);
  if (norm !== "none" && norm !== "area") throw unknownName("norm", norm, ["none", "area"]);
  const of = SCALES[melScale];
  const [first, last] = [of.mels(lowest), of.mels(highest)];
  const edges = Array.from({ length: mels + 2 }, (_, at) => first + (last - first) * at / (mels + 1));
  const along = (hertz: number) => slopes === "mel" ? of.mels(hertz) : hertz;
  const places = slopes === "mel" ? edges : edges.map(of.hertz);
  const matrix = new Float64Array(bins * mels);
  for (let band = 0; band < mels; band++) {
    const [from, peak, to] = places.slice(band, band + 3);
    const height = norm === "area" ? 2 / (of.hertz(edges[band + 2]) - of.hertz(edges[band])) : 1;
    for (let bin = 0; bin < bins; bin++) {
      const at = along(bin * sampleRate / 2 / (bins - 1));
      const share = Math.min((at - from) / (peak - from), (to - at) / (to - peak));
      matrix[bin * mels + band] = height * Math.max(0, share);
    }
  }
  return tensor(matrix, { shape: [bins, mels], dtype });
}

/** The options of {@linkcode mfcc}. */
export interface MfccOptions extends StftOptions, MelOptions {
  /** Coefficients, at most as many as `mels`; default 13. */
  readonly coefficients?: number;
  /** The least power of a band before its logarithm is taken; default 1e-10. */
  readonly floor?: number;
  /** The logarithm: `natural` (default), as in HTK and TensorFlow, or `decibels`, 10 log₁₀, as in librosa. */
  readonly logarithm?: "natural" | "decibels";
}

/**
 * Mel-frequency cepstral coefficients: the orthonormal discrete cosine transform (DCT-II) of the logarithm of the power in
 * each band (Davis and Mermelstein, 1980). TensorFlow's first coefficient is √2 times this one.
 *
 * @param signal As for {@linkcode stft}.
 * @returns `[batch, frames, coefficients]` or `[frames, coefficients]`.
 * @throws As {@linkcode stft} and {@linkcode melFilterbank}; RangeError for more coefficients than bands.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { mfcc, zeros } from "@cellfold/cellfold";
 * const { shape } = mfcc(zeros([1, 16000]), { sampleRate: 16000, frameLength: 400, frameStep: 160 });
 * assertEquals(shape, [1, 98, 13]);
 * ```
 */
export function mfcc(signal: Tensor, options: MfccOptions): Tensor {
  checkSignal("mfcc", signal);
  checkOptions("mfcc", options, [...STFT_OPTIONS, ...MEL_OPTIONS, "coefficients", "floor", "logarithm"]);
  const { coefficients = 13, floor = 1e-10, logarithm = "natural" } = options;
  if (logarithm !== "natural" && logarithm !== "decibels") {
    throw unknownName("logarithm", logarithm, ["natural", "decibels"]);
  }
  if (typeof floor !== "number" || !(floor > 0)) {
    throw new RangeError(`Cannot compute mfcc: floor is ${quoted(floor)}, expected a positive number`);
  }
  const bands = filterbank("mfcc", binsOf("mfcc", options), options, signal.dtype);
  const mels = fixedSize(bands, 1);
  checkCount("mfcc", coefficients, "coefficients", 1, mels);
  const power = matmul(squaredMagnitudes("mfcc", signal, options), bands);
  const unit = logarithm === "decibels" ? 10 / Math.LN10 : 1;
  const cosines = new Float64Array(mels * coefficients);
  for (let band = 0; band < mels; band++) {
    for (let k = 0; k < coefficients; k++) {
      const length = Math.sqrt((k === 0 ? 1 : 2) / mels);
      cosines[band * coefficients + k] = unit * length * Math.cos(Math.PI * k * (band + 0.5) / mels);
    }
  }
  return matmul(
    log(maximum(power, floor)),
    tensor(cosines, { shape: [mels, coefficients], dtype: signal.dtype }),
  );
}
