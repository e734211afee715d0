/**
 * The initializers of Keras 3: how the initial weights are made. They run on the host, before any trace, in
 * float64, from the bits of threefry-2x32, so that a key gives the same weights everywhere. An initializer is
 * a name, a name with options (plain data, saved unchanged), or a user's function.
 */
import { checkFunction, describeValue } from "../describe.ts";
import { unknownName } from "../known_names.ts";
import { checkOptions } from "../option_names.ts";
import { quoted } from "../quoted.ts";
import { printShape } from "../tensor/dims.ts";
import { checkKey } from "../tensor/keys.ts";
import { host, type HostTensor, hostTensor, type Tensor } from "../tensor/tensor.ts";
import { threefry2x32 } from "../tensor/threefry.ts";
import type { Json } from "./json.ts";
import { orthonormalColumns } from "./orthogonal.ts";

/** Fresh float32 weights of a shape from a random key (`int32[2]`, on the host). */
export type Initializer = (key: Tensor, shape: readonly number[]) => HostTensor;

/** Options of each initializer, by name, named as in Keras. */
export interface InitializerOptions {
  /** Uniform within ±√(6 / (fanIn + fanOut)) (Glorot and Bengio, 2010). */
  glorotUniform: NoOptions;
  /** Truncated normal of standard deviation √(2 / (fanIn + fanOut)). */
  glorotNormal: NoOptions;
  /** Uniform within ±√(6 / fanIn) (He et al., 2015). */
  heUniform: NoOptions;
  /** Truncated normal of standard deviation √(2 / fanIn). */
  heNormal: NoOptions;
  /** Uniform within ±√(3 / fanIn) (Klambauer et al., 2017). */
  lecunUniform: NoOptions;
  /** Truncated normal of standard deviation √(1 / fanIn). */
  lecunNormal: NoOptions;
  /** Uniform from `minval` (default -0.05) to `maxval` (default 0.05). */
  randomUniform: { readonly minval?: number; readonly maxval?: number };
  /** Normal; `mean` 0 and `stddev` 0.05 by default. */
  randomNormal: { readonly mean?: number; readonly stddev?: number };
  /** Normal, redrawn if it is more than two `stddev` (default 0.05) from the `mean` (default 0). */
  truncatedNormal: { readonly mean?: number; readonly stddev?: number };
  /** `gain` (default 1) times a random matrix with orthonormal rows or columns (Saxe et al., 2014). */
  orthogonal: { readonly gain?: number };
  /** `gain` (default 1) on the diagonal. */
  identity: { readonly gain?: number };
  /** 0. */
  zeros: NoOptions;
  /** 1. */
  ones: NoOptions;
  /** `value` (default 0). */
  constant: { readonly value?: number };
}

/** The options of an initializer that has none. */
export type NoOptions = Readonly<Record<never, never>>;

/** The name of an initializer. */
export type InitializerName = keyof InitializerOptions;

/** An initializer with options, as plain data: `{ name: "orthogonal", gain: 2 }`. */
export type InitializerConfig = {
  [Name in InitializerName]: { readonly name: Name } & InitializerOptions[Name];
}[InitializerName];

/** An initializer as a layer accepts it. */
export type InitializerLike = InitializerName | InitializerConfig | Initializer;

/** The standard deviation of a normal distribution truncated at two standard deviations, as in Keras. */
const TRUNCATED_STDDEV = 0.87962566103423978;

/**
 * The fan-in and fan-out of a weight, counted as in Keras: a matrix is `[in, out]`, and more axes are a
 * convolution kernel `[...window, in, out]`.
 */
export function computeFans(shape: readonly number[]): { readonly fanIn: number; readonly fanOut: number } {
  if (shape.length === 0) return { fanIn: 1, fanOut: 1 };
  if (shape.length === 1) return { fanIn: shape[0], fanOut: shape[0] };
  const window = shape.slice(0, -2).reduce((size, dim) => size * dim, 1);
  return { fanIn: shape[shape.length - 2] * window, fanOut: shape[shape.length - 1] * window };
}

/** The two words of a key. */
function wordsOf(key: Tensor): [number, number] {
  checkKey("draw weights", key);
  const { data } = host(key);
  return [data[0], data[1]];
}

/** A random word as a number in (0, 1), never 0, so that its logarithm is finite. */
function unit(word: number): number {
  return ((word >>> 0) + 0.5) / 2 ** 32;
}

