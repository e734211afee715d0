/**
 * Sums of cotangents along rows in normalizations. The cotangent of `x - mean(x)` is summed for that of the mean, and has
 * terms such as `a·s + (x - mean(x))·t`, where s and t are numbers of a row, and t follows from another sum of that row. As
 * a tensor minus its own mean sums to 0, the sum is s·Σa: all sums can be taken while the elements are gone over once.
 */
import { applyOne } from "../operations/apply.ts";
import { mul, neg } from "../operations/elementwise.ts";
import { broadcastOperation, reshape, sum } from "../operations/structure.ts";
import { isTraced, producerOf, valueOf } from "../program/trace.ts";
import { type EquationOf, isEquation, type OperationName } from "../program/types.ts";
import { type Dim, sameShape, type Shape, sizeOfShape } from "../tensor/dims.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** The most terms of a sum that are looked at. */
const MOST_TERMS = 8;

/**
 * The sum of a cotangent over `axes`. It is the plain one unless all terms but one sum to 0 as above. Over the first axis,
 * the batch, it always is: such sums are often taken over time as well, and leave the loop in that form.
 */
export function sumOfCotangent(cotangent: Tensor, axes: readonly number[]): Tensor {
  const terms = axes.includes(0)
    ? []
    : termsOf(cotangent).map((term) => ({ ...term, ...factored(term.of, axes) }));
  const others = terms.filter(({ of }) => !isCentered(of, axes));
  if (others.length !== 1 || terms.length === 1) return sum(cotangent, { axes });
  const [{ of, factor, isNegative }] = others;
  const plain = sum(of, { axes }), scaled = factor ? mul(plain, factor()) : plain;
  return isNegative ? neg(scaled) : scaled;
}

interface Term {
  readonly of: Tensor;
  readonly isNegative: boolean;
}

/** What is added up to a tensor; itself alone if that is a lot. */
function termsOf(tensor: Tensor): Term[] {
  const terms: Term[] = [], open: Term[] = [{ of: tensor, isNegative: false }];
  for (let term = open.pop(); term; term = open.pop()) {
    if (terms.length + open.length >= MOST_TERMS) return [{ of: tensor, isNegative: false }];
    const { of, isNegative } = term, { equation, operands: [a, b] = [] } = producerOf(of) ?? {};
    const name = equation?.operation.name;
    if (name === "neg") open.push({ of: a, isNegative: !isNegative });
    else if (name === "add") open.push({ of: b, isNegative }, { of: a, isNegative });
    else if (name === "sub") open.push({ of: b, isNegative: !isNegative }, { of: a, isNegative });
    else terms.push(term);
  }
  return terms;
}

/** A term without a factor that is constant along `axes`, and the factor, which is emitted when it is asked for. */
function factored(
  of: Tensor,
  axes: readonly number[],
): { readonly of: Tensor; readonly factor?: () => Tensor } {
  const [a, b] = producedBy(of, "mul")?.operands ?? [];
  if (a === undefined) return { of };
  const second = constantAlong(b, axes), first = second ? undefined : constantAlong(a, axes);
  return second ? { of: a, factor: second } : first ? { of: b, factor: first } : { of };
}

/** Emits a tensor that is constant along `axes` without these; undefined if it is not known to be. */
function constantAlong(tensor: Tensor, axes: readonly number[]): (() => Tensor) | undefined {
  const spread = spreadAlong(tensor, axes);
  return spread && (() =>
    applyOne(broadcastOperation, [reshape(spread.from, spread.shape)], {
      shape: spread.to,
      axes: spread.places,
    }));
}

/** What a tensor that is repeated along `axes` is made of. */
interface Spread {
  readonly from: Tensor;
  /** The shape of `from` without `axes`. */
  readonly shape: Shape;
  /** The shape of the whole without `axes`, and where in it those of `shape` are. */
  readonly to: Shape;
  readonly places: readonly number[];
}

function spreadAlong(tensor: Tensor, axes: readonly number[]): Spread | undefined {
  const producer = producedBy(tensor, "broadcast");
  if (!producer) return undefined;
  const { equation: { attributes }, operands: [from] } = producer;
  const isSummed = (axis: number) => axes.includes(attributes.axes[axis]);
  if (from.shape.some((size, axis) => isSummed(axis) && size !== 1)) return undefined;
  const own = from.shape.map((_, axis) => axis).filter((axis) => !isSummed(axis));
  const kept = attributes.shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
  return {
    from,
    shape: own.map((axis) => from.shape[axis]),
    to: kept.map((axis) => attributes.shape[axis]),
    places: own.map((axis) => kept.indexOf(attributes.axes[axis])),
  };
}

/** Whether a tensor is another one minus its mean over `axes`, which sums to 0 but for rounding. */
function isCentered(tensor: Tensor, axes: readonly number[]): boolean {
  const [whole, repeated] = producedBy(tensor, "sub")?.operands ?? [];
  const spread = repeated && spreadAlong(repeated, axes);
  // Each mean is repeated along the row that it is of: no axis is missing or elsewhere, and reshaping keeps the order.
  if (!spread || !sameShape(spread.shape, spread.to) || spread.places.some((place, axis) => place !== axis)) {
    return false;
  }
  const [total, count] = producedBy(reshaped(spread.from), "div")?.operands ?? [];
  const summed = total && producedBy(reshaped(total), "sum");
  return summed !== undefined && isSame(summed.operands[0], whole) &&
    summed.equation.attributes.axes.length === axes.length &&
    summed.equation.attributes.axes.every((axis) => axes.includes(axis)) &&
    isNumber(count, sizeOfShape(axes.map((axis) => whole.shape[axis])));
}

/** A tensor before it was reshaped. */
function reshaped(tensor: Tensor): Tensor {
  const producer = producedBy(tensor, "reshape");
  return producer ? reshaped(producer.operands[0]) : tensor;
}

/** Whether all elements of a tensor are known to be a size. */
function isNumber(tensor: Tensor, size: Dim): boolean {
  const repeated = producedBy(tensor, "broadcast") ?? producedBy(tensor, "reshape");
  if (repeated) return isNumber(repeated.operands[0], size);
  const dim = producedBy(tensor, "size")?.equation.attributes.dim;
  if (dim !== undefined) return sameShape([dim], [size]);
  const known = tensor.kind === "host" ? tensor : producedBy(tensor, "constant")?.equation.attributes.value;
  return known?.data.length === 1 && known.data[0] === size;
}

function isSame(a: Tensor, b: Tensor): boolean {
  return isTraced(a) && isTraced(b) && valueOf(a) === valueOf(b);
}

/** The producer of a tensor if it is an equation with this operation. */
function producedBy<K extends OperationName>(
  tensor: Tensor,
  name: K,
): { readonly equation: EquationOf<K>; readonly operands: readonly Tensor[] } | undefined {
  const producer = producerOf(tensor);
  if (!producer || !isEquation(producer.equation, name)) return undefined;
  return { equation: producer.equation as EquationOf<K>, operands: producer.operands }; // as its name says
}
