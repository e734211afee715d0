/** Windows of a long series, with the steps that follow each, as batches for training. */
import { checkCount, isObject, wrongKind } from "../describe.ts";
import { checkOptions } from "../option_names.ts";
import {
  allocateValues,
  host,
  type HostTensor,
  hostTensor,
  isTensor,
  printSpec,
  type Tensor,
} from "../tensor/tensor.ts";
import { checkKey } from "../tensor/keys.ts";
import { shuffledOrder } from "./batches.ts";

/** Options of {@linkcode windows}. */
export interface WindowOptions {
  /** How many steps a window has. */
  readonly lookback: number;
  /**
   * How many steps after the window are its target; default: the next one alone, without a time axis.
   */
  readonly horizon?: number;
  /** How many steps later the next window begins; default 1. */
  readonly stride?: number;
  /** Windows in a batch; default 32. */
  readonly batchSize?: number;
  /** A random key, `int32[2]`, by which the windows are shuffled; default: the order of the series. */
  readonly key?: Tensor;
}

/** Windows and their targets. */
export interface WindowBatch {
  /** `[batch, lookback, ...features]`. */
  readonly x: HostTensor;
  /** `[batch, horizon, ...features]`, or `[batch, ...features]` without a horizon. */
  readonly y: HostTensor;
}

/** Batches that can be read again and again, and how many there are. */
export interface CountedBatches<Batch> extends Iterable<Batch> {
  /** The number of batches. */
  readonly length: number;
}

/**
 * The windows of a series as batches for `fit`, `evaluate` or `predict`: each `lookback` steps, and as its
 * target the `horizon` steps that follow. They are copied batch by batch when they are read, so all windows
 * together need no memory.
 *
 * @param series `[time, ...features]` on the host; or `{ x, y }`, two of them with the same number of steps,
 *   if the targets are others than the inputs.
 * @returns An iterable that gives the same batches each time. For another order in each epoch give `fit` a
 *   function: `(epoch) => windows(series, { lookback: 20, key: foldIn(key(0), epoch) })`.
 * @throws RangeError if the series is shorter than a window with its target, or an option is out of range;
 *   TypeError for anything but tensors with a time axis.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { tensor, toNested, windows } from "@cellfold/cellfold";
 * const batches = [...windows(tensor([1, 2, 3, 4, 5]), { lookback: 2, horizon: 2, batchSize: 8 })];
 * assertEquals(batches.map(({ x }) => toNested(x)), [[[1, 2], [2, 3]]]);
 * assertEquals(batches.map(({ y }) => toNested(y)), [[[3, 4], [4, 5]]]);
 * ```
 */
export function windows(
  series: Tensor | { readonly x: Tensor; readonly y: Tensor },
  options: WindowOptions,
): CountedBatches<WindowBatch> {
  checkOptions("windows", options, ["lookback", "horizon", "stride", "batchSize", "key"]);
  const { lookback, horizon, stride = 1, batchSize = 32, key } = options;
  checkCount("cut windows", lookback, "lookback");
  if (horizon !== undefined) checkCount("cut windows", horizon, "horizon");
  checkCount("cut windows", stride, "stride");
  checkCount("cut windows", batchSize, "batchSize");
  if (key !== undefined) checkKey("shuffle windows", key);
  const [x, y] = isTensor(series)
    ? [checkSeries(series, "the series"), checkSeries(series, "the series")]
    : [checkSeries(pairOf(series).x, "x"), checkSeries(pairOf(series).y, "y")];
  const steps = x.shape[0];
  if (y.shape[0] !== steps) {
    throw new TypeError(
      `Cannot cut windows: x has ${steps} steps, y has ${y.shape[0]}, expected the same number`,
    );
  }
  const whole = lookback + (horizon ?? 1);
  if (steps < whole) {
    throw new RangeError(
      `Cannot cut windows: the series has ${steps} steps, expected at least ${whole}, a window of ${lookback} and ` +
        `its target`,
    );
  }
  const count = Math.floor((steps - whole) / stride) + 1;
  return {
    length: Math.ceil(count / batchSize),
    *[Symbol.iterator]() {
      const order = key && shuffledOrder(key, count);
      for (let from = 0; from < count; from += batchSize) {
        const starts = Array.from(
          { length: Math.min(batchSize, count - from) },
          (_, index) => (order ? order[from + index] : from + index) * stride,
        );
        yield {
          x: parts(x, starts, [lookback]),
          y: parts(y, starts.map((start) => start + lookback), horizon === undefined ? [] : [horizon]),
        };
      }
    },
  };
}

function pairOf(series: unknown): { readonly x?: unknown; readonly y?: unknown } {
  if (isObject(series) && ("x" in series || "y" in series)) return series;
  throw wrongKind(
    "cut windows",
    series,
    "the series",
    "a tensor [time, ...features], as tensor(values) gives, or { x, y }",
  );
}

function checkSeries(series: unknown, name: string): HostTensor {
  if (!isTensor(series)) {
    throw wrongKind("cut windows", series, name, "a tensor [time, ...features], as tensor(values) gives");
  }
  if (series.shape.length > 0) return host(series);
  throw new TypeError(`Cannot cut windows: ${name} is ${printSpec(series)}, expected a first axis, the time`);
}

/** The steps of a series from each start on, copied: `[starts, ...time, ...features]`. */
function parts(
  { data, shape, dtype }: HostTensor,
  starts: readonly number[],
  time: readonly number[],
): HostTensor {
  const row = data.length / shape[0];
  const size = (time[0] ?? 1) * row;
  const values = allocateValues(dtype, starts.length * size);
  starts.forEach((start, index) => values.set(data.subarray(start * row, start * row + size), index * size));
  return hostTensor(values, [starts.length, ...time, ...shape.slice(1)], dtype);
}
