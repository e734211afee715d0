/**
 * How many steps a Loop makes: what its body hands on unchanged, what it counts, and when its condition ends, as far as
 * that is known while a graph is traced.
 */
import { addDims, type Dim, isAtMost, multiplyDims, subtractDims, symbol } from "../../../src/tensor/dims.ts";
import { traceFlat } from "../../../src/program/trace.ts";
import type { Call, Graph, Step } from "./operator.ts";
import { onlyElement, type OnnxValue, scalarSize, sizesBehind, type SizesValue } from "./values.ts";

/** A carried integer that every step changes by the same number. */
export interface Counter {
  readonly start: Dim;
  readonly step: number;
}

/** What is known of the values that a loop carries, in their order. */
export type Carried =
  /** The same in every step. */
  | { readonly kind: "kept" }
  | { readonly kind: "counter"; readonly counter: Counter; readonly initial: SizesValue }
  | { readonly kind: "state" };

/** A loop, with the names that its body gives to what a step reads and makes. */
export interface LoopParts {
  readonly body: Graph;
  readonly iteration: string;
  readonly condition: string;
  readonly names: readonly string[];
  readonly next: readonly string[];
  readonly nextCondition: string;
  readonly initial: readonly OnnxValue[];
}

/** The most steps that are gone through to find when a condition ends. */
const MOST_TRIED = 4096;

/** The node of the body that makes a value. */
export function makerOf(body: Graph, name: string): Step | undefined {
  return body.steps.find(({ node }) => node.outputs.includes(name));
}

/** The name that a value had before it was handed on, through operators that change nothing but the type. */
export function originOf(body: Graph, name: string, through: readonly string[] = ["Identity"]): string {
  const maker = makerOf(body, name);
  return maker && through.includes(maker.node.operator)
    ? originOf(body, maker.node.inputs[0], through)
    : name;
}

/** Values of the body of a loop, with what it reads given by name; undefined if they need something else. */
function known(call: Call, parts: LoopParts, given: ReadonlyMap<string, OnnxValue>, only: readonly string[]) {
  const inputs = parts.body.inputs.map(({ name }) => given.get(name));
  try {
    // In a trace of its own, as only what is known of the results is wanted.
    return traceFlat([], () => ({ outputs: [], result: call.inside(parts.body, inputs, { only }) })).result;
  } catch {
    return undefined;
  }
}

/** The values of what a loop carries at a step, as far as they are known. */
function atStep(parts: LoopParts, carried: readonly Carried[], step: Dim): Map<string, OnnxValue> {
  const given = new Map<string, OnnxValue>([[parts.iteration, scalarSize(step)]]);
  carried.forEach((each, index) => {
    if (each.kind === "kept") given.set(parts.names[index], parts.initial[index]);
    if (each.kind === "counter") given.set(parts.names[index], counterAt(each, step));
  });
  return given;
}

/** The value of a counter at a step. */
export function counterAt({ counter, initial }: Carried & { kind: "counter" }, step: Dim): SizesValue {
  return { ...initial, sizes: [addDims(counter.start, multiplyDims(step, counter.step))] };
}

/** The number of a step as a size, of a name that no other loop has. */
function openStep({ body }: LoopParts): Dim {
  return symbol(`step_of_${body.place.replaceAll(/\W/g, "_")}`);
}

/** What is known of the values that a loop carries. */
export function carriedOf(call: Call, parts: LoopParts): Carried[] {
  const { body, names, next, initial } = parts;
  const kept = names.map((name, index): Carried =>
    originOf(body, next[index]) === name ? { kind: "kept" } : { kind: "state" }
  );
  return kept.map((each, index): Carried => {
    const value = initial[index];
    if (each.kind === "kept" || value.kind !== "sizes" || value.sizes.length !== 1) return each;
    const now = multiplyDims(openStep(parts), openStep(parts)); // what no number of steps is
    const given = atStep(parts, kept, openStep(parts));
    given.set(names[index], { ...value, sizes: [now] });
    const [after] = known(call, parts, given, [next[index]]) ?? [];
    if (after?.kind !== "sizes" || after.sizes.length !== 1) return each;
    const step = subtractDims(after.sizes[0], now);
    if (typeof step !== "number" || step === 0) return each;
    return { kind: "counter", counter: { start: value.sizes[0], step }, initial: value };
  });
}

