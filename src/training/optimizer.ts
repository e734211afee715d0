/**
 * What an optimizer is: plain data with two pure functions, `init` and `update`; and the frame that all of the
 * library's share. The order is Keras's: gradients are clipped, then every parameter decays by
 * `weight · weightDecay · learningRate`, then it takes its step, then its average follows.
 */
import { checkCount, checkObject, describeValue } from "../describe.ts";
import { checkRange } from "../options/checks.ts";
import { quoted } from "../quoted.ts";
import { add, cast, div, equal, mul, notEqual, select, sub } from "../operations/elementwise.ts";
import { full } from "../operations/creation.ts";
import { isTensor, printSpec, type Tensor, tensor } from "../tensor/tensor.ts";
import { checkSameStructure, flattenTree, printPath, type Tree, unflattenTree } from "../tree/tree.ts";
import type { Json } from "../options/json.ts";
import { made } from "../options/made.ts";
import { isFloat } from "../operations/infer.ts";
import { sameShape } from "../tensor/dims.ts";
import { clipGradients, type ClippingOptions } from "./gradients.ts";
import type { Options } from "./alignment.ts";
import type { Schedule } from "./schedules.ts";

/** An optimizer's state between steps: the step counter, and trees like the parameters by name. */
export interface OptimizerState {
  /** int32 scalar: the number of updates made. */
  readonly step: Tensor;
  /**
   * The learning rate `learningRate`, a float32 scalar, unless a schedule gives it; and state per parameter,
   * such as `momentum`, or with `useEma` the averages `average`: a tree like the parameters.
   */
  readonly [slot: string]: Tree<Tensor>;
}

/** An optimizer. A custom optimizer is an object of this form. */
export interface Optimizer {
  /** The kind, such as `adam`. */
  readonly type: string;
  /** The full options, as they are saved. */
  readonly options: Options;
  /** The state before the first update, for these parameters. */
  init(params: Tree<Tensor>): OptimizerState;
  /** Parameters and state after one update; the three trees match. Pure, traceable. */
  update<Params extends Tree<Tensor>>(
    gradients: Params,
    state: OptimizerState,
    params: Params,
  ): [params: Params, state: OptimizerState];
  /**
   * The parameters that `fit` ends with, if they are others than those of the last update, such as their moving
   * averages.
   */
  final?<Params extends Tree<Tensor>>(params: Params, state: OptimizerState): Params;
}

/** Options that every optimizer has. At most one of the three clipping options may be given. */
export interface OptimizerOptions extends ClippingOptions {
  /**
   * A number, or a schedule such as {@linkcode exponentialDecay}; default 0.01 for sgd, 0.001 for the others.
   * A number is where the state's `learningRate` starts, which callbacks may change.
   */
  readonly learningRate?: number | Schedule;
  /** Each step subtracts this fraction, times the learning rate, from every parameter; default none. */
  readonly weightDecay?: number | null;
  /**
   * Whether the state keeps an exponential moving average of every parameter, `average`, which `fit` ends with, as in
   * Keras; default false. Until then training and its validation use the parameters themselves.
   */
  readonly useEma?: boolean;
  /** How much of the average each step keeps, 0 to 1; default 0.99. */
  readonly emaMomentum?: number;
  /** After how many steps parameters are replaced by their averages, again and again; default never. */
  readonly emaOverwriteFrequency?: number | null;
}

/** The names of {@linkcode OptimizerOptions}. */
export const commonOptions = [
  "learningRate",
  "weightDecay",
  "clipnorm",
  "globalClipnorm",
  "clipvalue",
  "useEma",
  "emaMomentum",
  "emaOverwriteFrequency",
] as const;

/** How much of an average stays in a step, unless the option says it. */
const EMA_MOMENTUM = 0.99;

/** The values that an optimizer keeps per parameter leaf, by name. */
type Slots = Readonly<Record<string, Tensor>>;

/**
 * One leaf's step: from its gradient and slots, the amount subtracted from the parameter and the new slots.
 */
type LeafStep = (gradient: Tensor, slots: Slots) => { readonly taken: Tensor; readonly slots: Slots };

