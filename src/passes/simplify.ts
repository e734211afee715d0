/**
 * Simplify: equal computations are done once, and equations without effect are removed (a reshape to the same
 * shape, the reverse of a reverse, a sum over single elements, adding zero, multiplying by one). Bodies of
 * scans are simplified too.
 */
import { sameShape, type Shape } from "../tensor/dims.ts";
import { type Equation, type EquationOf, isEquation, type Program, type Value } from "../program/types.ts";
import { reshapeOperation } from "../operations/structure.ts";
import { readersOf } from "./rewrite.ts";

/** Merges equal equations and drops those without effect. */
export function simplify(program: Program): Program {
  const replaced = new Map<Value, Value>();
  const current = (value: Value): Value => replaced.get(value) ?? value;
  const makers = new Map<Value, Equation>();
  const numbers = new Map<Value, number>();
  const numberOf = (value: Value): number => {
    const known = numbers.get(value);
    if (known !== undefined) return known;
    numbers.set(value, numbers.size);
    return numbers.size - 1;
  };
  const seen = new Map<string, Equation>();
  const equations: Equation[] = [];
  const readers = readersOf(program);
  /** Whether nothing else reads the value, and nothing has replaced it. */
  const isOnlyHere = (value: Value) => (readers.get(value)?.length ?? 0) === 1 && current(value) === value;
  for (const original of program.equations) {
    const operands = { ...original, inputs: original.inputs.map(current) } as Equation; // the same operation
    const equation = isEquation(operands, "scan")
      ? simplifyBody(operands)
      : shorten(operands, makers, original.inputs.every(isOnlyHere));
    const same = sameAsInput(equation, makers);
    if (same) {
      replaced.set(equation.outputs[0], same);
      continue;
    }
    const key = keyOf(equation, numberOf);
    const earlier = key === undefined ? undefined : seen.get(key);
    if (earlier) {
      equation.outputs.forEach((value, index) => replaced.set(value, earlier.outputs[index]));
      continue;
    }
    if (key !== undefined) seen.set(key, equation);
    for (const value of equation.outputs) makers.set(value, equation);
    equations.push(equation);
  }
  return { ...program, equations, outputs: program.outputs.map(current) };
}

function simplifyBody(equation: EquationOf<"scan">): EquationOf<"scan"> {
  const { attributes } = equation;
  return { ...equation, attributes: { ...attributes, body: simplify(attributes.body) } };
}

/** A key that is equal for equations that compute the same; undefined for scans, which are not compared. */
function keyOf(equation: Equation, numberOf: (value: Value) => number): string | undefined {
  if (isEquation(equation, "scan")) return undefined;
  const inputs = equation.inputs.map(numberOf).join();
  if (isEquation(equation, "constant")) {
    const { data, dtype, shape } = equation.attributes.value;
    if (data.length > 1) return undefined;
    return `constant ${dtype} ${shape} ${Object.is(data[0], -0) ? "-0" : data[0]}`;
  }
  return `${equation.operation.name} ${inputs} ${
    JSON.stringify(equation.attributes, (_, value) =>
      value !== null && typeof value === "object" && "terms" in value ? String(value) : value)
  }`;
}

/**
 * Skips what the equation undoes or repeats: a reshape of a reshape, a transpose of a transpose, and a sum of
 * a sum that has no other reader. A sum or maximum over single elements is a reshape.
 */
function shorten(original: Equation, makers: ReadonlyMap<Value, Equation>, readsAlone: boolean): Equation {
  const equation = reducesNothing(original) ? reshapeTo(original) : original;
  const maker = makers.get(equation.inputs[0]);
  if (isEquation(equation, "reshape") && isEquation(maker, "reshape")) {
    return { ...equation, inputs: maker.inputs };
  }
  if (isEquation(equation, "sum") && isEquation(maker, "sum") && readsAlone) {
    const inner = maker.attributes.axes;
    const kept = maker.inputs[0].shape.map((_, axis) => axis).filter((axis) => !inner.includes(axis));
    const axes = [...inner, ...equation.attributes.axes.map((axis) => kept[axis])].toSorted((a, b) => a - b);
    return { ...equation, inputs: maker.inputs, attributes: { axes } };
  }
  if (isEquation(equation, "transpose") && isEquation(maker, "transpose")) {
    const permutation = equation.attributes.permutation.map((axis) => maker.attributes.permutation[axis]);
    return { ...equation, inputs: maker.inputs, attributes: { permutation } };
  }
  if (isEquation(equation, "broadcast") && isEquation(maker, "broadcast")) {
    const axes = maker.attributes.axes.map((axis) => equation.attributes.axes[axis]);
    const grows = maker.inputs[0].shape.some((dim, i) =>
      dim === 1 && maker.outputs[0].shape[maker.attributes.axes[i]] !== 1
    );
    if (!grows) {
      return { ...equation, inputs: maker.inputs, attributes: { shape: equation.attributes.shape, axes } };
    }
  }
  return equation;
}

function reducesNothing(equation: Equation): boolean {
  const [input] = equation.inputs;
  return (isEquation(equation, "sum") || isEquation(equation, "max")) &&
    equation.outputs[0].dtype === input.dtype &&
    equation.attributes.axes.every((axis) => input.shape[axis] === 1);
}

function reshapeTo({ inputs, outputs }: Equation): EquationOf<"reshape"> {
  return { operation: reshapeOperation, inputs, attributes: { shape: outputs[0].shape }, outputs };
}

function scalarOf(value: Value, makers: ReadonlyMap<Value, Equation>): number | undefined {
  const maker = makers.get(value);
  if (isEquation(maker, "broadcast")) return scalarOf(maker.inputs[0], makers);
  return isEquation(maker, "constant") && maker.attributes.value.data.length === 1
    ? maker.attributes.value.data[0]
    : undefined;
}

function isIdentity(shape: Shape, order: readonly number[]): boolean {
  return order.length === shape.length && order.every((axis, index) => axis === index);
}

/** The input that the equation's output equals, if it has no effect. */
function sameAsInput(equation: Equation, makers: ReadonlyMap<Value, Equation>): Value | undefined {
  const [first, second] = equation.inputs;
  if (isEquation(equation, "reshape")) {
    return sameShape(first.shape, equation.attributes.shape) ? first : undefined;
  }
  if (isEquation(equation, "broadcast")) {
    return sameShape(first.shape, equation.attributes.shape) ? first : undefined;
  }
  if (isEquation(equation, "transpose")) {
    return isIdentity(first.shape, equation.attributes.permutation) ? first : undefined;
  }
  if (isEquation(equation, "reverse")) {
    const maker = makers.get(first);
    const same = isEquation(maker, "reverse") &&
      maker.attributes.axes.join() === equation.attributes.axes.join();
    return same ? maker.inputs[0] : undefined;
  }
  if (isEquation(equation, "add")) {
    // -0 + 0 is 0.
    const changesNothing = (value: Value) =>
      Object.is(scalarOf(value, makers), value.dtype === "int32" ? 0 : -0);
    return changesNothing(second) ? first : changesNothing(first) ? second : undefined;
  }
  if (isEquation(equation, "mul")) {
    return scalarOf(second, makers) === 1 ? first : scalarOf(first, makers) === 1 ? second : undefined;
  }
  if (isEquation(equation, "sub")) return Object.is(scalarOf(second, makers), 0) ? first : undefined;
  if (isEquation(equation, "div")) return scalarOf(second, makers) === 1 ? first : undefined;
  return undefined;
}
