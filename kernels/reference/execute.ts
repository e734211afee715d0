/**
 * Runs Programs and single operations on host memory: a planned Program is a list of kernels over views of
 * one arena per dtype. Devices, donation and caching by shape are in `executable.ts`.
 */
import { type Bindings, evaluateShape } from "../../src/tensor/dims.ts";
import {
  allocateValues,
  type HostTensor,
  hostTensor,
  type Spec,
  type Values,
} from "../../src/tensor/tensor.ts";
import { bindInputs } from "../bind_inputs.ts";
import { planProgram } from "./plan.ts";
import type { Attributes, OperationName, Program, Value } from "../../src/program/types.ts";
import type { ConcreteSpec, Prepared, ReferenceKernel } from "./kernel.ts";
import { kernels } from "./kernels.ts";
import { sizeOf } from "../shapes.ts";

/** The part of an equation that says what is computed. */
export interface Application<K extends OperationName> {
  readonly operation: { readonly name: K };
  readonly attributes: Attributes[K];
}

function buildKernel<K extends OperationName>(
  { operation, attributes }: Application<K>,
  inputs: readonly ConcreteSpec[],
  outputs: readonly ConcreteSpec[],
  bindings: Bindings,
): ReferenceKernel {
  return kernels[operation.name]({ attributes, inputs, outputs, bindings, prepare });
}

/**
 * Plans `program`, allocates its memory, builds its kernels and computes what does not depend on its inputs.
 */
export function prepare(program: Program, bindings: Bindings): Prepared {
  const plan = planProgram(program, bindings);
  const arenas = {
    float32: allocateValues("float32", plan.arenas.float32),
    int32: allocateValues("int32", plan.arenas.int32),
    bool: allocateValues("bool", plan.arenas.bool),
    float64: allocateValues("float64", plan.arenas.float64),
  };
  const views = new Map<Value, Values>();
  for (const [value, { dtype, offset, size }] of plan.regions) {
    views.set(value, arenas[dtype].subarray(offset, offset + size));
  }
  const concrete = (value: Value): ConcreteSpec => {
    const shape = plan.shapes.get(value);
    if (shape === undefined) {
      throw new TypeError("Cannot run a Program that reads a value which is no input and no equation makes");
    }
    return { shape, dtype: value.dtype };
  };

  // Lists of arrays in which every run fills in the Program's inputs.
  const places: { readonly list: Values[]; readonly at: number; readonly input: number }[] = [];
  const listOf = (values: readonly Value[]): Values[] => {
    const list: Values[] = new Array(values.length);
    values.forEach((value, at) => {
      const view = views.get(value);
      if (view) list[at] = view;
      else places.push({ list, at, input: program.inputs.indexOf(value) });
    });
    return list;
  };
  const steps: { readonly kernel: ReferenceKernel; readonly inputs: Values[]; readonly outputs: Values[] }[] =
    [];
  for (const equation of program.equations) {
    if (plan.aliases.has(equation)) continue;
    const kernel = buildKernel<OperationName>(
      equation,
      equation.inputs.map(concrete),
      equation.outputs.map(concrete),
      bindings,
    );
    const outputs = listOf(equation.outputs);
    if (plan.once.has(equation)) kernel([], outputs);
    else steps.push({ kernel, inputs: listOf(equation.inputs), outputs });
  }
  const results = listOf(program.outputs);
  return {
    inputs: program.inputs.map(concrete),
    outputs: program.outputs.map(concrete),
    elements: Object.values(plan.arenas).reduce((sum, size) => sum + size, 0),
    run(inputs) {
      for (let i = 0; i < places.length; i++) places[i].list[places[i].at] = inputs[places[i].input];
      for (let i = 0; i < steps.length; i++) steps[i].kernel(steps[i].inputs, steps[i].outputs);
      return results;
    },
  };
}

/**
 * Applies one primitive to host tensors, as eager calls do.
 *
 * @param equation The operation (only its name is read) and its attributes.
 * @param inputs Values of the inputs; they are trusted to satisfy the operation's shape rule.
 * @param outputSpecs Specs of the outputs, as returned by the shape rule.
 * @param bindings Values of symbols in the attributes or specs, if there are any.
 * @returns Fresh tensors.
 */
export function evaluate<K extends OperationName>(
  equation: Application<K>,
  inputs: readonly HostTensor[],
  outputSpecs: readonly Spec[],
  bindings: Bindings = {},
): HostTensor[] {
  const outputs = outputSpecs.map(({ shape, dtype }) => {
    const sizes = evaluateShape(shape, bindings);
    return hostTensor(allocateValues(dtype, sizeOf(sizes)), sizes);
  });
  const kernel = buildKernel(equation, inputs, outputs, bindings);
  kernel(inputs.map(({ data }) => data), outputs.map(({ data }) => data));
  return outputs;
}

/**
 * Runs a Program once on host tensors.
 *
 * @throws TypeError or RangeError if the inputs do not match the Program's.
 */
export function runProgram(program: Program, inputs: readonly HostTensor[]): HostTensor[] {
  const prepared = prepare(program, bindInputs(program, inputs));
  const results = prepared.run(inputs.map(({ data }) => data));
  return prepared.outputs.map(({ shape }, output) => hostTensor(results[output].slice(), shape));
}
