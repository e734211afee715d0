/**
 * Tracing: runs a function on tensors that know only shape and dtype, and records its operations as a
 * Program. Traces nest (the body of a scan is traced inside the trace that holds the scan); a value of an
 * outer trace that is used inside becomes a captured input of the inner Program.
 */
import {
  type HostTensor,
  isTensor,
  printSpec,
  type Spec,
  specOf,
  type Tensor,
  type TracedTensor,
} from "../tensor/tensor.ts";
import {
  type Attributes,
  type Equation,
  type EquationOf,
  isEquation,
  type Operation,
  type OperationName,
  type Program,
  type Value,
} from "./types.ts";

/** Constants of up to this many elements are written into a scan's body; larger ones are passed to it. */
const LARGEST_INLINE_CONSTANT = 1;

interface Tracer extends TracedTensor {
  readonly builder: Builder;
  readonly value: Value;
}

/** A Program under construction. */
export interface Builder {
  readonly parent: Builder | undefined;
  /** What transforms did along the way, for people. */
  readonly notes: string[];
  readonly inputs: Value[];
  /** In order of computation. A derivative rule may replace an entry by one with more outputs. */
  readonly equations: Equation[];
  /** Where in `equations` a value is computed. */
  readonly makers: Map<Value, number>;
  /** Values and constants from outside, by identity. */
  readonly captured: Map<Value | HostTensor, { readonly outer: Tensor; readonly inner: Value }>;
  /** The tensors from outside by the values that stand for them inside. */
  readonly outside: Map<Value, Tensor>;
  readonly constants: Map<HostTensor | string, Value>;
  /** Large constants become inputs (a scan's body) instead of equations. */
  readonly capturesConstants: boolean;
}

let current: Builder | undefined;

/** All Programs ever under construction here, rather than in another copy of the library. */
const builders = new WeakSet<Builder>();

/** Which layer or function of a model is being traced. */
let currentPlace: string | undefined;

/** Where equations come from, as far as it was given; for errors. */
const places = new WeakMap<Equation, string>();

/** Runs `run`, whose equations come from `place`. */
export function inPlace<T>(place: string, run: () => T): T {
  const before = currentPlace;
  currentPlace = before === undefined ? place : `${place}, in ${before}`;
  try {
    return run();
  } finally {
    currentPlace = before;
  }
}

/** Where an equation comes from: `dense of sequential`; undefined if it was not given. */
export function placeOfEquation(equation: Equation): string | undefined {
  return places.get(equation);
}

function write(builder: Builder, equation: Equation): void {
  if (currentPlace !== undefined) places.set(equation, currentPlace);
  append(builder, equation);
}

function append(builder: Builder, equation: Equation): void {
  for (const value of equation.outputs) builder.makers.set(value, builder.equations.length);
  builder.equations.push(equation);
}

/** Whether a trace is active, so that operations are recorded instead of computed. */
export function isTracing(): boolean {
  return current !== undefined;
}

/** Runs `run` as if nothing were traced: operations on known tensors are computed, not recorded. */
export function outsideTraces<T>(run: () => T): T {
  const before = current;
  current = undefined;
  try {
    return run();
  } finally {
    current = before;
  }
}

function builderNow(): Builder {
  if (!current) throw new TypeError("Cannot use a traced tensor here: its trace has ended");
  return current;
}

function tracer(builder: Builder, value: Value): Tracer {
  return { kind: "traced", shape: value.shape, dtype: value.dtype, builder, value };
}

/** Records for `explain` what a transform did inside the current trace; ignored outside one. */
export function noteInTrace(text: string): void {
  current?.notes.push(text);
}

/** A new Value. */
export function newValue(spec: Spec): Value {
  return specOf(spec);
}

function isOpen(builder: Builder): boolean {
  for (let open = current; open; open = open.parent) if (open === builder) return true;
  return false;
}

/** The Value that represents `tensor` in `builder`. */
function valueIn(builder: Builder, tensor: Tensor): Value {
  switch (tensor.kind) {
    case "host":
      return constantIn(builder, tensor);
    case "device":
      throw new TypeError(
        `Cannot close over ${printSpec(tensor)} on the device ${tensor.device}: ` +
          `pass it to the compiled function as an argument`,
      );
    case "traced": {
      const { builder: owner, value } = tensor as Tracer; // only this file makes traced tensors
      if (owner === builder) return value;
      if (!isOpen(owner)) {
        throw strayTensor(tensor);
      }
      return captureIn(builder, value, tensor);
    }
  }
}

