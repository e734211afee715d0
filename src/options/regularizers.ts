/**
 * The regularizers of Keras 3: a penalty of a tensor, which training adds to the loss. A regularizer is a name,
 * plain data (saved unchanged), or a user's function. Which tensors are penalized is said by layers and cells
 * (weight_rules.ts, and `activityRegularizer` of layers).
 */
import { describeValue, isObject, wrongKind } from "../describe.ts";
import { unknownName } from "../known_names.ts";
import { abs, add, div, equal, maximum, mul, select, sqrt, sub } from "../operations/elementwise.ts";
import { iota } from "../operations/indexing.ts";
import { isFloat } from "../operations/infer.ts";
import { matmul } from "../operations/matmul.ts";
import { sizeAsTensor } from "../operations/reduction.ts";
import { sum } from "../operations/structure.ts";
import { checkOptions } from "../option_names.ts";
import { quoted } from "../quoted.ts";
import { isTensor, printSpec, type Tensor, tensor } from "../tensor/tensor.ts";
import { checkRange } from "./checks.ts";
import { functionOption, type Json } from "./json.ts";

/** The penalty of a tensor: a float scalar. Pure, traceable. */
export type Regularizer = (x: Tensor) => Tensor;

/** `l1 · Σ|x| + l2 · Σx²`; each factor is 0 if it is left out. */
export interface NormPenalty {
  /** The factor of the sum of magnitudes, 0 or more. */
  readonly l1?: number;
  /** The factor of the sum of squares, 0 or more. */
  readonly l2?: number;
}

/**
 * `factor` times the mean of |cos| of the angles between the rows (or columns) of a matrix: it is 0 if they are
 * orthogonal to each other, as Keras's `OrthogonalRegularizer`. A matrix of one row has no penalty.
 */
export interface OrthogonalPenalty {
  /** The name. */
  readonly name: "orthogonal";
  /** Default 0.01. */
  readonly factor?: number;
  /** Whether `rows` (default) or `columns` are to be orthogonal. */
  readonly mode?: "rows" | "columns";
}

/** The names of regularizers: `{ l1: 0.01 }`, `{ l2: 0.01 }` and `{ name: "orthogonal" }`. */
export type RegularizerName = "l1" | "l2" | "orthogonal";

/** A regularizer as a layer accepts it. */
export type RegularizerLike = RegularizerName | NormPenalty | OrthogonalPenalty | Regularizer;

/** The factor of a regularizer that is given by name, as in Keras. */
const FACTOR = 0.01;

/** The shortest vector that is brought to the length 1: Keras's epsilon. */
const SHORTEST = 1e-7;

const named: Readonly<Record<RegularizerName, NormPenalty | OrthogonalPenalty>> = {
  l1: { l1: FACTOR },
  l2: { l2: FACTOR },
  orthogonal: { name: "orthogonal" },
};

/**
 * The function for a regularizer.
 *
 * @param owner The layer or cell, for errors.
 * @param option The name of the option.
 * @returns A function that throws a TypeError for a tensor that it cannot penalize.
 * @throws RangeError for an unknown name or option, or a factor that is negative or not finite; TypeError for
 *   anything that is no regularizer.
 */
