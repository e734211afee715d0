/**
 * Layouts of values that are the same in every call, such as the kernels of an imported file, which has its axes in
 * another order: computed once, when a loop begins or other values are given, instead of in every call. Only elements
 * are moved, so results are the same to the bit. Arithmetic on such values stays in the call, where each device does it
 * in its own way.
 */
import { runProgram } from "../../kernels/reference/mod.ts";
import type { Equation, OperationName, Program, Value } from "../program/types.ts";
import type { HostTensor, Tensor } from "../tensor/tensor.ts";
import { toHost } from "../tree/to_host.ts";

/** What moves elements; `isWork`: by copying them, while the other forms are read where they lie. */
const LAYOUTS: ReadonlyMap<OperationName, { readonly isWork: boolean }> = new Map([
  ["transpose", { isWork: true }],
  ["reverse", { isWork: true }],
  ["concat", { isWork: true }],
  ["slice", { isWork: false }],
  ["reshape", { isWork: false }],
]);

/** A Program without the layouts of what is fixed. */
export interface FixedLayouts {
  /** The Program; its first inputs are what it reads of the fixed values as they are, and then those laid out. */
  readonly program: Program;
  /** How many of its inputs are fixed. */
  readonly count: number;
  /** Which of the fixed values it reads as they are. */
  readonly kept: readonly number[];
  /** What lays out others, and which of the fixed values are its inputs; absent if there is nothing to do. */
  readonly layouts?: { readonly program: Program; readonly reads: readonly number[] };
}

/** The fixed inputs of the Program without layouts, for values on the host or a device. */
export async function layOut<T extends Tensor>(
  { kept, layouts }: FixedLayouts,
  fixed: readonly T[],
): Promise<readonly (T | HostTensor)[]> {
  const asTheyAre = kept.map((index) => fixed[index]);
  if (!layouts) return asTheyAre;
  const hosts = await Promise.all(layouts.reads.map((index) => toHost(fixed[index])));
  return [...asTheyAre, ...runProgram(layouts.program, hosts as HostTensor[])]; // trees of one tensor
}

/**
 * Takes the layouts of the first inputs of a Program out of it.
 *
 * @param count How many of its inputs are the same in every call.
 */
export function takeFixedLayouts(program: Program, count: number): FixedLayouts {
  const fixed = program.inputs.slice(0, count);
  const layouts = new Map<Value, { readonly equation: Equation; readonly isWork: boolean }>();
  const isFixed = (value: Value) => layouts.has(value) || fixed.includes(value);
  for (const equation of program.equations) {
    const layout = LAYOUTS.get(equation.operation.name);
    if (!layout || !equation.inputs.every(isFixed)) continue;
    const isWork = layout.isWork || equation.inputs.some((value) => layouts.get(value)?.isWork);
    layouts.set(equation.outputs[0], { equation, isWork });
  }
  const taken = new Set([...layouts.values()].filter(({ isWork }) => isWork).map(({ equation }) => equation));
  if (taken.size === 0) return { program, count, kept: fixed.map((_, index) => index) };

  const equations = program.equations.filter((equation) => !taken.has(equation));
  const read = new Set([...equations.flatMap(({ inputs }) => inputs), ...program.outputs]);
  const made = [...taken].map(({ outputs: [value] }) => value).filter((value) => read.has(value));
  const kept = fixed.filter((value) => read.has(value));
  // In their order, what makes them: views of fixed values too.
  const makers = [...layouts.values()].map(({ equation }) => equation);
  const making = neededFor(made, makers);
  const used = new Set(making.flatMap(({ inputs }) => inputs));
  const inputs = fixed.filter((value) => used.has(value));
  const places = (values: readonly Value[]) => values.map((value) => fixed.indexOf(value));
  return {
    program: { ...program, inputs: [...kept, ...made, ...program.inputs.slice(count)], equations },
    count: kept.length + made.length,
    kept: places(kept),
    ...(made.length > 0 &&
      { layouts: { program: { inputs, equations: making, outputs: made }, reads: places(inputs) } }),
  };
}

/** Those of some equations, in order, that make these values. */
function neededFor(values: readonly Value[], equations: readonly Equation[]): Equation[] {
  const needed = new Set(values);
  return equations.toReversed().filter(({ inputs, outputs }) => {
    if (!outputs.some((value) => needed.has(value))) return false;
    for (const value of inputs) needed.add(value);
    return true;
  }).toReversed();
}
