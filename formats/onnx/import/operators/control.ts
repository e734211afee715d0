/** The operators If and Loop: a branch that is known is the only one computed, and a loop with a bound is a fold. */
import { add, and, mul, select } from "../../../../src/operations/elementwise.ts";
import { iota } from "../../../../src/operations/indexing.ts";
import { reshape, sliceAxis, stack } from "../../../../src/operations/structure.ts";
import { zeros } from "../../../../src/operations/creation.ts";
import { traceFlat } from "../../../../src/program/trace.ts";
import { checkStep } from "../../../../src/scan/checks.ts";
import { fold } from "../../../../src/scan/fold.ts";
import { addDims, type Dim, isAtMost, printShape, sameShape } from "../../../../src/tensor/dims.ts";
import { printSpec, type Tensor, tensor } from "../../../../src/tensor/tensor.ts";
import { sizeAsTensor } from "../../../../src/operations/reduction.ts";
import {
  type Carried,
  carriedOf,
  counterAt,
  type LoopParts,
  makerOf,
  originOf,
  stepsOf,
} from "../loop_bounds.ts";
import { attribute, type Node } from "../node.ts";
import { type Call, given, type Inputs, type Operators } from "../operator.ts";
import {
  dtypeOfValue,
  knownSizes,
  onlyElement,
  type OnnxValue,
  scalarSize,
  shapeOf,
  tensorOf,
  valueOf,
} from "../values.ts";
import { outputOf, sequenceOf } from "./scan.ts";

/** A single bool. */
function truthOf(value: OnnxValue): Tensor {
  const condition = tensorOf(value);
  if (condition.dtype === "bool" && condition.shape.every((dim) => dim === 1)) return reshape(condition, []);
  throw new TypeError(`its condition is ${printSpec(condition)}, expected a single bool`);
}

/** Whether a single bool is true, if that is known. */
function isTrue(value: OnnxValue): boolean | undefined {
  const element = dtypeOfValue(value) === "bool" ? onlyElement(value) : undefined;
  return element === undefined ? undefined : element !== 0;
}

/** The results of the branch that is taken; both are computed if that is known only at run time. */
function chosen(node: Node, inputs: Inputs, call: Call): OnnxValue[] {
  const condition = given(inputs, 0);
  const taken = isTrue(condition);
  const run = (branch: string) => call.inside(call.graphOf(node, branch), []);
  if (taken !== undefined) return run(taken ? "then_branch" : "else_branch");
  const [then, otherwise] = [run("then_branch"), run("else_branch")].map((values) => values.map(tensorOf));
  const truth = truthOf(condition);
  return then.map((value, index) => {
    const other = otherwise[index];
    if (other && value.dtype === other.dtype && sameShape(value.shape, other.shape)) {
      return valueOf(select(truth, value, other));
    }
    throw new TypeError(
      `which branch it takes is known only at run time, but they give ${printSpec(value)} and ${
        other ? printSpec(other) : "nothing"
      }, expected the same shape and type`,
    );
  });
}

function partsOf(
  node: Node,
  inputs: Inputs,
  call: Call,
): LoopParts & { readonly stacked: readonly string[] } {
  const body = call.graphOf(node, "body");
  const initial = inputs.slice(2).map((_, index) => given(inputs, index + 2));
  const count = initial.length;
  if (body.inputs.length !== count + 2 || body.outputs.length <= count) {
    throw new RangeError(
      `its body has ${body.inputs.length} inputs and ${body.outputs.length} outputs, expected ${
        count + 2
      } and at ` +
        `least ${count + 1}`,
    );
  }
  if (node.outputs.length >= body.outputs.length) {
    throw new RangeError(
      `it has ${node.outputs.length} outputs, but its body gives ${body.outputs.length - 1}`,
    );
  }
  const [iteration, condition, ...names] = body.inputs.map(({ name }) => name);
  const [nextCondition, ...results] = body.outputs;
  const next = results.slice(0, count);
  const isRead = (_: string, index: number) => (node.outputs[count + index] ?? "") !== "";
  const stacked = results.slice(count).filter(isRead);
  return { body, iteration, condition, names, next, nextCondition, initial, stacked };
}

/** Trip counts from here on mean that there is none. */
const FAR = 2 ** 31 - 1;

