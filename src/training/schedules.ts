/**
 * Learning-rate schedules of Keras 3: pure functions of the step, a scalar int32 tensor that counts earlier
 * updates (0 at the first one). They run inside the compiled training step.
 */
import { checkOptions } from "../option_names.ts";
import { quoted } from "../quoted.ts";
import {
  add,
  cast,
  cos,
  div,
  equal,
  floor,
  less,
  lessEqual,
  minimum,
  mul,
  neg,
  pow,
  select,
  sub,
} from "../operations/elementwise.ts";
import { made } from "../options/made.ts";
import { type Tensor, tensor } from "../tensor/tensor.ts";
import type { Options } from "./alignment.ts";

/** A learning-rate schedule. A custom schedule is an object of this form. */
export interface Schedule {
  /** The kind, such as `exponentialDecay`. */
  readonly type: string;
  /** The full options, as they are saved. */
  readonly options: Options;
  /** The learning rate, a float32 scalar, at a step, an int32 scalar. Pure, traceable. */
  rate(step: Tensor): Tensor;
}

function checkNumbers(type: string, numbers: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(numbers)) {
    if (!Number.isFinite(value)) {
      throw new TypeError(`Cannot make ${type}: ${name} is ${quoted(value)}, expected a number`);
    }
  }
}

function checkSteps(type: string, name: string, steps: number): void {
  if (!(steps > 0)) {
    throw new RangeError(`Cannot make ${type}: ${name} is ${quoted(steps)}, expected a number above 0`);
  }
}

/** Options of {@linkcode exponentialDecay} and {@linkcode inverseTimeDecay}. */
export interface DecayOptions {
  /** The rate at step 0. */
  readonly initialLearningRate: number;
  /** The number of steps over which the rate decays once. */
  readonly decaySteps: number;
  /** How strongly the rate decays. */
  readonly decayRate: number;
  /** Whether the rate is constant between multiples of `decaySteps`; default false. */
  readonly staircase?: boolean;
}

function decay(
  type: string,
  options: DecayOptions,
  rate: (initial: number, decayRate: number, progress: Tensor) => Tensor,
): Schedule {
  checkOptions(type, options, ["initialLearningRate", "decaySteps", "decayRate", "staircase"]);
  const { initialLearningRate, decaySteps, decayRate, staircase = false } = options;
  checkNumbers(type, { initialLearningRate, decaySteps, decayRate });
  checkSteps(type, "decaySteps", decaySteps);
  return made<Schedule>({
    type,
    options: { initialLearningRate, decaySteps, decayRate, staircase },
    rate(step) {
      const progress = div(cast(step, "float32"), decaySteps);
      return rate(initialLearningRate, decayRate, staircase ? floor(progress) : progress);
    },
  }, { main: "rate" });
}

/**
 * `initialLearningRate · decayRate^(step / decaySteps)`.
 *
 * @throws RangeError for an unknown option or `decaySteps` that is not above 0; TypeError for a missing one.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { exponentialDecay, item, tensor } from "@cellfold/cellfold";
 * const schedule = exponentialDecay({ initialLearningRate: 0.5, decaySteps: 10, decayRate: 0.5 });
 * assertEquals(item(schedule.rate(tensor(10, { dtype: "int32" }))), 0.25);
 * ```
 */
export function exponentialDecay(options: DecayOptions): Schedule {
  return decay("exponentialDecay", options, (initial, rate, progress) => mul(pow(rate, progress), initial));
}

/**
 * `initialLearningRate / (1 + decayRate · step / decaySteps)`.
 *
 * @throws RangeError for an unknown option or `decaySteps` that is not above 0; TypeError for a missing one.
 */
export function inverseTimeDecay(options: DecayOptions): Schedule {
  return decay(
    "inverseTimeDecay",
    options,
    (initial, rate, progress) => div(initial, add(mul(progress, rate), 1)),
  );
}

/** Options of {@linkcode cosineDecay}. */
export interface CosineDecayOptions {
  /** The rate at step 0. */
  readonly initialLearningRate: number;
  /** The length of the decay in steps, after the warm-up. */
  readonly decaySteps: number;
  /** The fraction of the rate that is left at the end; default 0. */
  readonly alpha?: number;
  /** The rate at the end of the warm-up, which starts at `initialLearningRate`; default none: no warm-up. */
  readonly warmupTarget?: number | null;
  /** The length of the warm-up in steps; default 0. */
  readonly warmupSteps?: number;
}

/**
 * Half a cosine from the full rate down to `alpha` of it (Loshchilov and Hutter, 2016), after a linear
 * warm-up from `initialLearningRate` to `warmupTarget` if one is given.
 *
 * @throws RangeError for an unknown option or a number of steps out of range; TypeError for a missing one.
 */