/** Fills `data` with uniforms from `min` to `max`. */
function drawUniform(key: Tensor, data: Float32Array, min: number, max: number): void {
  const [key0, key1] = wordsOf(key);
  for (let i = 0; i < data.length; i += 2) {
    const [first, second] = threefry2x32(key0, key1, i / 2, 0);
    data[i] = min + (max - min) * unit(first);
    if (i + 1 < data.length) data[i + 1] = min + (max - min) * unit(second);
  }
}

/** Fills `data` with standard normals (Box and Muller, 1958). */
function drawNormal(key: Tensor, data: Float32Array | Float64Array): void {
  const [key0, key1] = wordsOf(key);
  for (let i = 0; i < data.length; i += 2) {
    const [first, second] = threefry2x32(key0, key1, i / 2, 0);
    const radius = Math.sqrt(-2 * Math.log(unit(first)));
    const angle = 2 * Math.PI * unit(second);
    data[i] = radius * Math.cos(angle);
    if (i + 1 < data.length) data[i + 1] = radius * Math.sin(angle);
  }
}

/**
 * Fills `data` with standard normals within ±2; element i takes the first of the draws of counters (i, n)
 * that is in range.
 */
function drawTruncatedNormal(key: Tensor, data: Float32Array): void {
  const [key0, key1] = wordsOf(key);
  for (let i = 0; i < data.length; i++) {
    let value = Infinity;
    for (let attempt = 0; Math.abs(value) > 2; attempt++) {
      const [first, second] = threefry2x32(key0, key1, i, attempt);
      value = Math.sqrt(-2 * Math.log(unit(first))) * Math.cos(2 * Math.PI * unit(second));
    }
    data[i] = value;
  }
}

/** Whether only shapes are needed: see {@linkcode shapesOnly}. */
let needsShapesOnly = false;

/**
 * Runs `run` with every initializer returning zeros immediately: if only the shapes of parameters are needed
 * (a summary, a graph under construction), an orthogonal matrix of a large layer would waste minutes.
 */
export function shapesOnly<T>(run: () => T): T {
  checkFunction("run for shapes only", run, "the argument");
  const before = needsShapesOnly;
  needsShapesOnly = true;
  try {
    return run();
  } finally {
    needsShapesOnly = before;
  }
}

/** The initializer, or zeros if only shapes are needed. */
function unlessAbstract(initializer: Initializer): Initializer {
  return (key, shape) => needsShapesOnly ? filled(shape, () => {}) : initializer(key, shape);
}

function filled(shape: readonly number[], fill: (data: Float32Array) => void): HostTensor {
  const data = new Float32Array(shape.reduce((size, dim) => size * dim, 1));
  fill(data);
  return hostTensor(data, [...shape]);
}

function scaled(data: Float32Array, mean: number, stddev: number): void {
  for (let i = 0; i < data.length; i++) data[i] = mean + stddev * data[i];
}

/** Weights whose variance is `scale / fan` (He et al., 2015, section 2.2; Keras's VarianceScaling). */
function varianceScaling(
  scale: number,
  mode: "in" | "average",
  distribution: "uniform" | "normal",
): Initializer {
  return (key, shape) => {
    const { fanIn, fanOut } = computeFans(shape);
    const variance = scale / Math.max(1, mode === "in" ? fanIn : (fanIn + fanOut) / 2);
    return filled(shape, (data) => {
      if (distribution === "uniform") {
        const limit = Math.sqrt(3 * variance);
        drawUniform(key, data, -limit, limit);
      } else {
        drawTruncatedNormal(key, data);
        scaled(data, 0, Math.sqrt(variance) / TRUNCATED_STDDEV);
      }
    });
  };
}

function orthogonal(gain: number): Initializer {
  return (key, shape) => {
    if (shape.length < 2) {
      throw new TypeError(
        `Cannot make orthogonal weights of shape ${printShape(shape)}: it needs at least 2 axes`,
      );
    }
    const columns = shape[shape.length - 1];
    const rows = shape.slice(0, -1).reduce((size, dim) => size * dim, 1);
    const [long, short] = [Math.max(rows, columns), Math.min(rows, columns)];
    const q = new Float64Array(long * short);
    drawNormal(key, q);
    orthonormalColumns(q, long, short);
    // `q` holds vectors of length `long` one after another: the rows of a wide matrix, or the columns of a
    // tall one.
    return filled(shape, (data) => {
      for (let vector = 0; vector < short; vector++) {
        for (let i = 0; i < long; i++) {
          const to = rows < columns ? vector * long + i : i * short + vector;
          data[to] = gain * q[vector * long + i];
        }
      }
    });
  };
}

