/**
 * The constraints of Keras 3: what a weight is replaced by after each update of training. A constraint is a
 * name, a name with options (plain data, saved unchanged), or a user's function.
 */
import { describeValue, isObject, wrongKind } from "../describe.ts";
import { unknownName } from "../known_names.ts";
import { resolveAxes } from "../operations/axes.ts";
import { add, clip, div, maximum, mul, sqrt } from "../operations/elementwise.ts";
import { sum } from "../operations/structure.ts";
import { checkOptions } from "../option_names.ts";
import { quoted } from "../quoted.ts";
import { sameShape } from "../tensor/dims.ts";
import { isTensor, printSpec, type Tensor } from "../tensor/tensor.ts";
import { checkRange } from "./checks.ts";
import { functionOption, type Json } from "./json.ts";

/** What a weight becomes: a tensor of its shape and dtype. Pure, traceable. */
export type Constraint = (weight: Tensor) => Tensor;

/** The axes over which a norm is taken. */
export interface NormAxes {
  /**
   * One axis or several; default 0, the inputs of a matrix `[inputs, outputs]`. Those of a filter of a
   * two-dimensional convolution are `[0, 1, 2]`.
   */
  readonly axis?: number | readonly number[];
}

/** Options of each constraint, by name, named as in Keras. */
export interface ConstraintOptions {
  /** Elements below 0 become 0. */
  nonNeg: Readonly<Record<never, never>>;
  /** Vectors that are longer than `maxValue` (default 2) are brought to that length. */
  maxNorm: NormAxes & { readonly maxValue?: number };
  /** Vectors are brought to the length 1. */
  unitNorm: NormAxes;
  /**
   * Vectors are brought to a length from `minValue` (default 0) to `maxValue` (default 1); with a `rate` (default
   * 1) below 1 only by this fraction of the way.
   */
  minMaxNorm: NormAxes & { readonly minValue?: number; readonly maxValue?: number; readonly rate?: number };
}

/** The name of a constraint. */
export type ConstraintName = keyof ConstraintOptions;

/** A constraint with options, as plain data: `{ name: "maxNorm", maxValue: 3 }`. */
export type ConstraintConfig = {
  [Name in ConstraintName]: { readonly name: Name } & ConstraintOptions[Name];
}[ConstraintName];

/** A constraint as a layer accepts it. */
export type ConstraintLike = ConstraintName | ConstraintConfig | Constraint;

/** Added to a length before it divides, as in Keras. */
const EPSILON = 1e-7;

type Axes = number | readonly number[];

/** The weight with the length of its vectors changed. */
function rescaled(weight: Tensor, axis: Axes, desired: (norms: Tensor) => Tensor): Tensor {
  const norms = sqrt(sum(mul(weight, weight), { axes: axis, keepDims: true }));
  return mul(weight, div(desired(norms), add(norms, EPSILON)));
}

interface ConstraintRecord<Options> {
  readonly known: readonly (keyof Options & string)[];
  make(options: Options, check: (option: string, value: unknown, high?: number) => void): Constraint;
}

const records: { readonly [Name in ConstraintName]: ConstraintRecord<ConstraintOptions[Name]> } = {
  nonNeg: { known: [], make: () => (weight) => maximum(weight, 0) },
  maxNorm: {
    known: ["maxValue", "axis"],
    make: ({ maxValue = 2, axis = 0 }, check) => {
      check("maxValue", maxValue);
      return (weight) => rescaled(weight, axis, (norms) => clip(norms, { max: maxValue }));
    },
  },
  unitNorm: {
    known: ["axis"],
    make: ({ axis = 0 }) => (weight) => {
      const norms = sqrt(sum(mul(weight, weight), { axes: axis, keepDims: true }));
      return div(weight, add(norms, EPSILON));
    },
  },
  minMaxNorm: {
    known: ["minValue", "maxValue", "rate", "axis"],
    make: ({ minValue = 0, maxValue = 1, rate = 1, axis = 0 }, check) => {
      check("maxValue", maxValue);
      check("minValue", minValue, maxValue);
      check("rate", rate, 1);
      const desired = (norms: Tensor) => {
        const within = clip(norms, { min: minValue, max: maxValue });
        return rate === 1 ? within : add(mul(within, rate), mul(norms, 1 - rate));
      };
      return (weight) => rescaled(weight, axis, desired);
    },
  },
};

/** All names of constraints. */
export const constraintNames: readonly ConstraintName[] = Object.keys(records) as ConstraintName[]; // keys of `records`

/**
 * The function for a constraint.
 *
 * @param owner The layer or cell, for errors.
 * @param option The name of the option.
 * @returns A function that throws a TypeError for a weight that it cannot constrain.
 * @throws RangeError for an unknown name or option, or a value out of range; TypeError for anything that is no
 *   constraint.
 */
export function resolveConstraint(owner: string, option: string, given: ConstraintLike): Constraint {
  if (typeof given === "function") return checkedConstraint(owner, option, given);
  const config: unknown = typeof given === "string" ? { name: given } : given;
  if (!isObject(config) || !("name" in config) || typeof config.name !== "string") {
    const expected =
      'a name such as "nonNeg", a name with options such as { name: "maxNorm", maxValue: 3 }, ' +
      "or a function";
    throw wrongKind(`make ${owner}`, given, option, expected);
  }
  const { name, ...options } = config;
  if (!Object.hasOwn(records, name)) throw unknownName("constraint", name, constraintNames);
  const record = records[name as ConstraintName] as ConstraintRecord<object>; // the options are checked against it next
  checkOptions(`the ${option} of ${owner}`, options, record.known);
  const { axis = 0 } = options as NormAxes; // checked next
  if (![axis].flat().every(Number.isInteger) || [axis].flat().length === 0) {
    throw new RangeError(
      `Cannot make ${owner}: ${option}.axis is ${quoted(axis)}, expected a whole number or a list of them`,
    );
  }
  const constraint = record.make(options, (option_, value, high) => {
    checkRange(owner, `${option}.${option_}`, value, { low: 0, ...(high === undefined ? {} : { high }) });
  });
  if (!(record.known as readonly string[]).includes("axis")) return constraint;
  return (weight) => {
    resolveAxes(axis, weight.shape.length, `use the ${option} of ${owner}`); // throws for one that is not there
    return constraint(weight);
  };
}

/** A constraint as it is saved. */
export function constraintOption(owner: string, option: string, given: ConstraintLike): Json {
  if (typeof given === "function") return functionOption(owner, option);
  return typeof given === "string" ? given : { ...given };
}

/** A function of the user's, whose result is checked. */
function checkedConstraint(owner: string, option: string, constraint: Constraint): Constraint {
  return (weight) => {
    const next: unknown = constraint(weight);
    if (isTensor(next) && next.dtype === weight.dtype && sameShape(next.shape, weight.shape)) return next;
    throw new TypeError(
      `Cannot use the ${option} of ${owner}: it gives ${
        isTensor(next) ? printSpec(next) : describeValue(next)
      }, expected ${printSpec(weight)}, as the weight is`,
    );
  };
}
