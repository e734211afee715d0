/**
 * Prune: unread values are neither computed nor stored. Equations without readers are removed; a scan loses
 * the carries, outputs, constants and sequences that do not matter; a stacked output of which only the last
 * step is read becomes a carry; and a scan whose carries are all overwritten at every step is reduced to its
 * last step.
 */
import { isPositive, subtractDims } from "../tensor/dims.ts";
import { tensor } from "../tensor/tensor.ts";
import { constantOperation, newValue } from "../program/trace.ts";
import {
  type Equation,
  type EquationOf,
  isEquation,
  type Program,
  timeAxis,
  type Value,
} from "../program/types.ts";
import { broadcastOperation, reshapeOperation, sliceOperation } from "../operations/structure.ts";
import { type Note, readersOf } from "./rewrite.ts";

type ScanEquation = EquationOf<"scan">;

/** Drops everything without a reader. */
export function prune(program: Program, note: Note): Program {
  const pruned = pruneBlock(program);
  const [before, after] = [sizeOf(program), sizeOf(pruned)];
  if (after.equations < before.equations) {
    note(`pruned ${before.equations - after.equations} equations nobody reads`);
  }
  if (after.scans < before.scans) {
    note(`pruned ${before.scans - after.scans} scans down to their last step, or to nothing`);
  }
  return pruned;
}

function pruneBlock(program: Program): Program {
  return dropUnread(lastStepsOnly(dropUnread(program)));
}

/** The size of a Program, including the bodies of its scans. */
function sizeOf({ equations }: Program): { readonly equations: number; readonly scans: number } {
  let count = equations.length, scans = 0;
  for (const equation of equations) {
    if (!isEquation(equation, "scan")) continue;
    const inside = sizeOf(equation.attributes.body);
    count += inside.equations;
    scans += 1 + inside.scans;
  }
  return { equations: count, scans };
}

function dropUnread(program: Program): Program {
  const live = new Set<Value>(program.outputs);
  const kept: Equation[] = [];
  for (const equation of program.equations.toReversed()) {
    if (!equation.outputs.some((value) => live.has(value))) continue;
    const smaller = isEquation(equation, "scan") ? pruneScan(equation, live) : equation;
    for (const value of smaller.inputs) live.add(value);
    kept.push(smaller);
  }
  return { ...program, equations: kept.reverse() };
}

/**
 * The indices of the carries that matter: read afterwards, or read by the body on the way to something that
 * is.
 */
function liveCarries(
  { attributes: { body, constants, carries }, outputs }: ScanEquation,
  live: ReadonlySet<Value>,
) {
  const wanted = outputs.map((value) => live.has(value));
  for (let before = -1; before !== wanted.filter(Boolean).length;) {
    before = wanted.filter(Boolean).length;
    const read = new Set(body.outputs.filter((_, index) => wanted[index]));
    for (const { inputs, outputs: made } of body.equations.toReversed()) {
      if (made.some((value) => read.has(value))) { for (const value of inputs) read.add(value); }
    }
    for (let carry = 0; carry < carries; carry++) {
      if (read.has(body.inputs[constants + carry])) wanted[carry] = true;
    }
  }
  return wanted;
}

function pruneScan(equation: ScanEquation, live: ReadonlySet<Value>): ScanEquation {
  const { attributes, inputs, outputs } = equation;
  const { body, constants, carries } = attributes;
  const wanted = liveCarries(equation, live);
  const smaller = pruneBlock({ ...body, outputs: body.outputs.filter((_, index) => wanted[index]) });
  const read = new Set<Value>(smaller.outputs);
  for (const { inputs: operands } of smaller.equations) for (const value of operands) read.add(value);
  const keep = body.inputs.map((value, index) =>
    index >= constants && index < constants + carries ? wanted[index - constants] : read.has(value)
  );
  return {
    ...equation,
    inputs: inputs.filter((_, index) => keep[index]),
    outputs: outputs.filter((_, index) => wanted[index]),
    attributes: {
      ...attributes,
      body: { ...smaller, inputs: body.inputs.filter((_, index) => keep[index]) },
      constants: keep.slice(0, constants).filter(Boolean).length,
      carries: wanted.slice(0, carries).filter(Boolean).length,
    },
  };
}

/** Whether `equation` takes only the last step of one of the stacked outputs of `scan`. */
function takesLastStep(equation: Equation, { length, reverse }: ScanEquation["attributes"]): boolean {
  if (!isEquation(equation, "slice")) return false;
  const { start, size } = equation.attributes;
  const [{ shape }] = equation.inputs;
  const time = timeAxis(shape.length);
  return shape.every((dim, axis) =>
    axis === time
      ? size[axis] === 1 && start[axis] === (reverse ? 0 : subtractDims(length, 1))
      : start[axis] === 0 && size[axis] === dim
  );
}

