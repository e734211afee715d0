/** A Program as text: one line per equation, values numbered in order, bodies of scans indented. */
import { checkList, checkObject } from "../describe.ts";
import { printShape } from "../tensor/dims.ts";
import { type HostTensor, isTensor, printSpec } from "../tensor/tensor.ts";
import { type Equation, isEquation, type Program, type Value } from "./types.ts";

const LONGEST_CONSTANT = 8;

function printConstant({ data, shape }: HostTensor): string {
  const values = [...data.subarray(0, LONGEST_CONSTANT)].map((x) => Number(x.toPrecision(7))).join(", ");
  if (shape.length === 0) return values;
  return `[${values}${data.length > LONGEST_CONSTANT ? ", …" : ""}]`;
}

function printAttribute(value: unknown): string {
  if (isTensor(value) && value.kind === "host") return printConstant(value);
  if (Array.isArray(value)) return printShape(value);
  return String(value);
}

function printAttributes(equation: Equation): string {
  const { operation, attributes } = equation;
  if (operation.name === "constant") return ` ${Object.values(attributes).map(printAttribute).join()}`;
  const shown = Object.entries(attributes).filter(([name, value]) => name !== "body" && value !== false);
  if (shown.length === 0) return "";
  return ` { ${
    shown.map(([name, value]) => value === true ? name : `${name}: ${printAttribute(value)}`).join(", ")
  } }`;
}

/**
 * A Program as readable text; equal Programs print equally.
 *
 * @example
 * ```ts
 * import { assert } from "@std/assert";
 * import { mul, printProgram, spec, trace } from "@cellfold/cellfold";
 * const text = printProgram(trace((x) => mul(x, 2), spec([null, 3])).program);
 * assert(text.includes("mul %0 %2 : float32[batch, 3]"));
 * ```
 */
export function printProgram(program: Program): string {
  const expected = "a Program, as trace(fn, ...args).program";
  checkObject("print a Program", program, "the argument", expected);
  for (const part of ["inputs", "equations", "outputs"] as const) {
    checkList("print a Program", program[part], `its ${part}`, expected);
  }
  const names = new Map<Value, string>();
  const name = (value: Value): string => {
    let known = names.get(value);
    if (known === undefined) names.set(value, known = `%${names.size}`);
    return known;
  };
  const typed = (value: Value) => `${name(value)}: ${printSpec(value)}`;
  const block = ({ inputs, equations, outputs }: Program, indent: string): string[] => [
    `(${inputs.map(typed).join(", ")}) => {`,
    ...equations.flatMap((equation) => {
      const operands = equation.inputs.map((value) => ` ${name(value)}`).join("");
      const made = equation.outputs.map(name).join(", ");
      const body = isEquation(equation, "scan") ? block(equation.attributes.body, indent + "  ") : [];
      const [head = "", ...rest] = body;
      const specs = equation.outputs.map(printSpec).join(", ");
      const line = `${indent}  ${made} = ${equation.operation.name}${operands}${
        printAttributes(equation)
      } : ${specs}`;
      return body.length === 0 ? [line] : [`${line} ${head}`, ...rest];
    }),
    `${indent}  return ${outputs.map(name).join(", ")}`,
    `${indent}}`,
  ];
  return block(program, "").join("\n");
}