/** Whether a loop goes on after a step; undefined if that is computed from data. */
function goesOnAfter(
  call: Call,
  parts: LoopParts,
  carried: readonly Carried[],
  step: Dim,
): boolean | undefined {
  const [value] = known(call, parts, atStep(parts, carried, step), [parts.nextCondition]) ?? [];
  const element = value && onlyElement(value);
  return element === undefined ? undefined : element !== 0;
}

/** Comparisons, as `first < second`, or not more. */
const comparisons: { readonly [operator: string]: { readonly swapped: boolean; readonly orEqual: boolean } } =
  {
    Less: { swapped: false, orEqual: false },
    LessOrEqual: { swapped: false, orEqual: true },
    Greater: { swapped: true, orEqual: false },
    GreaterOrEqual: { swapped: true, orEqual: true },
  };

const opposites: { readonly [operator: string]: string } = {
  Less: "GreaterOrEqual",
  LessOrEqual: "Greater",
  Greater: "LessOrEqual",
  GreaterOrEqual: "Less",
};

/** After how many steps a condition ends the loop, if that is seen from how it compares counters with sizes. */
function endOf(
  call: Call,
  parts: LoopParts,
  carried: readonly Carried[],
  name: string,
  isNegated = false,
): Dim | undefined {
  const origin = originOf(parts.body, name, ["Identity", "Cast"]);
  const node = makerOf(parts.body, origin)?.node;
  if (node?.operator === "Not") return endOf(call, parts, carried, node.inputs[0], !isNegated);
  if (node?.operator === "And" && !isNegated) {
    return node.inputs.map((input) => endOf(call, parts, carried, input)).reduce(smaller);
  }
  if (!node) return origin === parts.condition && !isNegated ? Infinity : undefined;
  const operator = isNegated ? opposites[node.operator] ?? "" : node.operator;
  if (!Object.hasOwn(comparisons, operator)) return undefined;
  const { swapped, orEqual } = comparisons[operator];
  const step = openStep(parts);
  const values = known(call, parts, atStep(parts, carried, step), node.inputs)?.map(sizesBehind);
  const [first, second] = (swapped ? values?.toReversed() : values) ?? [];
  if (first?.sizes.length !== 1 || second?.sizes.length !== 1) return undefined;
  // It goes on while this is above 0. As one that falls by 1 at each step, it is its value at the first less the step.
  const rest = addDims(subtractDims(second.sizes[0], first.sizes[0]), orEqual ? 1 : 0);
  const atFirst = addDims(rest, step);
  if (typeof atFirst !== "number" && Object.keys(atFirst.terms).some((name) => name.includes(String(step)))) {
    return undefined;
  }
  return isAtMost(0, atFirst) ? addDims(atFirst, 1) : isAtMost(atFirst, 0) ? 1 : undefined;
}

/** The smaller of two numbers of steps; undefined if that depends on sizes. */
function smaller(a: Dim | undefined, b: Dim | undefined): Dim | undefined {
  if (a === undefined || b === undefined) return undefined;
  if (a === Infinity) return b;
  if (b === Infinity) return a;
  return isAtMost(a, b) ? a : isAtMost(b, a) ? b : undefined;
}

/**
 * The number of steps that a loop makes, given the most and that it makes the first; `isOpen`: its condition is computed
 * from data, and may end it before.
 *
 * @param most The trip count of the node; infinite if there is none.
 * @returns Undefined if there is no bound, or none that is known.
 */
export function stepsOf(
  call: Call,
  parts: LoopParts,
  carried: readonly Carried[],
  most: Dim,
): { readonly count: Dim; readonly isOpen: boolean } | undefined {
  const end = endOf(call, parts, carried, parts.nextCondition);
  const ended = end === undefined ? undefined : smaller(end, most);
  if (ended !== undefined) return ended === Infinity ? undefined : { count: ended, isOpen: false };
  const always = goesOnAfter(call, parts, carried, openStep(parts));
  if (always === true) return most === Infinity ? undefined : { count: most, isOpen: false };
  // Without sizes that are open, the condition is followed step by step.
  for (let step = 0; step < MOST_TRIED; step++) {
    if (typeof most === "number" && step + 1 >= most) break;
    const goesOn = goesOnAfter(call, parts, carried, step);
    if (goesOn === undefined) return most === Infinity ? undefined : { count: most, isOpen: true };
    if (!goesOn) return { count: step + 1, isOpen: false };
  }
  return typeof most === "number" && most <= MOST_TRIED ? { count: most, isOpen: false } : undefined;
}
