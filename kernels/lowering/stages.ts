/**
 * Stages: which equations of a block run together. Elementwise equations of one shape that reach each other without
 * leaving registers share a stage and become one kernel; everything else is a kernel of its own. A stage reads only
 * what earlier stages wrote.
 */
import { type Equation, isElementwise, isEquation, type Value } from "../../src/program/types.ts";
import { isViewOperation } from "./view_operations.ts";

/** What the stages need to know of a block. */
export interface Block {
  readonly equations: readonly Equation[];
  readonly outputs: readonly Value[];
  readonly makers: ReadonlyMap<Value, Equation>;
  /** Reshapes that take a copy, and so are kernels. */
  readonly copies: ReadonlySet<Equation>;
}

/** The value that a chain of views begins with. */
export function baseOf(value: Value, { makers, copies }: Block): Value {
  const maker = makers.get(value);
  return maker && isViewOperation(maker) && !copies.has(maker)
    ? baseOf(maker.inputs[0], { makers, copies } as Block)
    : value;
}

/** Whether `equation` can read `value` from a register, were both in one kernel. */
export function sharesRegisters(equation: Equation, value: Value, block: Block): boolean {
  const maker = block.makers.get(value);
  return isElementwise(equation) && isElementwise(maker) &&
    value.shape.join() === equation.outputs[0].shape.join();
}

/** The stage of every value that is computed; values from outside have stage 0. */
export function stagesOf(block: Block): Map<Value, number> {
  const stages = new Map<Value, number>();
  const stageOf = (value: Value): number => stages.get(baseOf(value, block)) ?? 0;
  for (const equation of block.equations) {
    if (isViewOperation(equation) && !block.copies.has(equation)) continue;
    let stage = 1;
    for (const input of equation.inputs) {
      // What is computed here is written into its part of a concatenation at once; the rest is copied.
      const together = sharesRegisters(equation, input, block) ||
        (isEquation(equation, "concat") && block.makers.has(input) && baseOf(input, block) === input);
      stage = Math.max(stage, stageOf(input) + (together ? 0 : 1));
    }
    for (const value of equation.outputs) stages.set(value, stage);
  }
  postpone(block, stages);
  return stages;
}

/** Moves elementwise work to the stage of the readers that could take it from registers, where that saves a kernel. */
function postpone(block: Block, stages: Map<Value, number>): void {
  const fromRegisters = new Map<Value, number>();
  const fromMemory = new Map<Value, number>();
  const lower = (map: Map<Value, number>, value: Value, stage: number) =>
    map.set(value, Math.min(map.get(value) ?? Infinity, stage));
  const lastOfShape = new Map<string, number>();
  for (const equation of block.equations) {
    if (!isElementwise(equation)) continue;
    const key = equation.outputs[0].shape.join();
    lastOfShape.set(key, Math.max(lastOfShape.get(key) ?? 0, stages.get(equation.outputs[0]) ?? 0));
  }
  for (const equation of block.equations.toReversed()) {
    if (isViewOperation(equation) && !block.copies.has(equation)) continue;
    const [value] = equation.outputs;
    if (isElementwise(equation)) {
      const now = stages.get(value) ?? 0;
      const limit = fromMemory.get(value) ?? Infinity;
      const to = fromRegisters.get(value) ??
        (limit === Infinity ? lastOfShape.get(value.shape.join()) ?? now : now);
      if (to > now && to <= limit) stages.set(value, to);
    }
    const stage = Math.min(...equation.outputs.map((output) => stages.get(output) ?? 0));
    for (const input of equation.inputs) {
      if (sharesRegisters(equation, input, block)) lower(fromRegisters, input, stage);
      else lower(fromMemory, baseOf(input, block), isEquation(equation, "concat") ? stage : stage - 1);
    }
  }
}