/** The error for a traced tensor whose trace is not active. */
export function strayTensor(tensor: TracedTensor): TypeError {
  const { builder } = tensor as Tracer; // or the same made by another copy of this file
  return new TypeError(
    builders.has(builder)
      ? `Cannot use a traced ${printSpec(tensor)} outside the function that was traced: ` +
        `return it from that function instead of storing it`
      : `Cannot use a traced ${printSpec(tensor)}: another copy of the library traces it; ` +
        `import all of it from one place`,
  );
}

function captureIn(builder: Builder, identity: Value | HostTensor, outer: Tensor): Value {
  let entry = builder.captured.get(identity);
  if (!entry) {
    builder.captured.set(identity, entry = { outer, inner: newValue(outer) });
    builder.outside.set(entry.inner, outer);
  }
  return entry.inner;
}

function constantIn(builder: Builder, tensor: HostTensor): Value {
  const scalar = tensor.data.length <= LARGEST_INLINE_CONSTANT;
  if (builder.capturesConstants && !scalar) return captureIn(builder, tensor, tensor);
  const identity = scalar
    ? `${printSpec(tensor)}${Object.is(tensor.data[0], -0) ? "-0" : tensor.data[0]}`
    : tensor;
  let value = builder.constants.get(identity);
  if (!value) {
    value = newValue(tensor);
    builder.constants.set(identity, value);
    append(builder, {
      operation: constantOperation,
      inputs: [],
      attributes: { value: tensor },
      outputs: [value],
    });
  }
  return value;
}

/** The record of the primitive `constant`; here because tracing itself makes constants. */
export const constantOperation: Operation<"constant"> = {
  name: "constant",
  isCheap: true,
  infer: (_, { value }) => [specOf(value)],
};

/** Records `operation` in the current trace and returns its traced outputs. */
export function emit<K extends OperationName>(
  operation: Operation<K>,
  inputs: readonly Tensor[],
  attributes: Attributes[K],
): TracedTensor[] {
  const builder = builderNow();
  const outputs = operation.infer(inputs, attributes).map(newValue);
  const equation: EquationOf<K> = {
    operation,
    inputs: inputs.map((input) => valueIn(builder, input)),
    attributes,
    outputs,
  };
  write(builder, equation as unknown as Equation); // EquationOf<K> is a member of the union for every K
  return outputs.map((value) => tracer(builder, value));
}

/** Records an equation again in the current trace, on other operands; returns its traced outputs. */
export function replayEquation(equation: Equation, operands: readonly Tensor[]): TracedTensor[] {
  const builder = builderNow();
  if (isEquation(equation, "constant")) {
    return [tracer(builder, constantIn(builder, equation.attributes.value))];
  }
  const outputs = equation.outputs.map(newValue);
  const inputs = operands.map((operand) => valueIn(builder, operand));
  append(builder, { ...equation, inputs, outputs } as Equation); // the same operation and attributes
  return outputs.map((value) => tracer(builder, value));
}

/**
 * Runs every equation of `program` in the current trace on `inputs`; returns the tensors of all its values.
 *
 * @param each Called instead of recording, with a function that records the equation.
 */
export function replay(
  program: Program,
  inputs: readonly Tensor[],
  each: (equation: Equation, operands: readonly Tensor[], emitAgain: () => Tensor[]) => Tensor[] = (
    _,
    __,
    again,
  ) => again(),
): Map<Value, Tensor> {
  const tensors = new Map<Value, Tensor>();
  program.inputs.forEach((value, index) => tensors.set(value, inputs[index]));
  for (const equation of program.equations) {
    const operands = equation.inputs.map((value) => tensorOf(tensors, value));
    const results = each(equation, operands, () => replayEquation(equation, operands));
    equation.outputs.forEach((value, index) => tensors.set(value, results[index]));
  }
  return tensors;
}

/** The tensor that represents `value` after a replay. */
export function tensorOf(tensors: ReadonlyMap<Value, Tensor>, value: Value): Tensor {
  const found = tensors.get(value);
  if (!found) throw new Error(`A Program reads a ${printSpec(value)} that nothing computes`);
  return found;
}

