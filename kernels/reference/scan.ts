/**
 * The fold over time by its definition: slice, run the body, keep the outputs, carry on. The body is prepared
 * once; the carries live in the scan's own outputs, which hold the final carries after the last step.
 */
import { evaluateDim } from "../../src/tensor/dims.ts";
import { allocateValues, type Values } from "../../src/tensor/tensor.ts";
import { timeAxis } from "../../src/program/types.ts";
import type { ConcreteSpec, KernelBuilder, Kernels } from "./kernel.ts";
import { sizeOf } from "../shapes.ts";

/** The layout of one step in a sequence: `outer` pieces of `inner` elements, one every `inner * length`. */
interface Frame {
  readonly outer: number;
  readonly inner: number;
  readonly length: number;
}

function frameOf({ shape }: ConcreteSpec): Frame {
  const axis = timeAxis(shape.length);
  return {
    outer: sizeOf(shape.slice(0, axis)),
    inner: sizeOf(shape.slice(axis + 1)),
    length: shape[axis],
  };
}

function readStep(sequence: Values, step: number, { outer, inner, length }: Frame, slice: Values): void {
  for (let i = 0; i < outer; i++) {
    const from = (i * length + step) * inner;
    for (let j = 0; j < inner; j++) slice[i * inner + j] = sequence[from + j];
  }
}

function writeStep(slice: Values, step: number, { outer, inner, length }: Frame, sequence: Values): void {
  for (let i = 0; i < outer; i++) {
    const to = (i * length + step) * inner;
    for (let j = 0; j < inner; j++) sequence[to + j] = slice[i * inner + j];
  }
}

const scan: KernelBuilder<"scan"> = ({ attributes, inputs, outputs, bindings, prepare }) => {
  const { body: program, constants, carries, reverse } = attributes;
  const length = evaluateDim(attributes.length, bindings);
  const body = prepare(program, bindings);
  const firstSequence = constants + carries;
  const frames = inputs.slice(firstSequence).map(frameOf);
  const stackFrames = outputs.slice(carries).map(frameOf);
  const slices = body.inputs.slice(firstSequence).map(({ shape, dtype }) =>
    allocateValues(dtype, sizeOf(shape))
  );
  // A next carry that is an input of the body may be overwritten while the carries are updated one by one
  // (two carries that swap, for example), so it is copied first.
  const passedOn = program.outputs.slice(0, carries).map((output) => program.inputs.includes(output));
  const setAside = body.inputs.slice(constants, firstSequence).map(({ shape, dtype }, carry) =>
    allocateValues(dtype, passedOn[carry] ? sizeOf(shape) : 0)
  );
  const bodyInputs: Values[] = new Array(body.inputs.length);

  return (given, results) => {
    for (let i = 0; i < constants; i++) bodyInputs[i] = given[i];
    for (let i = 0; i < carries; i++) {
      results[i].set(given[constants + i]);
      bodyInputs[constants + i] = results[i];
    }
    for (let i = 0; i < slices.length; i++) bodyInputs[firstSequence + i] = slices[i];
    for (let count = 0; count < length; count++) {
      const step = reverse ? length - 1 - count : count;
      for (let i = 0; i < slices.length; i++) readStep(given[firstSequence + i], step, frames[i], slices[i]);
      const next = body.run(bodyInputs);
      for (let i = 0; i < stackFrames.length; i++) {
        writeStep(next[carries + i], step, stackFrames[i], results[carries + i]);
      }
      for (let i = 0; i < carries; i++) if (passedOn[i]) setAside[i].set(next[i]);
      for (let i = 0; i < carries; i++) results[i].set(passedOn[i] ? setAside[i] : next[i]);
    }
  };
};

/** The builder of the fold. */
export const folds: Kernels<"scan"> = { scan };
