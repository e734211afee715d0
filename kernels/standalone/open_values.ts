/**
 * What a Program computes from open sizes alone, such as a length as a number, or the indices of steps, becomes
 * inputs of it. Whoever calls it knows the sizes before, and there is no equation left that only the library can
 * evaluate.
 */
import {
  type Equation,
  type EquationOf,
  isEquation,
  type Program,
  type Value,
} from "../../src/program/types.ts";
import { printSpec } from "../../src/tensor/tensor.ts";
import type { OpenValue } from "./roles.ts";

/** A Program with further inputs, after its own. */
export interface WithOpenInputs {
  readonly program: Program;
  /** What the further inputs are, in order. */
  readonly values: readonly OpenValue[];
}

/** A further input. */
interface Added {
  readonly value: Value;
  readonly is: OpenValue;
}

/** The Program whose open sizes, and what is made of them alone, are inputs. */
export function openInputs(program: Program): WithOpenInputs {
  const { body, added } = takeOut(program);
  return {
    program: { ...body, inputs: [...program.inputs, ...added.map(({ value }) => value)] },
    values: added.map(({ is }) => is),
  };
}

/** A body that reads what it made of sizes, and what it reads. */
function takeOut(program: Program): { readonly body: Program; readonly added: readonly Added[] } {
  const added = new Map<string, Added>();
  const replaced = new Map<Value, Value>();
  const now = (value: Value) => replaced.get(value) ?? value;
  /** The input for an open value; equal ones share it. */
  const inputFor = ({ value, is }: Added): Value => {
    const key = `${printSpec(value)} ${is.kind} ${is.kind === "size" ? is.size : is.axis}`;
    const known = added.get(key) ?? { value: { shape: value.shape, dtype: value.dtype }, is };
    added.set(key, known);
    return known.value;
  };
  const equations = program.equations.flatMap((equation): Equation[] => {
    const is = openValueOf(equation);
    if (is) {
      const [value] = equation.outputs;
      replaced.set(value, inputFor({ value, is }));
      return [];
    }
    const again = { ...equation, inputs: equation.inputs.map(now) } as Equation; // the same operation
    return [isEquation(again, "scan") ? withOpenConstants(again, inputFor) : again];
  });
  return {
    body: { inputs: program.inputs, equations, outputs: program.outputs.map(now) },
    added: [...added.values()],
  };
}

/** A scan whose body gets the open values that it reads as constants. */
function withOpenConstants(
  scan: EquationOf<"scan">,
  inputFor: (added: Added) => Value,
): EquationOf<"scan"> {
  const { attributes } = scan;
  const { body, added } = takeOut(attributes.body);
  const insert = (values: readonly Value[], more: readonly Value[]) =>
    values.toSpliced(attributes.constants, 0, ...more);
  return {
    ...scan,
    inputs: insert(scan.inputs, added.map(inputFor)),
    attributes: {
      ...attributes,
      body: { ...body, inputs: insert(body.inputs, added.map(({ value }) => value)) },
      constants: attributes.constants + added.length,
    },
  };
}

/** What an equation makes of open sizes alone, if it does only that. */
function openValueOf(equation: Equation): OpenValue | undefined {
  if (isEquation(equation, "size") && typeof equation.attributes.dim !== "number") {
    return { kind: "size", size: equation.attributes.dim };
  }
  if (isEquation(equation, "iota") && equation.attributes.shape.some((dim) => typeof dim !== "number")) {
    return { kind: "iota", axis: equation.attributes.axis };
  }
  return undefined;
}
