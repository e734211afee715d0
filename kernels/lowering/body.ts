/**
 * Bodies: a Program (or the body of a scan) prepared for lowering. Constants are evaluated, every result that
 * must be written to a given place is a value of its own, and every equation has a stage and a unit of work.
 */
import type { DType, HostTensor } from "../../src/tensor/tensor.ts";
import { type Bindings, evaluateDim, evaluateShape } from "../../src/tensor/dims.ts";
import {
  type ElementwiseEquation,
  type Equation,
  isElementwise,
  isEquation,
  type Program,
  type Value,
} from "../../src/program/types.ts";
import { evaluate } from "../reference/mod.ts";
import { ownElementsOf } from "./rules.ts";
import { baseOf, stagesOf } from "./stages.ts";
import { applyView, isKnown, isViewOperation, type KnownEquation } from "./view_operations.ts";
import { type Buffer, type Constant, type Located, type View, viewOf } from "./views.ts";
import { sizeOf } from "../shapes.ts";

/** Where a result is written: a given view, or a part of a concatenation. */
export type Destination = View | { readonly whole: Value; readonly part: number };

/** An equation whose result is not known at compile time. */
export type ComputedEquation = Exclude<Equation, KnownEquation>;

/** What becomes one kernel: several elementwise equations, or one equation of another kind. */
export type Unit =
  | { readonly stage: number; readonly fused: ElementwiseEquation[] }
  | { readonly stage: number; readonly equation: Exclude<ComputedEquation, ElementwiseEquation> };

/** A body prepared for lowering. */
export interface PreparedBody {
  readonly equations: readonly ComputedEquation[];
  readonly makers: ReadonlyMap<Value, ComputedEquation>;
  readonly copies: ReadonlySet<Equation>;
  /** Values from outside, and constants. */
  readonly given: ReadonlyMap<Value, Located>;
  /** The body's outputs; one with a given place is a separate value. */
  readonly outputs: readonly Value[];
  readonly destinations: Map<Value, Destination[]>;
  /** Values that a reshape reads, which need row-major memory of their own. */
  readonly reshaped: ReadonlySet<Value>;
  readonly units: readonly Unit[];
  readonly unitOf: ReadonlyMap<Equation, number>;
}

/**
 * The most operations of a kernel. On wasm each takes up to 80 local variables of a function, of which
 * engines allow 50,000; and shader compilers take longer over a function than over its two halves.
 */
const MOST_OPERATIONS = 128;

/** An identity, so that a value is also written to another place. */
function identity(input: Value): ComputedEquation {
  return {
    operation: { name: "stopGradient", infer: ([x]) => [x] },
    inputs: [input],
    attributes: {},
    outputs: [{ shape: input.shape, dtype: input.dtype }],
  };
}

/** The value of an equation without inputs; one that depends on open sizes follows when they are known. */
function evaluateConstant(equation: KnownEquation): Located {
  const [{ shape, dtype }] = equation.outputs;
  if (isEquation(equation, "size")) {
    const at = (bindings: Bindings) =>
      constantTensor(evaluateDim(equation.attributes.dim, bindings), dtype).data[0];
    return { constant: typeof equation.attributes.dim === "number" ? at({}) : at, dtype };
  }
  const at = (bindings: Bindings): HostTensor => {
    if (isEquation(equation, "constant")) return equation.attributes.value;
    const [value] = evaluate(
      equation as never,
      [],
      [{ shape: evaluateShape(shape, bindings), dtype }],
      bindings,
    ); // an iota
    return value;
  };
  const isOpen = shape.some((dim) => typeof dim !== "number");
  const value = isOpen ? at : at({});
  if (shape.length === 0 && typeof value !== "function") return { constant: value.data[0], dtype };
  const buffer: Buffer = { name: "constant", size: sizeOf(shape), storage: { kind: "constant", value } };
  return { view: viewOf(buffer, shape, dtype) };
}

/** The inputs of an elementwise operation whose inputs are all known at compile time. */
function constantInputs(equation: Equation, given: ReadonlyMap<Value, Located>): Constant[] | undefined {
  if (!isElementwise(equation) || equation.inputs.length === 0) return undefined;
  const found = equation.inputs.map((value) => given.get(value)).filter(isConstant);
  return found.length === equation.inputs.length ? found : undefined;
}

/** The value of an elementwise operation on uniform inputs, which is uniform too. */
function evaluateElementwise(equation: Equation, inputs: readonly Constant[]): Constant {
  const [{ dtype }] = equation.outputs;
  const at = (bindings: Bindings): number => {
    const scalars = inputs.map(({ constant, dtype }) =>
      constantTensor(typeof constant === "number" ? constant : constant(bindings), dtype)
    );
    const alone = {
      ...equation,
      inputs: scalars.map(({ dtype }): Value => ({ shape: [], dtype })),
      outputs: [{ shape: [], dtype }],
    };
    const [{ data: [constant] }] = evaluate(alone as never, scalars, [{ shape: [], dtype }]); // the same operation
    return constant;
  };
  return { constant: inputs.some(({ constant }) => typeof constant !== "number") ? at : at({}), dtype };
}