/** Runs `program` in the current trace on `inputs`; returns its outputs. */
export function inline(program: Program, inputs: readonly Tensor[]): Tensor[] {
  const tensors = replay(program, inputs);
  return program.outputs.map((value) => tensorOf(tensors, value));
}

/** The result of tracing a function. */
export interface Trace<Result> {
  /** Inputs: the requested ones, then one per entry of `captured`. */
  readonly program: Program;
  /** Tensors of the surrounding trace (or large constants) that the function closed over. */
  readonly captured: readonly Tensor[];
  /** What the function returned besides its outputs. */
  readonly result: Result;
  /** What transforms inside the function did, for people. */
  readonly notes: readonly string[];
}

/**
 * Traces `run` on inputs of these specs.
 *
 * @param run Called with the traced inputs; returns the tensors that become the Program's outputs, and an
 * extra result.
 * @param options `capturesConstants`: large constants become captured inputs, as needed for a scan's body.
 */
export function traceFlat<Result>(
  specs: readonly Spec[],
  run: (inputs: TracedTensor[]) => { readonly outputs: readonly Tensor[]; readonly result: Result },
  options: { readonly capturesConstants?: boolean } = {},
): Trace<Result> {
  const builder: Builder = {
    parent: current,
    notes: current?.notes ?? [],
    inputs: specs.map(newValue),
    equations: [],
    makers: new Map(),
    captured: new Map(),
    outside: new Map(),
    constants: new Map(),
    capturesConstants: options.capturesConstants ?? false,
  };
  builders.add(builder);
  current = builder;
  try {
    const { outputs, result } = run(builder.inputs.map((value) => tracer(builder, value)));
    const outputValues = outputs.map((output) => valueIn(builder, output));
    const captured = [...builder.captured.values()];
    return {
      program: {
        inputs: [...builder.inputs, ...captured.map(({ inner }) => inner)],
        equations: builder.equations,
        outputs: outputValues,
      },
      captured: captured.map(({ outer }) => outer),
      result,
      notes: builder.notes,
    };
  } finally {
    current = builder.parent;
  }
}

/** The Value that a traced tensor represents in its own trace. */
export function valueOf(tensor: Tensor): Value {
  if (tensor.kind !== "traced") throw new Error(`${printSpec(tensor)} is not traced`);
  return (tensor as Tracer).value; // only this file makes traced tensors
}

function locate(output: Tensor): { readonly builder: Builder; readonly index: number } {
  const value = valueOf(output);
  const { builder } = output as Tracer; // valueOf has checked that it is traced
  return { builder, index: builder.makers.get(value) ?? -1 };
}

/** The equation that computes `output`, in its present form. */
export function equationOf(output: Tensor): Equation {
  const { builder, index } = locate(output);
  return builder.equations[index];
}

/**
 * The equation that computes `tensor`, and its operands; those from an outer trace are tensors of that trace. Undefined for
 * inputs and for what is not traced.
 */
export function producerOf(
  tensor: Tensor,
): { readonly equation: Equation; readonly operands: readonly Tensor[] } | undefined {
  if (!isTraced(tensor)) return undefined;
  const { builder, index } = locate(tensor);
  if (index < 0) return undefined;
  const equation = builder.equations[index];
  const operands = equation.inputs.map((value) => builder.outside.get(value) ?? tracer(builder, value));
  return { equation, operands };
}

/**
 * Adds outputs to an equation that was already recorded, and returns them, traced. A derivative rule uses
 * this to keep intermediate results of a computation instead of running it again.
 */
export function extendEquation<K extends OperationName>(
  output: Tensor,
  attributes: Attributes[K],
  added: readonly Spec[],
): Tensor[] {
  const { builder, index } = locate(output);
  const equation = builder.equations[index];
  const values = added.map(newValue);
  for (const value of values) builder.makers.set(value, index);
  const extended = { ...equation, attributes, outputs: [...equation.outputs, ...values] };
  builder.equations[index] = extended as Equation; // the attributes belong to the same operation
  return values.map((value) => tracer(builder, value));
}

/** Whether `value` is a tensor of an active trace. */
export function isTraced(value: unknown): value is TracedTensor {
  return isTensor(value) && value.kind === "traced";
}