export function cosineDecay(options: CosineDecayOptions): Schedule {
  const type = "cosineDecay";
  checkOptions(type, options, ["initialLearningRate", "decaySteps", "alpha", "warmupTarget", "warmupSteps"]);
  const { initialLearningRate, decaySteps, alpha = 0, warmupSteps = 0 } = options;
  const warmupTarget = options.warmupTarget ?? null;
  checkNumbers(type, {
    initialLearningRate,
    decaySteps,
    alpha,
    warmupSteps,
    warmupTarget: warmupTarget ?? 0,
  });
  checkSteps(type, "decaySteps", decaySteps);
  if (warmupSteps < 0) {
    throw new RangeError(`Cannot make ${type}: warmupSteps is ${warmupSteps}, expected 0 or more`);
  }
  if (warmupSteps > 0 && warmupTarget === null) {
    throw new RangeError(`Cannot make ${type}: warmupSteps is ${warmupSteps}, but there is no warmupTarget`);
  }
  const decayed = (from: number, step: Tensor) => {
    const cosine = mul(add(cos(mul(div(minimum(step, decaySteps), decaySteps), Math.PI)), 1), 0.5);
    return mul(add(mul(cosine, 1 - alpha), alpha), from);
  };
  return made<Schedule>({
    type,
    options: { initialLearningRate, decaySteps, alpha, warmupTarget, warmupSteps },
    rate(step) {
      const now = cast(step, "float32");
      if (warmupTarget === null) return decayed(initialLearningRate, now);
      const afterwards = decayed(warmupTarget, sub(now, warmupSteps));
      if (warmupSteps === 0) return afterwards;
      const warming = add(
        mul(div(now, warmupSteps), warmupTarget - initialLearningRate),
        initialLearningRate,
      );
      return select(less(now, warmupSteps), warming, afterwards);
    },
  }, { main: "rate" });
}

/** Options of {@linkcode piecewiseConstantDecay}. */
export interface PiecewiseConstantDecayOptions {
  /** Steps in ascending order; up to and including each, the value with the same index applies. */
  readonly boundaries: readonly number[];
  /** One more than the number of boundaries. */
  readonly values: readonly number[];
}

/**
 * `values[0]` up to and including step `boundaries[0]`, `values[1]` up to `boundaries[1]` …, then the last
 * value.
 *
 * @throws RangeError for an unknown option, boundaries that do not ascend, or the wrong number of values.
 */
export function piecewiseConstantDecay(options: PiecewiseConstantDecayOptions): Schedule {
  const type = "piecewiseConstantDecay";
  checkOptions(type, options, ["boundaries", "values"]);
  const { boundaries, values }: PiecewiseConstantDecayOptions = options;
  if (!Array.isArray(boundaries) || !Array.isArray(values) || values.length !== boundaries.length + 1) {
    throw new RangeError(
      `Cannot make ${type}: ${boundaries?.length} boundaries need one value more, current value has ${values?.length}`,
    );
  }
  boundaries.forEach((boundary, index) => checkNumbers(type, { [`boundaries[${index}]`]: boundary }));
  values.forEach((value, index) => checkNumbers(type, { [`values[${index}]`]: value }));
  if (boundaries.some((boundary, index) => index > 0 && boundary <= boundaries[index - 1])) {
    throw new RangeError(
      `Cannot make ${type}: boundaries are [${boundaries.join(", ")}], expected them to rise`,
    );
  }
  return made<Schedule>({
    type,
    options: { boundaries: [...boundaries], values: [...values] },
    rate(step) {
      const now = cast(step, "float32");
      return boundaries.reduceRight<Tensor>(
        (later, boundary, index) => select(lessEqual(now, boundary), values[index], later),
        tensor(values[values.length - 1]),
      );
    },
  }, { main: "rate" });
}

/** Options of {@linkcode polynomialDecay}. */
export interface PolynomialDecayOptions {
  /** The rate at step 0. */
  readonly initialLearningRate: number;
  /** The length of the decay in steps. */
  readonly decaySteps: number;
  /** The final rate; default 0.0001. */
  readonly endLearningRate?: number;
  /** The power of the polynomial; default 1, a line. */
  readonly power?: number;
  /**
   * Whether the rate rises again after `decaySteps`, decaying over the next multiple of them; default false.
   */
  readonly cycle?: boolean;
}

/**
 * `(initialLearningRate - endLearningRate) · (1 - step / decaySteps)^power + endLearningRate`.
 *
 * @throws RangeError for an unknown option or `decaySteps` that is not above 0; TypeError for a missing one.
 */
export function polynomialDecay(options: PolynomialDecayOptions): Schedule {
  const type = "polynomialDecay";
  checkOptions(type, options, ["initialLearningRate", "decaySteps", "endLearningRate", "power", "cycle"]);
  const { initialLearningRate, decaySteps, endLearningRate = 0.0001, power = 1, cycle = false } = options;
  checkNumbers(type, { initialLearningRate, decaySteps, endLearningRate, power });
  checkSteps(type, "decaySteps", decaySteps);
  return made<Schedule>({
    type,
    options: { initialLearningRate, decaySteps, endLearningRate, power, cycle },
    rate(step) {
      const now = cast(step, "float32");
      // With cycle, the end is the first multiple of decaySteps that the step does not exceed: ceil(x) =
      // -floor(-x).
      const multiple = neg(floor(div(now, -decaySteps)));
      const progress = cycle
        ? div(now, mul(select(equal(now, 0), 1, multiple), decaySteps))
        : div(minimum(now, decaySteps), decaySteps);
      const left = sub(1, progress);
      const shape = power === 1 ? left : pow(left, power);
      return add(mul(shape, initialLearningRate - endLearningRate), endLearningRate);
    },
  }, { main: "rate" });
}