export function resolveRegularizer(owner: string, option: string, given: RegularizerLike): Regularizer {
  if (typeof given === "function") return checkedPenalty(owner, option, given);
  if (typeof given === "string") {
    if (!Object.hasOwn(named, given)) throw unknownName("regularizer", given, Object.keys(named));
    return resolveRegularizer(owner, option, named[given]);
  }
  if (!isObject(given) || isTensor(given) || Object.values(given).every((value) => value === undefined)) {
    const expected = 'a name such as "l2", factors such as { l2: 0.01 }, or a function';
    throw wrongKind(`make ${owner}`, given, option, expected);
  }
  if (!("name" in given)) {
    checkOptions(`the ${option} of ${owner}`, given, ["l1", "l2"]);
    const { l1 = 0, l2 = 0 } = given;
    checkRange(owner, `${option}.l1`, l1, { low: 0 });
    checkRange(owner, `${option}.l2`, l2, { low: 0 });
    return (x) => ofNorms(checkedFloats(owner, option, x), l1, l2);
  }
  const { name }: { readonly name: unknown } = given;
  if (name === "l1" || name === "l2") {
    throw new RangeError(
      `Cannot make ${owner}: ${option} has the name ${
        quoted(name)
      }, expected its factor, as in { ${name}: ${FACTOR} }`,
    );
  }
  if (name !== "orthogonal") throw unknownName("regularizer", name, Object.keys(named));
  checkOptions(`the ${option} of ${owner}`, given, ["name", "factor", "mode"]);
  const { factor = FACTOR, mode = "rows" } = given;
  checkRange(owner, `${option}.factor`, factor, { low: 0 });
  if (mode !== "rows" && mode !== "columns") throw unknownName("mode", String(mode), ["rows", "columns"]);
  return (x) => ofAngles(checkedMatrix(owner, option, x), factor, mode);
}

/** A regularizer as it is saved. */
export function regularizerOption(owner: string, option: string, given: RegularizerLike): Json {
  if (typeof given === "function") return functionOption(owner, option);
  return typeof given === "string" ? given : { ...given };
}

function ofNorms(x: Tensor, l1: number, l2: number): Tensor {
  const terms = [
    ...(l1 === 0 ? [] : [mul(sum(abs(x)), l1)]),
    ...(l2 === 0 ? [] : [mul(sum(mul(x, x)), l2)]),
  ];
  return terms.length === 0 ? tensor(0, { dtype: x.dtype }) : terms.reduce((a, b) => add(a, b));
}

function ofAngles(x: Tensor, factor: number, mode: "rows" | "columns"): Tensor {
  const [of, along] = mode === "rows" ? [0, 1] : [1, 0];
  const squares = sum(mul(x, x), { axes: along, keepDims: true });
  // The square is limited rather than its root, whose derivative at 0 is infinite.
  const unit = div(x, sqrt(maximum(squares, SHORTEST ** 2)));
  const products = mode === "rows"
    ? matmul(unit, unit, { transposeRight: true })
    : matmul(unit, unit, { transposeLeft: true });
  const isSelf = equal(iota(products.shape, { axis: 0 }), iota(products.shape, { axis: 1 }));
  const size = sizeAsTensor(x.shape[of], x.dtype);
  const pairs = maximum(mul(size, sub(size, 1)), 1); // one row has none, as the last batch of outputs may have
  return div(mul(sum(select(isSelf, 0, abs(products))), factor), pairs);
}

function checkedFloats(owner: string, option: string, x: Tensor): Tensor {
  if (isFloat(x)) return x;
  throw new TypeError(
    `Cannot use the ${option} of ${owner} with ${printSpec(x)}: only floats have a penalty; leave it out`,
  );
}

function checkedMatrix(owner: string, option: string, x: Tensor): Tensor {
  if (isFloat(x) && x.shape.length === 2) return x;
  throw new TypeError(
    `Cannot use the ${option} of ${owner} with ${printSpec(x)}: rows are orthogonal in a matrix of floats, ` +
      `with 2 axes; use "l2", or a function of your own`,
  );
}

/** A function of the user's, whose result is checked. */
function checkedPenalty(owner: string, option: string, regularizer: Regularizer): Regularizer {
  return (x) => {
    const penalty: unknown = regularizer(x);
    if (isTensor(penalty) && isFloat(penalty) && penalty.shape.length === 0) return penalty;
    throw new TypeError(
      `Cannot use the ${option} of ${owner}: it gives ${
        isTensor(penalty) ? printSpec(penalty) : describeValue(penalty)
      }, expected a float scalar; a sum over all axes is one`,
    );
  };
}
