/**
 * Hoist: what a scan computes from constants alone moves out of the loop, and products of the inputs (x·W)
 * are computed for all steps at once before it. A scan with `recompute` keeps what depends on its inputs, so
 * that only one segment of it is in memory at a time.
 */
import { foldFlat } from "../operations/scan.ts";
import { replayEquation } from "../program/trace.ts";
import {
  type Equation,
  type EquationOf,
  isEquation,
  type OperationName,
  type Program,
  type Value,
} from "../program/types.ts";
import { printSpec, type Tensor } from "../tensor/tensor.ts";
import { type Level, levelsOf } from "./levels.ts";
import { lift } from "./lift.ts";
import { makersOf, type Note, rewrite } from "./rewrite.ts";

/** Operations not worth moving out of the loop: they cost nothing there, but need memory outside. */
const FREE: ReadonlySet<OperationName> = new Set<OperationName>([
  "constant",
  "broadcast",
  "reshape",
  "iota",
  "size",
]);

/**
 * Whether a constant is added to a product of inputs: outside the loop that is free, as the product's kernel
 * adds it to its sums.
 */
function isAddedToProduct(
  equation: Equation,
  makers: ReadonlyMap<Value, Equation>,
  levels: ReadonlyMap<Value, Level>,
): boolean {
  if (!isEquation(equation, "add")) return false;
  const [product, constant] = [
    equation.inputs.find((value) => levels.get(value) === "time" && isEquation(makers.get(value), "matmul")),
    equation.inputs.find((value) => levels.get(value) === "constant"),
  ];
  return product !== undefined && constant !== undefined;
}

/** Moves everything out of a scan that need not be in it. */
export function hoist(program: Program, note: Note): Program {
  return hoistWhere(program, note, () => true);
}

/** Moves only what is the same at every step out of a scan. */
export function hoistConstants(program: Program, note: Note): Program {
  return hoistWhere(program, note, (level) => level === "constant");
}

function hoistWhere(program: Program, note: Note, may: (level: Level | undefined) => boolean): Program {
  return rewrite(
    program,
    (equation, operands, emitAgain) =>
      isEquation(equation, "scan") ? hoistScan(equation, operands, note, may) : emitAgain(),
  );
}

/** The equations that leave the body: those worth moving, and what they need. */
function leaving(
  body: Program,
  levels: ReadonlyMap<Value, Level>,
  isMap: boolean,
  may: (level: Level | undefined) => boolean,
): Set<Equation> {
  const leave = new Set<Equation>();
  const needed = new Set<Value>();
  const makers = makersOf(body);
  for (const equation of body.equations.toReversed()) {
    const level = levels.get(equation.outputs[0]);
    const { name } = equation.operation;
    const worth = level === "constant" ? !FREE.has(name) : level === "time" &&
      (isMap || equation.operation.isHeavy || isAddedToProduct(equation, makers, levels));
    if (level === "step" || !may(level) || !(worth || equation.outputs.some((value) => needed.has(value)))) {
      continue;
    }
    leave.add(equation);
    for (const value of equation.inputs) needed.add(value);
  }
  return leave;
}

function hoistScan(
  equation: EquationOf<"scan">,
  operands: readonly Tensor[],
  note: Note,
  may: (level: Level | undefined) => boolean,
): Tensor[] {
  const attributes = { ...equation.attributes, body: hoistWhere(equation.attributes.body, note, may) };
  const { body, constants, carries, length } = attributes;
  const levels = levelsOf(attributes);
  const leave = leaving(body, levels, carries === 0 && !attributes.recompute, may);

  // Outside: constants unchanged, time-dependent values stacked.
  const outside = new Map<Value, Tensor>();
  body.inputs.forEach((value, index) => {
    if (index < constants || index >= constants + carries) outside.set(value, operands[index]);
  });
  const found = (value: Value): Tensor => {
    const tensor = outside.get(value);
    if (!tensor) throw new Error("A value that leaves a scan reads one that stays");
    return tensor;
  };
  for (const moved of body.equations) {
    if (!leave.has(moved)) continue;
    const inputs = moved.inputs.map(found);
    const [made] = moved.outputs;
    const all = levels.get(made) === "time" ? `, for all ${length} steps at once` : "";
    note(`hoisted ${moved.operation.name} ${printSpec(made)} out of a scan${all}`);
    if (levels.get(moved.outputs[0]) === "constant") {
      replayEquation(moved, inputs).forEach((tensor, index) => outside.set(moved.outputs[index], tensor));
    } else {
      const changes = moved.inputs.map((value) => levels.get(value) === "time");
      outside.set(moved.outputs[0], lift(moved, inputs, changes, length));
    }
  }

  const staying = body.equations.filter((inner) => !leave.has(inner));
  const read = new Set<Value>(staying.flatMap(({ inputs }) => inputs));
  const outputs = body.outputs.slice(carries);
  const stackedOutside = (value: Value) => levels.get(value) === "time" && outside.has(value);
  for (const [index, value] of body.outputs.entries()) {
    if (index < carries || !stackedOutside(value)) read.add(value);
  }
  const sequences = [...outside.keys()].filter((value) => read.has(value) && !isConstant(value, levels));
  if (carries === 0 && outputs.every(stackedOutside)) return outputs.map(found);
  const folded = foldFlat(
    operands.slice(constants, constants + carries),
    sequences.map(found),
    (carryTensors, steps) => {
      const inside = new Map<Value, Tensor>();
      for (const [value, tensor] of outside) if (isConstant(value, levels)) inside.set(value, tensor);
      body.inputs.slice(constants, constants + carries).forEach((value, index) =>
        inside.set(value, carryTensors[index])
      );
      sequences.forEach((value, index) => inside.set(value, steps[index]));
      const get = (value: Value): Tensor => {
        const tensor = inside.get(value);
        if (!tensor) throw new Error("A value that stays in a scan reads one that left");
        return tensor;
      };
      for (const inner of staying) {
        replayEquation(inner, inner.inputs.map(get)).forEach((tensor, index) =>
          inside.set(inner.outputs[index], tensor)
        );
      }
      return {
        carries: body.outputs.slice(0, carries).map(get),
        outputs: outputs.filter((value) => !stackedOutside(value)).map(get),
        result: undefined,
      };
    },
    { length, reverse: attributes.reverse, recompute: attributes.recompute },
  );
  const perStep = [...folded.outputs];
  return [
    ...folded.carries,
    ...outputs.map((value) => stackedOutside(value) ? found(value) : perStep.shift() as Tensor), // one per output inside
  ];
}

function isConstant(value: Value, levels: ReadonlyMap<Value, Level>): boolean {
  return levels.get(value) === "constant";
}
