/** The values of a Program's symbolic sizes, read from the shapes of actual inputs. */
import {
  type Bindings,
  type Dim,
  evaluateDim,
  isPositiveSymbol,
  printShape,
  type Shape,
} from "../tensor/dims.ts";

/**
 * The value of each symbol for which `expected` equals `actual`. A size that is a symbol alone binds it;
 * other sizes are checked once all symbols are bound.
 *
 * @throws RangeError naming the input, both shapes and the axis.
 */
export function bindShapes(
  expected: readonly Shape[],
  actual: readonly (readonly number[])[],
  names: (input: number) => string = (input) => `input ${input}`,
): Bindings {
  const bindings: Record<string, number> = Object.create(null); // a size may be named like a member of Object
  const boundBy = new Map<string, string>();
  const later: (() => void)[] = [];
  expected.forEach((shape, input) => {
    const given = actual[input];
    const fail = (axis: number, why: string): never => {
      throw new RangeError(
        `Cannot run with ${names(input)} of shape ${printShape(given)}: expected ` +
          `${printShape(shape)}${why && ` (axis ${axis}: ${why})`}`,
      );
    };
    if (given.length !== shape.length) fail(0, "");
    shape.forEach((dim, axis) => {
      const name = soleSymbol(dim);
      if (name !== undefined && bindings[name] === undefined) {
        if (isPositiveSymbol(name) && given[axis] < 1) fail(axis, `${name} must be at least 1`);
        bindings[name] = given[axis];
        boundBy.set(name, names(input));
      } else if (name !== undefined && bindings[name] !== given[axis]) {
        fail(axis, `${name} is ${bindings[name]} in ${boundBy.get(name)}`);
      } else {
        later.push(() => {
          const value = evaluateDim(dim, bindings);
          if (value !== given[axis]) fail(axis, typeof dim === "number" ? "" : `${dim} is ${value} here`);
        });
      }
    });
  });
  for (const check of later) check();
  return bindings;
}

function soleSymbol(dim: Dim): string | undefined {
  if (typeof dim === "number") return undefined;
  const [[monomial, coefficient], ...more] = Object.entries(dim.terms);
  return more.length === 0 && coefficient === 1 && monomial !== "" && !monomial.includes("*")
    ? monomial
    : undefined;
}