function lastStepsOnly(program: Program): Program {
  const readers = readersOf(program);

  /** Slices of a last step, each to be read from a final carry instead. */
  const replaced = new Map<Equation, Value>();
  const equations: Equation[] = [];
  for (const equation of program.equations) {
    const carry = replaced.get(equation);
    if (carry) {
      const [output] = equation.outputs;
      const reshape: EquationOf<"reshape"> = {
        operation: reshapeOperation,
        inputs: [carry],
        attributes: { shape: output.shape },
        outputs: [output],
      };
      equations.push(reshape);
    } else if (isEquation(equation, "scan")) {
      const { carries } = equation.attributes;
      const lastOnly = equation.outputs.map((value, index) => {
        const list = readers.get(value);
        return index >= carries && list !== undefined &&
          list.every((reader) => reader !== undefined && takesLastStep(reader, equation.attributes));
      });
      const { before, scan, finals } = carriesInsteadOfStacks(equation, lastOnly);
      for (const [stack, final] of finals) {
        for (const reader of readers.get(stack) ?? []) if (reader) replaced.set(reader, final);
      }
      equations.push(...before, ...(lastStepInline(scan) ?? [scan]));
    } else {
      equations.push(equation);
    }
  }
  return { ...program, equations };
}

/** Turns the marked stacked outputs into carries that each step overwrites. */
function carriesInsteadOfStacks(scan: ScanEquation, marked: readonly boolean[]) {
  const { attributes, inputs, outputs } = scan;
  const { body, constants, carries } = attributes;
  const before: Equation[] = [];
  const finals = new Map<Value, Value>();
  const added: { initial: Value; inside: Value; next: Value; final: Value }[] = [];
  outputs.forEach((stack, index) => {
    if (!marked[index]) return;
    const next = body.outputs[index];
    const same = body.outputs.slice(0, carries).indexOf(next);
    if (same >= 0) {
      finals.set(stack, outputs[same]);
      return;
    }
    const initial = newValue(next);
    const zero = newValue({ shape: [], dtype: next.dtype });
    const constant: EquationOf<"constant"> = {
      operation: constantOperation,
      inputs: [],
      attributes: { value: tensor(0, { dtype: next.dtype }) },
      outputs: [zero],
    };
    const broadcast: EquationOf<"broadcast"> = {
      operation: broadcastOperation,
      inputs: [zero],
      attributes: { shape: next.shape, axes: [] },
      outputs: [initial],
    };
    before.push(constant, broadcast);
    const final = newValue(next);
    finals.set(stack, final);
    added.push({ initial, inside: newValue(next), next, final });
  });
  if (finals.size === 0) return { before, scan, finals };
  const firstSequence = constants + carries;
  const insert = (list: readonly Value[], more: readonly Value[]) => [
    ...list.slice(0, firstSequence),
    ...more,
    ...list.slice(firstSequence),
  ];
  const stays = (_: Value, index: number) => !marked[index];
  const smaller: ScanEquation = {
    ...scan,
    inputs: insert(inputs, added.map(({ initial }) => initial)),
    outputs: [
      ...outputs.slice(0, carries),
      ...added.map(({ final }) => final),
      ...outputs.filter(stays).slice(carries),
    ],
    attributes: {
      ...attributes,
      carries: carries + added.length,
      body: {
        ...body,
        inputs: insert(body.inputs, added.map(({ inside }) => inside)),
        outputs: [
          ...body.outputs.slice(0, carries),
          ...added.map(({ next }) => next),
          ...body.outputs.filter(stays).slice(carries),
        ],
      },
    },
  };
  return { before, scan: smaller, finals };
}

/** The last step alone, if no step reads the previous one's carries and at least one step runs. */
function lastStepInline({ attributes, inputs, outputs }: ScanEquation): Equation[] | undefined {
  const { body, constants, carries, length, reverse } = attributes;
  if (!isPositive(length) || outputs.length > carries) return undefined;
  const read = new Set<Value>(body.outputs);
  for (const equation of body.equations) for (const value of equation.inputs) read.add(value);
  if (body.inputs.slice(constants, constants + carries).some((value) => read.has(value))) return undefined;

  const equations: Equation[] = [];
  const inside = new Map<Value, Value>();
  body.inputs.forEach((value, index) => {
    const outer = inputs[index];
    if (index < constants) inside.set(value, outer);
    if (index < constants + carries) return;
    const time = timeAxis(outer.shape.length);
    const size = outer.shape.map((dim, axis) => axis === time ? 1 : dim);
    const cut = newValue({ shape: size, dtype: outer.dtype });
    const step = newValue(value);
    const slice: EquationOf<"slice"> = {
      operation: sliceOperation,
      inputs: [outer],
      attributes: {
        start: outer.shape.map((_, axis) => axis === time && !reverse ? subtractDims(length, 1) : 0),
        size,
        stride: outer.shape.map(() => 1),
      },
      outputs: [cut],
    };
    const reshape: EquationOf<"reshape"> = {
      operation: reshapeOperation,
      inputs: [cut],
      attributes: { shape: step.shape },
      outputs: [step],
    };
    equations.push(slice, reshape);
    inside.set(value, step);
  });
  const map = (value: Value): Value => inside.get(value) ?? value;
  for (const equation of body.equations) {
    equation.outputs.forEach((value) => inside.set(value, newValue(value)));
    equations.push(
      { ...equation, inputs: equation.inputs.map(map), outputs: equation.outputs.map(map) } as Equation,
    ); // same operation
  }
  // A final carry may be an input of the body, or belong to two carries: a reshape to its own shape gives it
  // a new Value.
  outputs.forEach((output, index) => {
    const named: EquationOf<"reshape"> = {
      operation: reshapeOperation,
      inputs: [map(body.outputs[index])],
      attributes: { shape: output.shape },
      outputs: [output],
    };
    equations.push(named);
  });
  return equations;
}
