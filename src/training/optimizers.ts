/**
 * Optimizers: plain data with two pure functions, `init` and `update`, by Keras 3's formulas. The order is
 * Keras's: gradients are clipped, then every parameter decays by `weight · weightDecay · learningRate`, then
 * it takes its step.
 */
import { checkObject, describeValue, wrongKind } from "../describe.ts";
import { checkRange } from "../options/checks.ts";
import { unknownName } from "../known_names.ts";
import { checkOptions } from "../option_names.ts";
import { quoted } from "../quoted.ts";
import { add, cast, div, expm1, maximum, mul, neg, sqrt, square, sub } from "../operations/elementwise.ts";
import { zerosLike } from "../operations/creation.ts";
import { isTensor, printSpec, type Tensor, tensor } from "../tensor/tensor.ts";
import { checkSameStructure, flattenTree, printPath, type Tree, unflattenTree } from "../tree/tree.ts";
import type { Json } from "../options/json.ts";
import { checkAsMade, made } from "../options/made.ts";
import { isFloat } from "../operations/infer.ts";
import { sameShape } from "../tensor/dims.ts";
import { clipGradients, type ClippingOptions, squarable } from "./gradients.ts";
import type { Options } from "./alignment.ts";
import type { Schedule } from "./schedules.ts";

/** An optimizer's state between steps: the step counter, and trees like the parameters by name. */
export interface OptimizerState {
  /** int32 scalar: the number of updates made. */
  readonly step: Tensor;
  /**
   * The learning rate `learningRate`, a float32 scalar, unless a schedule gives it; and state per parameter,
   * such as `momentum`: a tree like the parameters.
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
}

/** Options of {@linkcode sgd}. */
export interface SgdOptions extends OptimizerOptions {
  /** The fraction of the previous step that is added again, 0 to 1; default 0. */
  readonly momentum?: number;
  /** Whether to use Nesterov momentum; default false. */
  readonly nesterov?: boolean;
}

/** Options of {@linkcode rmsprop}. */
export interface RmspropOptions extends OptimizerOptions {
  /** The decay rate of the mean of squares; default 0.9. */
  readonly rho?: number;
  /** The fraction of the previous step that is added again; default 0. */
  readonly momentum?: number;
  /** Added to the mean of squares, inside the root; default 1e-7. */
  readonly epsilon?: number;
  /** Whether the squared mean of gradients is subtracted from the mean of squares; default false. */
  readonly centered?: boolean;
}

/** Options of {@linkcode adam}. */
export interface AdamOptions extends OptimizerOptions {
  /** The decay rate of the mean of gradients; default 0.9. */
  readonly beta1?: number;
  /** The decay rate of the mean of squares; default 0.999. */
  readonly beta2?: number;
  /** Added to the root of the mean of squares; default 1e-7. */
  readonly epsilon?: number;
  /** Whether the largest mean of squares so far is used; default false. */
  readonly amsgrad?: boolean;
}

const commonOptions = ["learningRate", "weightDecay", "clipnorm", "globalClipnorm", "clipvalue"];

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
  const rate = typeof learningRate === "number"
    ? learningRate
    : { type: learningRate.type, options: learningRate.options };
  return { learningRate: rate, weightDecay, clipnorm, globalClipnorm, clipvalue };
}

