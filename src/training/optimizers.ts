/** Optimizers, by Keras 3's formulas, and an optimizer as training accepts it. What they share is in optimizer.ts. */
import { checkObject, wrongKind } from "../describe.ts";
import { checkRange } from "../options/checks.ts";
import { unknownName } from "../known_names.ts";
import { checkOptions } from "../option_names.ts";
import {
  add,
  cast,
  div,
  exp,
  expm1,
  maximum,
  mul,
  neg,
  sign,
  sqrt,
  square,
  sub,
} from "../operations/elementwise.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { checkAsMade } from "../options/made.ts";
import { squarable } from "./gradients.ts";
import { commonOptions, type Optimizer, optimizer, type OptimizerOptions } from "./optimizer.ts";

export type { Optimizer, OptimizerOptions, OptimizerState } from "./optimizer.ts";

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

/** Options of {@linkcode adagrad}. */
export interface AdagradOptions extends OptimizerOptions {
  /** Where the sum of squares begins; default 0.1. */
  readonly initialAccumulatorValue?: number;
  /** Added to the sum of squares, inside the root; default 1e-7. */
  readonly epsilon?: number;
}

/** Options of {@linkcode nadam}. */
export interface NadamOptions extends OptimizerOptions {
  /** The decay rate of the mean of gradients; default 0.9. */
  readonly beta1?: number;
  /** The decay rate of the mean of squares; default 0.999. */
  readonly beta2?: number;
  /** Added to the root of the mean of squares; default 1e-7. */
  readonly epsilon?: number;
}

/** Options of {@linkcode lion}. */
export interface LionOptions extends OptimizerOptions {
  /** How much of the mean of gradients is in a step, above 0 to 1; default 0.9. */
  readonly beta1?: number;
  /** The decay rate of the mean of gradients; default 0.99. */
  readonly beta2?: number;
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

/**
 * Adagrad (Duchi et al., 2011): the gradient divided by the root of the sum of its squares, `epsilon` inside the root.
 *
 * @throws RangeError for an unknown option, a value out of range, or more than one way of clipping.
 */
export function adagrad(options: AdagradOptions = {}): Optimizer {
  checkOptions("adagrad", options, [...commonOptions, "initialAccumulatorValue", "epsilon"]);
  const { initialAccumulatorValue = 0.1, epsilon = 1e-7 } = options;
  checkRange("adagrad", "initialAccumulatorValue", initialAccumulatorValue, { low: 0 });
  checkRange("adagrad", "epsilon", epsilon, { low: 0 });
  return optimizer("adagrad", options, { learningRate: 0.001 }, {
    options: { initialAccumulatorValue, epsilon },
    slots: ["accumulator"],
    initial: initialAccumulatorValue,
    prepare: (rate) => (raw, slots) => {
      const gradient = squarable(raw);
      const accumulator = add(slots.accumulator, square(gradient));
      const taken = div(mul(gradient, cast(rate, gradient.dtype)), sqrt(add(accumulator, epsilon)));
      return { taken, slots: { accumulator } };
    },
  });
}

/** How much of the mean of gradients a step of {@linkcode nadam} has, from the number of updates before it. */
function nadamMomentum(beta1: number, updates: Tensor): Tensor {
  return mul(sub(1, mul(0.5, exp(mul(add(updates, 1), Math.log(0.96))))), beta1);
}

/**
 * Nadam (Dozat, 2016): Adam with Nesterov momentum, and a momentum that grows toward `beta1`.
 *
 * @throws RangeError for an unknown option, a value out of range, or more than one way of clipping.
 */
export function nadam(options: NadamOptions = {}): Optimizer {
  checkOptions("nadam", options, [...commonOptions, "beta1", "beta2", "epsilon"]);
  const { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-7 } = options;
  for (const [name, beta] of [["beta1", beta1], ["beta2", beta2]] as const) {
    checkRange("nadam", name, beta, { low: 0, high: 1 - 2 ** -24 });
  }
  checkRange("nadam", "epsilon", epsilon, { low: 0 });
  return optimizer("nadam", options, { learningRate: 0.001 }, {
    options: { beta1, beta2, epsilon },
    slots: ["momentum", "velocity"],
    shared: {
      name: "momentumProduct",
      initial: 1,
      next: (product, step) => mul(product, nadamMomentum(beta1, cast(step, "float32"))),
    },
    prepare(rate, step, product) {
      if (!product) throw new Error("Cannot update with nadam: there is no product of its momenta");
      const before = cast(step, "float32");
      const now = nadamMomentum(beta1, before);
      const later = nadamMomentum(beta1, add(before, 1));
      const ofMean = div(later, sub(1, mul(product, later)));
      const ofGradient = div(sub(1, now), sub(1, product));
      const ofSquares = debias(beta2, add(before, 1));
      return (raw, slots) => {
        const gradient = squarable(raw);
        const as = (x: Tensor) => cast(x, gradient.dtype);
        const momentum = add(slots.momentum, mul(sub(gradient, slots.momentum), 1 - beta1));
        const velocity = add(slots.velocity, mul(sub(square(gradient), slots.velocity), 1 - beta2));
        const direction = add(mul(momentum, as(ofMean)), mul(gradient, as(ofGradient)));
        const taken = div(mul(direction, as(rate)), add(sqrt(div(velocity, as(ofSquares))), epsilon));
        return { taken, slots: { momentum, velocity } };
      };
    },
  });
}

/**
 * Lion (Chen et al., "Symbolic discovery of optimization algorithms", 2023): every weight takes a step of the learning
 * rate, in the direction of a mean of gradients.
 *
 * @throws RangeError for an unknown option, a value out of range, or more than one way of clipping.
 */
export function lion(options: LionOptions = {}): Optimizer {
  checkOptions("lion", options, [...commonOptions, "beta1", "beta2"]);
  const { beta1 = 0.9, beta2 = 0.99 } = options;
  checkRange("lion", "beta1", beta1, { above: 0, high: 1 });
  checkRange("lion", "beta2", beta2, { low: 0, high: 1 });
  return optimizer("lion", options, { learningRate: 0.001 }, {
    options: { beta1, beta2 },
    slots: ["momentum"],
    prepare: (rate) => (gradient, slots) => ({
      taken: mul(sign(movingMean(beta1, slots.momentum, gradient)), cast(rate, gradient.dtype)),
      slots: { momentum: movingMean(beta2, slots.momentum, gradient) },
    }),
  });
}

/** The name of an optimizer. */
export type OptimizerName = "sgd" | "rmsprop" | "adam" | "adamw" | "adagrad" | "nadam" | "lion";

const byName: Record<OptimizerName, () => Optimizer> = { sgd, rmsprop, adam, adamw, adagrad, nadam, lion };

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
