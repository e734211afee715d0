/**
 * Sums of cotangents along rows, with what is constant along a row outside: Σ (a·s + b·t) is s·Σa + t·Σb, and what is
 * less by its own mean has the sum 0. Where s or t follow from another sum of the same rows, as in a normalization, all
 * sums can then be taken while the elements are gone over once.
 */
import { applyOne } from "../operations/apply.ts";
import { div, mul, neg } from "../operations/elementwise.ts";
import { broadcastOperation, reshape, sum } from "../operations/structure.ts";
import { isTraced, makingOf, valueOf } from "../program/trace.ts";
import { type EquationOf, isEquation, type OperationName } from "../program/types.ts";
import { type Dim, sameShape, sizeOfShape } from "../tensor/dims.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { addCotangents, zerosIfAbsent } from "./cotangents.ts";

/** Emits a tensor; undefined means zero. */
type Emit = () => Tensor | undefined;

/**
 * The sum of a cotangent over `axes`. Sums over the first axis, the batch, are often summed over time as well, and stay in
 * the form in which that leaves the loop.
 */
export function sumOfCotangent(cotangent: Tensor, axes: readonly number[]): Tensor {
  const factored = axes.includes(0) ? undefined : withoutFactors(cotangent, axes);
  if (!factored) return sum(cotangent, { axes });
  const kept = cotangent.shape.filter((_, axis) => !axes.includes(axis));
  return zerosIfAbsent(factored(), { shape: kept, dtype: cotangent.dtype });
}

/** The sum of a tensor all of whose terms have a factor that is constant along `axes`; undefined for others. */
function withoutFactors(terms: Tensor, axes: readonly number[]): Emit | undefined {
  const making = makingOf(terms);
  if (!making) return undefined;
  const { equation, operands: [a, b] } = making;
  const first = () => withoutFactors(a, axes), second = () => withoutFactors(b, axes);
  switch (equation.operation.name) {
    case "neg": {
      const x = first();
      return x && (() => negative(x()));
    }
    case "add": {
      const x = first(), y = x && second();
      return y && (() => addCotangents(x(), y()));
    }
    case "sub": {
      const x = first(), y = x && second();
      return y && (() => addCotangents(x(), negative(y())));
    }
    case "mul": {
      const factor = constantAlong(b, axes);
      if (factor) return scaled(a, axes, (x) => mul(x, factor()));
      const other = constantAlong(a, axes);
      return other && scaled(b, axes, (x) => mul(other(), x));
    }
    case "div": {
      const divisor = constantAlong(b, axes);
      return divisor && scaled(a, axes, (x) => div(x, divisor()));
    }
    default:
      return undefined;
  }
}

function negative(x: Tensor | undefined): Tensor | undefined {
  return x && neg(x);
}

/** What `scale` makes of the sum of `x`. */
function scaled(x: Tensor, axes: readonly number[], scale: (sum: Tensor) => Tensor): Emit {
  if (isLessItsMean(x, axes)) return () => undefined;
  const inner = withoutFactors(x, axes) ?? (() => sum(x, { axes }));
  return () => {
    const total = inner();
    return total && scale(total);
  };
}

/** Emits a tensor that is constant along `axes` without these; undefined if it is not known to be. */
function constantAlong(tensor: Tensor, axes: readonly number[]): (() => Tensor) | undefined {
  const making = madeBy(tensor, "broadcast");
  if (!making) return undefined;
  const { equation: { attributes }, operands: [x] } = making;
  const isSummed = (from: number) => axes.includes(attributes.axes[from]);
  if (x.shape.some((size, from) => isSummed(from) && size !== 1)) return undefined;
  const from = x.shape.map((_, axis) => axis).filter((axis) => !isSummed(axis));
  const kept = attributes.shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
  return () =>
    applyOne(broadcastOperation, [reshape(x, from.map((axis) => x.shape[axis]))], {
      shape: kept.map((axis) => attributes.shape[axis]),
      axes: from.map((axis) => kept.indexOf(attributes.axes[axis])),
    });
}

/** Whether `x` is a tensor less its mean over `axes`, which sums to 0 but for rounding. */
function isLessItsMean(x: Tensor, axes: readonly number[]): boolean {
  const [whole, repeated] = madeBy(x, "sub")?.operands ?? [];
  const [total, count] = madeBy(repeated && unspread(repeated), "div")?.operands.map(unspread) ?? [];
  const summed = madeBy(total, "sum");
  return summed !== undefined && isSame(summed.operands[0], whole) &&
    summed.equation.attributes.axes.length === axes.length &&
    summed.equation.attributes.axes.every((axis) => axes.includes(axis)) &&
    isNumber(count, sizeOfShape(axes.map((axis) => whole.shape[axis])));
}

/** A tensor before its elements were repeated or moved to other axes. */
function unspread(x: Tensor): Tensor {
  const making = madeBy(x, "broadcast") ?? madeBy(x, "reshape");
  return making ? unspread(making.operands[0]) : x;
}

/** Whether a tensor is known to be one number, given as a size. */
function isNumber(x: Tensor, size: Dim): boolean {
  const dim = madeBy(x, "size")?.equation.attributes.dim;
  if (dim !== undefined) return sameShape([dim], [size]);
  const known = x.kind === "host" ? x : madeBy(x, "constant")?.equation.attributes.value;
  return known?.data.length === 1 && known.data[0] === size;
}

function isSame(a: Tensor, b: Tensor): boolean {
  return isTraced(a) && isTraced(b) && valueOf(a) === valueOf(b);
}

/** What `makingOf` finds if it is an equation with this operation. */
function madeBy<K extends OperationName>(
  tensor: Tensor | undefined,
  name: K,
): { readonly equation: EquationOf<K>; readonly operands: readonly Tensor[] } | undefined {
  const making = tensor && makingOf(tensor);
  if (!making || !isEquation(making.equation, name)) return undefined;
  return { equation: making.equation as EquationOf<K>, operands: making.operands }; // as its name says
}
