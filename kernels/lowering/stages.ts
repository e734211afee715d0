/**
 * Stages: which equations of a body run together. Elementwise equations of one shape that read each other's
 * results from registers share a stage and become one kernel; every other equation is a kernel of its own. A
 * stage reads only what earlier stages wrote.
 */
import { type Equation, isElementwise, isEquation, type Value } from "../../src/program/types.ts";
import { isViewOperation } from "./view_operations.ts";

/** What the stages depend on in a body. */
export interface StagedBody {
  readonly equations: readonly Equation[];
  readonly outputs: readonly Value[];
  readonly makers: ReadonlyMap<Value, Equation>;
  /** Reshapes that need a copy, and so are kernels. */
  readonly copies: ReadonlySet<Equation>;
}

/** The value at the start of a chain of views. */
export function baseOf(value: Value, { makers, copies }: StagedBody): Value {
  const maker = makers.get(value);
  return maker && isViewOperation(maker) && !copies.has(maker)
    ? baseOf(maker.inputs[0], { makers, copies } as StagedBody)
    : value;
}

/** Whether `equation` could read `value` from a register if both were in one kernel. */
export function sharesRegisters(equation: Equation, value: Value, body: StagedBody): boolean {
  const maker = body.makers.get(value);
  return isElementwise(equation) && isElementwise(maker) &&
    value.shape.join() === equation.outputs[0].shape.join();
}

/** The equations of a body that become kernels, or parts of one: all but views. */
function computed(body: StagedBody): readonly Equation[] {
  return body.equations.filter((equation) => !isViewOperation(equation) || body.copies.has(equation));
}

/**
 * The stage of every computed value; values from outside have stage 0. It is first the earliest stage in
 * which the value can be computed; elementwise work then moves to a later one if that saves a kernel
 * ({@linkcode postpone}).
 */
export function stagesOf(body: StagedBody): Map<Value, number> {
  const stages = new Map<Value, number>();
  const stageOf = (value: Value): number => stages.get(baseOf(value, body)) ?? 0;
  for (const equation of computed(body)) {
    let stage = 1;
    for (const input of equation.inputs) {
      // What is computed here is written directly into its part of a concatenation; the rest is copied.
      const together = sharesRegisters(equation, input, body) ||
        (isEquation(equation, "concat") && body.makers.has(input) && baseOf(input, body) === input);
      stage = Math.max(stage, stageOf(input) + (together ? 0 : 1));
    }
    for (const value of equation.outputs) stages.set(value, stage);
  }
  postpone(body, stages);
  return stages;
}

/**
 * Moves elementwise work to a later stage if that saves a kernel. In `tanh(add(matmul(h, w), mul(x, x)))`,
 * the `mul` could run in stage 1, beside the product. The `add` reads the product and so has stage 2; moved
 * there, the `mul` joins its kernel, and its result goes from register to register instead of through memory.
 *
 * Equations are visited from the last to the first, so that the stages of all readers of a value are final:
 * - readers that could have it in a register, elementwise ones of the same shape, pull it to the first of
 *   their stages;
 * - readers that find it in memory set a limit: the stage before theirs, or that of a concatenation of which
 *   it is written as a part. A value does not move beyond the lowest of these limits;
 * - a value that nothing reads, an output, moves to the last stage that has elementwise work of its shape.
 */
function postpone(body: StagedBody, stages: Map<Value, number>): void {
  const equations = computed(body);
  const stageOf = (value: Value) => stages.get(value) ?? 0;
  const lastOfShape = new Map<string, number>();
  for (const { outputs: [value] } of equations.filter(isElementwise)) {
    const shape = value.shape.join();
    lastOfShape.set(shape, Math.max(lastOfShape.get(shape) ?? 0, stageOf(value)));
  }
  const drawn = new Map<Value, number>();
  const limits = new Map<Value, number>();
  const lower = (map: Map<Value, number>, value: Value, stage: number) =>
    map.set(value, Math.min(map.get(value) ?? Infinity, stage));
  for (const equation of equations.toReversed()) {
    const [value] = equation.outputs;
    if (isElementwise(equation)) {
      const now = stageOf(value), limit = limits.get(value);
      const wish = drawn.get(value) ?? (limit === undefined ? lastOfShape.get(value.shape.join()) : now) ??
        now;
      if (wish > now && wish <= (limit ?? Infinity)) stages.set(value, wish);
    }
    const stage = Math.min(...equation.outputs.map(stageOf));
    for (const input of equation.inputs) {
      if (sharesRegisters(equation, input, body)) lower(drawn, input, stage);
      else lower(limits, baseOf(input, body), isEquation(equation, "concat") ? stage : stage - 1);
    }
  }
}