function tripCount(value: OnnxValue | undefined): Dim {
  if (!value) return Infinity;
  const [most] = knownSizes(value, "trip count");
  if (typeof most !== "number") return most;
  return most >= FAR ? Infinity : Math.max(most, 0); // a negative one makes no step, as in onnxruntime
}

/** A Loop whose number of steps has a bound. */
function looped(node: Node, inputs: Inputs, call: Call): OnnxValue[] {
  const parts = partsOf(node, inputs, call);
  const { initial, stacked } = parts;
  const most = tripCount(inputs[0]);
  const begins = inputs[1] ? isTrue(inputs[1]) : true;
  const known = carriedOf(call, parts);
  const steps = most === 0 || begins === false
    ? { count: 0, isOpen: false }
    : stepsOf(call, parts, known, most);
  if (!steps) {
    throw new TypeError(
      "the number of its steps has no bound that is known before it runs, expected a trip count, or a condition that " +
        "compares what it counts with a size or a constant",
    );
  }
  const isOpen = steps.isOpen || begins === undefined;
  if (isOpen && stacked.length > 0) {
    throw new TypeError(
      "the number of its steps is known only at run time, but its outputs have one part for each step",
    );
  }
  // A loop that may end before counts only the steps that it makes.
  const carried = isOpen
    ? known.map((each): Carried => each.kind === "counter" ? { kind: "state" } : each)
    : known;
  const alive = isOpen ? inputs[1] ? truthOf(inputs[1]) : tensor(true) : undefined;
  const results = foldedOrUnrolled(call, { ...parts, carried, count: steps.count, alive });
  const after = initial.map((value, index): OnnxValue => {
    const each = carried[index];
    if (each.kind === "kept") return value;
    return each.kind === "counter" ? counterAt(each, steps.count) : results.states[index] ?? value;
  });
  let next = 0;
  const all = node.outputs.slice(initial.length).map((name) =>
    name === "" ? valueOf(zeros([0])) : results.stacked[next++]
  );
  return [...after, ...all];
}

/** A loop whose steps are known. */
interface Bounded extends LoopParts {
  readonly stacked: readonly string[];
  readonly carried: readonly Carried[];
  readonly count: Dim;
  /** Whether it makes its first step, if it may end before the last. */
  readonly alive: Tensor | undefined;
}

/** The results of a loop: the states by their places among what is carried, and the stacked outputs. */
interface LoopResults {
  readonly states: { readonly [index: number]: OnnxValue };
  readonly stacked: readonly OnnxValue[];
}

/** The most steps of a loop that is written out, as its states change their shapes or it counts places. */
const MOST_UNROLLED = 64;

function foldedOrUnrolled(call: Call, loop: Bounded): LoopResults {
  const { count, alive } = loop;
  if (typeof count !== "number" || count > MOST_UNROLLED || count < 1 || alive) return foldedLoop(call, loop);
  try {
    // Tried in a trace of its own, as what a failed one recorded would be computed all the same.
    traceFlat([], () => ({ outputs: [], result: foldedLoop(call, loop) }));
  } catch {
    return unrolled(call, loop);
  }
  return foldedLoop(call, loop);
}

/** A loop as a fold over its steps. */
function foldedLoop(call: Call, loop: Bounded): LoopResults {
  const { body, iteration, condition, names, next, nextCondition, initial, stacked, carried, count, alive } =
    loop;
  const places = carried.flatMap((each, index) => each.kind === "state" ? [index] : []);
  const readings = readingsOf(call, loop);
  const sequences = { steps: iota([count]), read: readings.map(({ sequence }) => sequence) };
  const states = { values: places.map((index) => tensorOf(initial[index])), alive };
  const step = (before: typeof states, now: typeof sequences): [readonly Tensor[], typeof states] => {
    const given = new Map<string, OnnxValue>([
      [iteration, valueOf(now.steps)],
      [condition, valueOf(tensor(true))],
    ]);
    carried.forEach((each, index) => {
      if (each.kind === "kept") given.set(names[index], initial[index]);
      if (each.kind === "counter") {
        const { start, step } = each.counter;
        const counted = add(mul(now.steps, step), sizeAsTensor(start, "int32"));
        given.set(names[index], valueOf(each.initial.scalar ? counted : reshape(counted, [1])));
      }
    });
    places.forEach((index, place) => given.set(names[index], valueOf(before.values[place])));
    const preset = new Map(readings.map(({ name }, index) => [name, valueOf(now.read[index])]));
    const only = [...places.map((index) => next[index]), ...stacked, ...alive ? [nextCondition] : []];
    const results = call.inside(body, body.inputs.map(({ name }) => given.get(name)), { only, preset });
    const made = results.slice(0, places.length).map(tensorOf);
    const { alive: isAlive } = before;
    const after = {
      values: isAlive ? made.map((value, place) => select(isAlive, value, before.values[place])) : made,
      alive: isAlive && and(isAlive, truthOf(results[results.length - 1])),
    };
    checkStep([undefined, after.values], before.values);
    return [results.slice(places.length, places.length + stacked.length).map(tensorOf), after];
  };
  const [outputs, final] = fold<typeof states, typeof sequences, readonly Tensor[]>(step, states, sequences, {
    length: count,
    reverse: false,
    recompute: false,
  });
  return {
    states: Object.fromEntries(places.map((index, place) => [index, valueOf(final.values[place])])),
    stacked: outputs.map((output) => outputOf(output, 0, false)),
  };
}