/** An optimizer defined by its step for one leaf. */
function optimizer(
  type: string,
  given: OptimizerOptions,
  defaults: { readonly learningRate: number },
  own: {
    readonly options: Record<string, Json>;
    readonly slots: readonly string[];
    /**
     * Values shared by all leaves are computed once, from the learning rate and the number of earlier
     * updates.
     */
    prepare(rate: Tensor, step: Tensor): LeafStep;
  },
): Optimizer {
  const learningRate = given.learningRate ?? defaults.learningRate;
  const options = { ...checkCommon(type, given, learningRate), ...own.options };
  const { weightDecay } = given;
  return made<Optimizer>({
    type,
    options,
    init(params) {
      const { leaves, structure } = flattenTree<Tensor>(params, "params");
      const slot = () => unflattenTree<Tree<Tensor>>(structure, leaves.map(zerosLike));
      return {
        step: tensor(0, { dtype: "int32" }),
        ...(typeof learningRate === "number" && { learningRate: tensor(learningRate) }),
        ...Object.fromEntries(own.slots.map((name) => [name, slot()])),
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
      const before = own.slots.map((name) => {
        const slot: Tree<Tensor> | undefined = state[name];
        if (slot === undefined) {
          throw new TypeError(
            `Cannot update with ${type}: the state has no ${name}; make it with init(params)`,
          );
        }
        checkSameStructure(params, slot, { first: "the parameters", second: `the optimizer's ${name}` });
        return flattenTree<Tensor>(slot).leaves;
      });
      const rate = typeof learningRate === "number" ? rateOf(type, state) : learningRate.rate(state.step);
      const step = own.prepare(rate, state.step);
      const steps = clipGradients(raw, given).map((gradient, index) => {
        const slots = Object.fromEntries(own.slots.map((name, slot) => [name, before[slot][index]]));
        return step(gradient, slots);
      });
      const after = leaves.map((value, index) => {
        const leafRate = cast(rate, value.dtype);
        const decayed = weightDecay ? sub(value, mul(mul(value, weightDecay), leafRate)) : value;
        return sub(decayed, steps[index].taken);
      });
      const slots = own.slots.map((name) => [
        name,
        unflattenTree<Tree<Tensor>>(structure, steps.map((step) => step.slots[name])),
      ]);
      return [
        unflattenTree<Params>(structure, after),
        { ...state, step: add(state.step, 1), ...Object.fromEntries(slots) },
      ];
    },
  }, { main: "update", parts: typeof learningRate === "number" ? [] : [learningRate] });
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

/** `rho · mean + (1 - rho) · value`. */
function movingMean(rho: number, mean: Tensor, value: Tensor): Tensor {
  return add(mul(mean, rho), mul(value, 1 - rho));
}

/**
 * Gradient descent, with momentum (Polyak, 1964) or Nesterov's (Sutskever et al., 2013):
 * `v = momentum · v - rate · g`, then `w += v`, or with `nesterov` `w += momentum · v - rate · g`.
 *
 * @throws RangeError for an unknown option, a value out of range, or more than one way of clipping.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { item, sgd, tensor } from "@cellfold/cellfold";
 * const optimizer = sgd({ learningRate: 0.5 });
 * const params = { w: tensor(1) };
 * const [next] = optimizer.update({ w: tensor(1) }, optimizer.init(params), params);
 * assertEquals(item(next.w), 0.5);
 * ```
 */
export function sgd(options: SgdOptions = {}): Optimizer {
  checkOptions("sgd", options, [...commonOptions, "momentum", "nesterov"]);
  const { momentum = 0, nesterov = false } = options;
  checkRange("sgd", "momentum", momentum, { low: 0, high: 1 });
  return optimizer("sgd", options, { learningRate: 0.01 }, {
    options: { momentum, nesterov },
    slots: momentum === 0 ? [] : ["momentum"],
    prepare: (rate) => (gradient, slots) => {
      const plain = mul(gradient, cast(rate, gradient.dtype));
      if (momentum === 0) return { taken: plain, slots };
      const velocity = sub(mul(slots.momentum, momentum), plain);
      const taken = nesterov ? sub(plain, mul(velocity, momentum)) : neg(velocity);
      return { taken, slots: { momentum: velocity } };
    },
  });
}

/**
 * RMSprop (Hinton, 2012): the gradient divided by the root of the moving mean of its squares, `epsilon`
 * inside the root.
 *
 * @throws RangeError for an unknown option, a value out of range, or more than one way of clipping.
 */
export function rmsprop(options: RmspropOptions = {}): Optimizer {
  checkOptions("rmsprop", options, [...commonOptions, "rho", "momentum", "epsilon", "centered"]);
  const { rho = 0.9, momentum = 0, epsilon = 1e-7, centered = false } = options;
  checkRange("rmsprop", "rho", rho, { low: 0, high: 1 });
  checkRange("rmsprop", "momentum", momentum, { low: 0, high: 1 });
  checkRange("rmsprop", "epsilon", epsilon, { low: 0 });
  return optimizer("rmsprop", options, { learningRate: 0.001 }, {
    options: { rho, momentum, epsilon, centered },
    slots: ["velocity", ...(momentum > 0 ? ["momentum"] : []), ...(centered ? ["averageGradient"] : [])],
    prepare: (rate) => (raw, slots) => {
      const gradient = squarable(raw);
      const velocity = movingMean(rho, slots.velocity, square(gradient));
      const averageGradient = centered && movingMean(rho, slots.averageGradient, gradient);
      const spread = averageGradient ? sub(velocity, square(averageGradient)) : velocity;
      const plain = div(mul(gradient, cast(rate, gradient.dtype)), sqrt(add(spread, epsilon)));
      const taken = momentum > 0 ? add(mul(slots.momentum, momentum), plain) : plain;
      return { taken, slots: { velocity, momentum: taken, ...(averageGradient && { averageGradient }) } };
    },
  });
}

/**
 * `1 - beta^n` without cancellation, for the beta rounded to float32, since Keras computes the power in
 * float32.
 */
function debias(beta: number, n: Tensor): Tensor {
  // A beta of 0 has the logarithm -∞, which not every backend handles; e^-100 is 0 next to 1.
  const logarithm = Math.max(Math.log(Math.fround(beta)), -100);
  return neg(expm1(mul(n, logarithm)));
}

function adamLike(type: "adam" | "adamw", options: AdamOptions): Optimizer {
  checkOptions(type, options, [...commonOptions, "beta1", "beta2", "epsilon", "amsgrad"]);
  const { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-7, amsgrad = false } = options;
  for (const [name, beta] of [["beta1", beta1], ["beta2", beta2]] as const) {
    checkRange(type, name, beta, { low: 0, high: 1 - 2 ** -24 });
  }
  checkRange(type, "epsilon", epsilon, { low: 0 });
  return optimizer(type, options, { learningRate: 0.001 }, {
    options: { beta1, beta2, epsilon, amsgrad },
    slots: ["momentum", "velocity", ...(amsgrad ? ["velocityHat"] : [])],
    prepare(rate, step) {
      const n = cast(add(step, 1), "float32");
      const alpha = div(mul(rate, sqrt(debias(beta2, n))), debias(beta1, n));
      return (raw, slots) => {
        const gradient = squarable(raw);
        const momentum = add(slots.momentum, mul(sub(gradient, slots.momentum), 1 - beta1));
        const velocity = add(slots.velocity, mul(sub(square(gradient), slots.velocity), 1 - beta2));
        const velocityHat = amsgrad ? maximum(slots.velocityHat, velocity) : velocity;
        const taken = div(mul(momentum, cast(alpha, gradient.dtype)), add(sqrt(velocityHat), epsilon));
        return { taken, slots: { momentum, velocity, velocityHat } };
      };
    },
  });
}

/**
 * Adam (Kingma and Ba, 2014): bias-corrected moving means of the gradient and its square, `epsilon` outside
 * the root; with `amsgrad`, the largest mean of squares so far (Reddi et al., 2018).
 *
 * @throws RangeError for an unknown option, a value out of range, or more than one way of clipping.
 */
export function adam(options: AdamOptions = {}): Optimizer {
  return adamLike("adam", options);
}

/**
 * {@linkcode adam} with decoupled weight decay (Loshchilov and Hutter, 2017); `weightDecay` is 0.004 by
 * default.
 *
 * @throws RangeError for an unknown option, a value out of range, no weight decay, or more than one way of
 * clipping.
 */
export function adamw(options: AdamOptions = {}): Optimizer {
  checkObject("make adamw", options, "the options");
  const { weightDecay = 0.004 } = options;
  checkRange("adamw", "weightDecay", weightDecay, { low: 0 });
  return adamLike("adamw", { ...options, weightDecay });
}

/** The name of an optimizer. */
export type OptimizerName = "sgd" | "rmsprop" | "adam" | "adamw";

const byName: Record<OptimizerName, () => Optimizer> = { sgd, rmsprop, adam, adamw };

/** All names of optimizers. */
export const optimizerNames: readonly OptimizerName[] = Object.keys(byName) as OptimizerName[]; // keys of `byName`

/**
 * An optimizer as training accepts it: by name, with the default options, or made by a function such as
 * {@linkcode sgd}.
 */
export type OptimizerLike = OptimizerName | Optimizer;

/**
 * The optimizer for a name, or the optimizer itself; a copy of one with other data is refused with a
 * TypeError.
 *
 * @throws RangeError for an unknown name, with the nearest known one; TypeError for anything that is not an
 * optimizer.
 */
export function resolveOptimizer(optimizer: OptimizerLike): Optimizer {
  if (typeof optimizer === "string") {
    if (!Object.hasOwn(byName, optimizer)) throw unknownName("optimizer", optimizer, optimizerNames);
    return byName[optimizer]();
  }
  if (typeof optimizer?.update !== "function") {
    throw wrongKind("use an optimizer", optimizer, "it", "a name or an optimizer such as sgd()");
  }
  checkAsMade(optimizer);
  return optimizer;
}