function identity(gain: number): Initializer {
  return (_, shape) => {
    if (shape.length !== 2) {
      throw new TypeError(`Cannot make an identity of shape ${printShape(shape)}: expected 2 axes`);
    }
    return filled(shape, (data) => {
      for (let i = 0; i < Math.min(...shape); i++) data[i * shape[1] + i] = gain;
    });
  };
}

/** The record of an initializer: its options, and how it is made from them. */
interface InitializerRecord<Options> {
  readonly known: readonly (keyof Options & string)[];
  make(options: Options): Initializer;
}

const constantOf = (value: number): Initializer => (_, shape) => filled(shape, (data) => data.fill(value));
const plain = (initializer: Initializer): InitializerRecord<NoOptions> => ({
  known: [],
  make: () => initializer,
});

const records: { readonly [Name in InitializerName]: InitializerRecord<InitializerOptions[Name]> } = {
  glorotUniform: plain(varianceScaling(1, "average", "uniform")),
  glorotNormal: plain(varianceScaling(1, "average", "normal")),
  heUniform: plain(varianceScaling(2, "in", "uniform")),
  heNormal: plain(varianceScaling(2, "in", "normal")),
  lecunUniform: plain(varianceScaling(1, "in", "uniform")),
  lecunNormal: plain(varianceScaling(1, "in", "normal")),
  randomUniform: {
    known: ["minval", "maxval"],
    make: ({ minval = -0.05, maxval = 0.05 }) => (key, shape) =>
      filled(shape, (data) => drawUniform(key, data, minval, maxval)),
  },
  randomNormal: {
    known: ["mean", "stddev"],
    make: ({ mean = 0, stddev = 0.05 }) => (key, shape) =>
      filled(shape, (data) => {
        drawNormal(key, data);
        scaled(data, mean, stddev);
      }),
  },
  truncatedNormal: {
    known: ["mean", "stddev"],
    make: ({ mean = 0, stddev = 0.05 }) => (key, shape) =>
      filled(shape, (data) => {
        drawTruncatedNormal(key, data);
        scaled(data, mean, stddev);
      }),
  },
  orthogonal: { known: ["gain"], make: ({ gain = 1 }) => orthogonal(gain) },
  identity: { known: ["gain"], make: ({ gain = 1 }) => identity(gain) },
  zeros: plain(constantOf(0)),
  ones: plain(constantOf(1)),
  constant: { known: ["value"], make: ({ value = 0 }) => constantOf(value) },
};

/** All names of initializers. */
export const initializerNames: readonly InitializerName[] = Object.keys(records) as InitializerName[]; // keys of `records`

/**
 * The function for an initializer.
 *
 * @param initializer A name, a name with options, or a function `(key, shape) => HostTensor`.
 * @returns A function that runs on the host and throws a TypeError for a shape that it cannot fill.
 * @throws RangeError for an unknown name or option, with the nearest known one.
 * @throws TypeError for anything else, or an option that is not a number.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { key } from "@cellfold/cellfold";
 * import { resolveInitializer } from "@cellfold/cellfold/internal";
 * const kernel = resolveInitializer({ name: "orthogonal", gain: 2 })(key(0), [3, 4]);
 * assertEquals(kernel.data.length, 12);
 * assertEquals(kernel.dtype, "float32");
 * ```
 */
export function resolveInitializer(initializer: InitializerLike): Initializer {
  if (typeof initializer === "function") return unlessAbstract(initializer);
  const config = typeof initializer === "string" ? { name: initializer } : initializer;
  if (typeof config !== "object" || config === null || typeof config.name !== "string") {
    throw new TypeError(
      `Cannot use ${
        describeValue(initializer)
      } as an initializer: expected a name, { name, ...options } or a function`,
    );
  }
  const { name, ...options } = config;
  if (!Object.hasOwn(records, name)) throw unknownName("initializer", name, initializerNames);
  const record = records[name] as InitializerRecord<object>; // the options are checked against it next
  checkOptions(name, options, record.known);
  for (const [option, value] of Object.entries(options)) {
    if (value !== undefined && !Number.isFinite(value)) {
      throw new TypeError(
        `Cannot use the initializer ${name}: ${option} is ${quoted(value)}, expected a number`,
      );
    }
  }
  return unlessAbstract(record.make(options));
}

/** An initializer as it is saved; undefined for a function, which is not data. */
export function initializerToJson(initializer: InitializerLike): Json | undefined {
  if (typeof initializer === "function") return undefined;
  return typeof initializer === "string" ? initializer : { ...initializer };
}