/** The full common options, as they are saved. */
function checkCommon(
  type: string,
  options: OptimizerOptions,
  learningRate: number | Schedule,
): Record<string, Json> {
  const { weightDecay = null, clipnorm = null, globalClipnorm = null, clipvalue = null } = options;
  if (typeof learningRate === "number") checkRange(type, "learningRate", learningRate, { low: 0 });
  else if (typeof learningRate?.rate !== "function") {
    throw new TypeError(
      `Cannot make ${type}: learningRate is ${quoted(learningRate)}, expected a number or a schedule`,
    );
  }
  if (weightDecay !== null) checkRange(type, "weightDecay", weightDecay, { low: 0 });
  const clips = Object.entries({ clipnorm, globalClipnorm, clipvalue }).filter(([, value]) => value !== null);
  if (clips.length > 1) {
    throw new RangeError(
      `Cannot make ${type}: ${
        clips.map(([name]) => name).join(" and ")
      } are given, expected at most one of them`,
    );
  }
  for (const [name, value] of clips) checkRange(type, name, value, { above: 0 });
  const { useEma = false, emaMomentum = EMA_MOMENTUM, emaOverwriteFrequency = null } = options;
  checkRange(type, "emaMomentum", emaMomentum, { low: 0, high: 1 });
  if (emaOverwriteFrequency !== null) {
    checkCount(`make ${type}`, emaOverwriteFrequency, "emaOverwriteFrequency");
  }
  const ofAverages = [
    ["emaMomentum", emaMomentum, EMA_MOMENTUM],
    ["emaOverwriteFrequency", emaOverwriteFrequency, null],
  ] as const;
  for (const [name, value, otherwise] of ofAverages) {
    if (useEma || value === otherwise) continue; // stored options have the defaults too
    throw new RangeError(`Cannot make ${type}: ${name} is ${value} without averages; set useEma: true`);
  }
  const rate = typeof learningRate === "number"
    ? learningRate
    : { type: learningRate.type, options: learningRate.options };
  const ema = { useEma, emaMomentum, emaOverwriteFrequency };
  return { learningRate: rate, weightDecay, clipnorm, globalClipnorm, clipvalue, ...ema };
}