/**
 * Prepares a body; `targets` are the places of the outputs, undefined for carries, which are placed later.
 */
export function prepareBody(
  program: Program,
  inputs: ReadonlyMap<Value, Located>,
  targets: readonly (View | undefined)[],
): PreparedBody {
  const equations: ComputedEquation[] = [];
  const makers = new Map<Value, ComputedEquation>();
  const given = new Map<Value, Located>(inputs);
  const destinations = new Map<Value, Destination[]>();
  const add = (equation: ComputedEquation) => {
    equations.push(equation);
    for (const value of equation.outputs) makers.set(value, equation);
  };
  // Elementwise results can be written to several destinations, other results to one; everything else is copied.
  const writeTo = (value: Value, where: Destination): Value => {
    const maker = makers.get(value);
    const here = maker !== undefined && !isViewOperation(maker) && !ownElementsOf(maker.operation.name) &&
      (isElementwise(maker) || !destinations.has(value));
    if (here) {
      destinations.set(value, [...destinations.get(value) ?? [], where]);
      return value;
    }
    const copy = identity(value);
    add(copy);
    destinations.set(copy.outputs[0], [where]);
    return copy.outputs[0];
  };
  for (const equation of program.equations) {
    const [output] = equation.outputs;
    const constants = constantInputs(equation, given);
    if (constants) {
      given.set(output, evaluateElementwise(equation, constants));
    } else if (isKnown(equation)) {
      given.set(output, evaluateConstant(equation));
    } else if (isViewOperation(equation) && isConstant(given.get(equation.inputs[0]))) {
      given.set(output, given.get(equation.inputs[0]) as Located); // found just now
    } else if (isEquation(equation, "concat")) {
      add({
        ...equation,
        inputs: equation.inputs.map((part, index) => writeTo(part, { whole: output, part: index })),
      });
    } else {
      add(equation);
    }
  }
  const outputs = program.outputs.map((value, index) => {
    const target = targets[index];
    return target ? writeTo(value, target) : value;
  });

  // Reshapes that no view can express are copies; found by trying on row-major memory.
  const copies = new Set<Equation>();
  const reshaped = new Set<Value>();
  const body = { equations, outputs, makers, copies };
  const trial = new Map<Value, View>();
  const trialOf = (value: Value): View => {
    const found = given.get(value);
    if (found && "view" in found) return found.view;
    return trial.get(value) ??
      viewOf({ name: "", size: sizeOf(value.shape), storage: { kind: "arena" } }, value.shape, value.dtype);
  };
  for (const equation of equations) {
    if (!isViewOperation(equation)) continue;
    const view = applyView(equation, trialOf(equation.inputs[0]));
    if (view) {
      trial.set(equation.outputs[0], view);
      if (isEquation(equation, "reshape")) reshaped.add(baseOf(equation.outputs[0], body));
    } else {
      copies.add(equation);
    }
  }

  const stages = stagesOf(body);
  const units: Unit[] = [];
  const groups = new Map<string, ElementwiseEquation[]>();
  for (const equation of equations) {
    if (isViewOperation(equation) && !copies.has(equation)) continue;
    const [output] = equation.outputs;
    const stage = stages.get(output) ?? 0;
    if (!isElementwise(equation)) {
      units.push({ stage, equation });
      continue;
    }
    const group = `${stage} ${output.shape}`;
    const open = groups.get(group);
    if (open && open.length < MOST_OPERATIONS) {
      open.push(equation);
    } else {
      const fused = [equation];
      units.push({ stage, fused });
      groups.set(group, fused);
    }
  }
  // A concatenation comes after its parts, which share its stage.
  const order = (unit: Unit) =>
    unit.stage + ("equation" in unit && isEquation(unit.equation, "concat") ? 0.5 : 0);
  units.sort((a, b) => order(a) - order(b));
  const unitOf = new Map<Equation, number>();
  units.forEach((unit, index) => {
    for (const equation of "fused" in unit ? unit.fused : [unit.equation]) unitOf.set(equation, index);
  });
  return { equations, makers, copies, given, outputs, destinations, reshaped, units, unitOf };
}

/** Whether a value is known at compile time. */
export function isConstant(located: Located | undefined): located is Constant {
  return located !== undefined && "constant" in located;
}

/** A constant as a tensor. */
export function constantTensor(value: number, dtype: DType) {
  const data = dtype === "float32"
    ? new Float32Array([value])
    : dtype === "int32"
    ? new Int32Array([value])
    : new Uint8Array([value]);
  return { kind: "host", shape: [], dtype, data } as const;
}
