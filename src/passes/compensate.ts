/**
 * Compensate: a carry that only sums something over many steps, and is not read before the end, keeps its
 * rounding errors (Kahan, "Further remarks on reducing truncation errors", 1965), so that a sum over a
 * hundred thousand steps is as accurate as one over ten. Sums that a step reads, such as a running total, are
 * the user's arithmetic and are not changed.
 */
import { abs, add, less, select, sub } from "../operations/elementwise.ts";
import { isFloat } from "../operations/infer.ts";
import { foldFlat } from "../operations/scan.ts";
import { zerosLike } from "../operations/creation.ts";
import { inline } from "../program/trace.ts";
import { type EquationOf, isEquation, type Program, type Value } from "../program/types.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { printSpec } from "../tensor/tensor.ts";
import { makersOf, type Note, readersOf, rewrite } from "./rewrite.ts";

/**
 * Over this many steps the loss stays below 10⁻⁶ of the sum, even if all terms are equal and round the same
 * way.
 */
const FEW_STEPS = 128;

/** Makes sums over time in every scan keep their rounding errors. */
export function compensate(program: Program, note: Note): Program {
  return rewrite(
    program,
    (equation, operands, emitAgain) =>
      isEquation(equation, "scan") ? compensateScan(equation, operands, note) ?? emitAgain() : emitAgain(),
  );
}

/** A summing carry, with what is added to it at each step. */
interface Total {
  readonly carry: number;
  readonly term: Value;
}

function compensateScan(
  equation: EquationOf<"scan">,
  operands: readonly Tensor[],
  note: Note,
): Tensor[] | undefined {
  const { attributes } = equation;
  const { constants, carries, length, reverse, recompute } = attributes;
  const body = compensate(attributes.body, note);
  const totals = typeof length === "number" && length <= FEW_STEPS ? [] : totalsOf(body, constants, carries);
  const hasScans = body.equations.some((inner) => isEquation(inner, "scan"));
  if (totals.length === 0 && !hasScans) return undefined;
  for (const { carry } of totals) {
    note(`a sum of ${printSpec(body.outputs[carry])} over ${length} steps keeps what rounding loses`);
  }
  const first = constants + carries;
  // The totals are removed, and their addends become outputs instead.
  const terms: Program = {
    ...body,
    outputs: body.outputs.map((value, index) => totals.find(({ carry }) => carry === index)?.term ?? value),
  };
  const { carries: final, outputs } = foldFlat(
    [
      ...operands.slice(constants, first),
      ...totals.map(({ carry }) => zerosLike(operands[constants + carry])),
    ],
    operands.slice(first),
    (given, steps) => {
      const results = inline(terms, [...operands.slice(0, constants), ...given.slice(0, carries), ...steps]);
      const next = results.slice(0, carries);
      const lost = totals.map(({ carry }, index) => {
        const before = given[carry];
        const term = sub(results[carry], given[carries + index]);
        const total = add(before, term);
        const error = sub(sub(total, before), term);
        next[carry] = total;
        return select(less(abs(error), Infinity), error, 0); // an infinite total has no rounding error
      });
      return { carries: [...next, ...lost], outputs: results.slice(carries), result: undefined };
    },
    { length, reverse, recompute },
  );
  return [...final.slice(0, carries), ...outputs];
}

/**
 * The carries that are sums: the next one is the previous one plus something, and neither is read by anything
 * else.
 */
function totalsOf(body: Program, constants: number, carries: number): Total[] {
  const makers = makersOf(body);
  const readers = readersOf(body);
  return body.outputs.slice(0, carries).flatMap((next, carry): Total[] => {
    const before = body.inputs[constants + carry];
    const maker = makers.get(next);
    const alone = readers.get(before)?.length === 1 && readers.get(next)?.length === 1;
    if (!isFloat(next) || !alone || !isEquation(maker, "add")) return [];
    const [a, b] = maker.inputs;
    if (a !== before && b !== before) return [];
    return [{ carry, term: a === before ? b : a }];
  });
}