/** Parts of a tensor that the body reads by its counter: they are steps of a sequence. */
interface Reading {
  /** The value in the body. */
  readonly name: string;
  readonly sequence: Tensor;
}

function readingsOf(call: Call, loop: Bounded): Reading[] {
  const { body, iteration, names, initial, carried, count } = loop;
  return body.steps.flatMap(({ node }): Reading[] => {
    if (node.operator !== "Gather" || (attribute(node, "axis", "int") ?? 0) !== 0) return [];
    const [source, index] = node.inputs.map((name) => originOf(body, name, ["Identity", "Cast"]));
    const place = names.indexOf(index);
    const each = carried[place];
    const isCounter = each?.kind === "counter" && each.counter.step === 1 && each.initial.scalar;
    if (index !== iteration && !isCounter) return [];
    const start = isCounter ? each.counter.start : 0;
    const given = names.indexOf(source);
    const value = given >= 0
      ? carried[given].kind === "kept" ? initial[given] : undefined
      : makerOf(body, source)
      ? undefined
      : call.valueOf(source);
    if (!value || source === iteration || !isAtMost(0, start)) return [];
    const [size] = shapeOf(value);
    if (size === undefined || !isAtMost(addDims(start, count), size)) return [];
    const whole = start === 0 && count === size
      ? value
      : valueOf(sliceAxis(tensorOf(value), 0, start, count));
    return [{ name: node.outputs[0], sequence: sequenceOf(whole, 0, false) }];
  });
}

/** A loop written out step by step, each with the number of the step known. */
function unrolled(call: Call, loop: Bounded): LoopResults {
  const { body, iteration, condition, names, next, initial, stacked, carried, count } = loop;
  let values = [...initial];
  const rows: OnnxValue[][] = [];
  for (let step = 0; step < Number(count); step++) {
    const given = new Map<string, OnnxValue>([[iteration, scalarSize(step)], [
      condition,
      valueOf(tensor(true)),
    ]]);
    names.forEach((name, index) => {
      const each = carried[index];
      given.set(name, each.kind === "counter" ? counterAt(each, step) : values[index]);
    });
    const results = call.inside(body, body.inputs.map(({ name }) => given.get(name)), {
      only: [...next, ...stacked],
    });
    values = results.slice(0, next.length);
    rows.push(results.slice(next.length));
  }
  const columns = stacked.map((name, index) => {
    const parts = rows.map((row) => tensorOf(row[index]));
    const [first] = parts;
    const wrong = parts.find(({ shape }) => !sameShape(shape, first.shape));
    if (!wrong) return valueOf(stack(parts));
    throw new TypeError(
      `its steps give ${printShape(first.shape)} and ${printShape(wrong.shape)} for ${
        JSON.stringify(name)
      }, expected ` +
        "the same shape",
    );
  });
  return { states: values, stacked: columns };
}

/** The operators of this file. */
export const controlOperators: Operators = {
  If: { attributes: ["then_branch", "else_branch"], inputs: [1, 1], outputs: Infinity, compute: chosen },
  Loop: { attributes: ["body"], inputs: [0, Infinity], outputs: Infinity, compute: looped },
};