/** An optimizer defined by its step for one leaf. */
export function optimizer(
  type: string,
  given: OptimizerOptions,
  defaults: { readonly learningRate: number },
  own: {
    readonly options: Record<string, Json>;
    readonly slots: readonly string[];
    /** What every element of a slot is at first; default 0. */
    readonly initial?: number;
    /** A number in the state that all leaves share: its name, first value, and what an update makes of it. */
    readonly shared?: {
      readonly name: string;
      readonly initial: number;
      readonly next: (before: Tensor, step: Tensor) => Tensor;
    };
    /**
     * Values shared by all leaves are computed once, from the learning rate, the number of earlier updates, and the
     * number in the state as it is after this update.
     */
    prepare(rate: Tensor, step: Tensor, shared: Tensor | undefined): LeafStep;
  },
): Optimizer {
  const learningRate = given.learningRate ?? defaults.learningRate;
  const options = { ...checkCommon(type, given, learningRate), ...own.options };
  const { weightDecay, useEma = false, emaMomentum = EMA_MOMENTUM, emaOverwriteFrequency = null } = given;
  const slotOf = (state: OptimizerState, name: string, params: Tree<Tensor>): Tensor[] => {
    const slot: Tree<Tensor> | undefined = state[name];
    if (slot === undefined) {
      throw new TypeError(
        `Cannot update with ${type}: the state has no ${name}; make it with init(params)`,
      );
    }
    checkSameStructure(params, slot, { first: "the parameters", second: `the optimizer's ${name}` });
    return flattenTree<Tensor>(slot).leaves;
  };
  return made<Optimizer>({
    type,
    options,
    init(params) {
      const { leaves, structure } = flattenTree<Tensor>(params, "params");
      const slot = (value: number) =>
        unflattenTree<Tree<Tensor>>(
          structure,
          leaves.map(({ shape, dtype }) => full(shape, value, { dtype })),
        );
      return {
        step: tensor(0, { dtype: "int32" }),
        ...(typeof learningRate === "number" && { learningRate: tensor(learningRate) }),
        ...Object.fromEntries(own.slots.map((name) => [name, slot(own.initial ?? 0)])),
        ...(own.shared && { [own.shared.name]: tensor(own.shared.initial) }),
        ...(useEma && { average: slot(0) }),
      };
    },
    update<Params extends Tree<Tensor>>(gradients: Params, state: OptimizerState, params: Params) {
      checkSameStructure(params, gradients, { first: "the parameters", second: "the gradients" });
      const { leaves, structure, paths } = flattenTree<Tensor>(params, "params");
      const raw = flattenTree<Tensor>(gradients).leaves;
      leaves.forEach((value, index) => {
        const gradient = raw[index];
        if (isFloat(value) && value.dtype === gradient.dtype && sameShape(value.shape, gradient.shape)) {
          return;
        }
        throw new TypeError(
          `Cannot update ${printPath(paths[index], "params")} with ${type}: it is ${printSpec(value)}, ` +
            `its gradient ${printSpec(gradient)}, expected floats of one shape`,
        );
      });
      const before = own.slots.map((name) => slotOf(state, name, params));
      const rate = typeof learningRate === "number" ? rateOf(type, state) : learningRate.rate(state.step);
      const shared = own.shared && own.shared.next(sharedOf(type, own.shared.name, state), state.step);
      const step = own.prepare(rate, state.step, shared);
      const steps = clipGradients(raw, given).map((gradient, index) => {
        const slots = Object.fromEntries(own.slots.map((name, slot) => [name, before[slot][index]]));
        return step(gradient, slots);
      });
      const after = leaves.map((value, index) => {
        const leafRate = cast(rate, value.dtype);
        const decayed = weightDecay ? sub(value, mul(mul(value, weightDecay), leafRate)) : value;
        return sub(decayed, steps[index].taken);
      });
      // The first average is the first parameter.
      const kept = useEma ? mul(cast(notEqual(state.step, 0), "float32"), emaMomentum) : undefined;
      const averages = kept && slotOf(state, "average", params).map((average, index) => {
        const momentum = cast(kept, average.dtype);
        return add(mul(average, momentum), mul(after[index], sub(1, momentum)));
      });
      const isReplaced = emaOverwriteFrequency === null
        ? undefined
        : equal(remainder(add(state.step, 1), emaOverwriteFrequency), 0);
      const ended = averages && isReplaced
        ? after.map((value, index) => select(isReplaced, averages[index], value))
        : after;
      const slots = own.slots.map((name) => [
        name,
        unflattenTree<Tree<Tensor>>(structure, steps.map((step) => step.slots[name])),
      ]);
      return [
        unflattenTree<Params>(structure, ended),
        {
          ...state,
          step: add(state.step, 1),
          ...Object.fromEntries(slots),
          ...(own.shared && shared && { [own.shared.name]: shared }),
          ...(averages && { average: unflattenTree<Tree<Tensor>>(structure, averages) }),
        },
      ];
    },
    ...(useEma && {
      final<Params extends Tree<Tensor>>(params: Params, state: OptimizerState): Params {
        checkObject(
          `end training with ${type}`,
          state,
          "the state",
          "what init or update of this optimizer gave",
        );
        return unflattenTree<Params>(flattenTree<Tensor>(params).structure, slotOf(state, "average", params));
      },
    }),
  }, { main: "update", parts: typeof learningRate === "number" ? [] : [learningRate] });
}

/** What is left of whole numbers from 0, divided by another. */
function remainder(x: Tensor, by: number): Tensor {
  return sub(x, mul(div(x, by), by));
}

/** A number in an optimizer's state, which `init` put there. */
function sharedOf(type: string, name: string, state: OptimizerState): Tensor {
  const value: Tree<Tensor> | undefined = state[name];
  if (isTensor(value) && value.shape.length === 0) return value;
  throw new TypeError(`Cannot update with ${type}: the state has no ${name}; make it with init(params)`);
}

/** The learning rate in an optimizer's state, which `init` put there. */
function rateOf(type: string, { learningRate }: OptimizerState): Tensor {
  if (isTensor(learningRate) && isFloat(learningRate) && learningRate.shape.length === 0) return learningRate;
  const given = isTensor(learningRate) ? printSpec(learningRate) : describeValue(learningRate);
  throw new TypeError(
    `Cannot update with ${type}: the learningRate in the state is ${given}, expected a float32 scalar; make it ` +
      `with init(params)`,
  );
}
