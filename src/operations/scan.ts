/** The primitive `scan`, and how a fold is recorded as one. */
import { traceFlat } from "../program/trace.ts";
import { type Operation, stackedSpec, stepSpec, timeAxis } from "../program/types.ts";
import { type Dim, sameShape } from "../tensor/dims.ts";
import { printSpec, type Tensor } from "../tensor/tensor.ts";
import { apply } from "./apply.ts";
import { axisOf, originOf, withLogits } from "./logits.ts";

export const scanOperation: Operation<"scan"> = {
  name: "scan",
  infer: (inputs, { body, constants, carries, length }) => {
    inputs.slice(constants + carries).forEach((sequence, index) => {
      const along = sequence.shape[timeAxis(sequence.shape.length)];
      if (along !== length) {
        throw new TypeError(
          `Cannot scan ${printSpec(sequence)} (sequence ${index}): ` +
            `it has ${along} steps, the scan ${length}`,
        );
      }
    });
    const given = inputs.map((input, index) => index < constants + carries ? input : stepSpec(input));
    body.inputs.forEach((value, index) => {
      if (value.dtype !== given[index].dtype || !sameShape(value.shape, given[index].shape)) {
        throw new TypeError(
          `Cannot scan: input ${index} is ${printSpec(given[index])}, the body takes ${printSpec(value)}`,
        );
      }
    });
    return body.outputs.map((value, index) => index < carries ? value : stackedSpec(value, length));
  },
};

/** How a scan runs, apart from its body. */
export interface FoldOptions {
  readonly length: Dim;
  readonly reverse: boolean;
  readonly recompute: boolean;
}

/** The results of one step of a fold. */
export interface FoldStep<Result> {
  readonly carries: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  /** Any extra result of tracing the step. */
  readonly result: Result;
}

/**
 * Records (or computes) a scan whose body is traced from `step`, given the carries and one slice of each
 * sequence. What `step` closes over becomes the scan's constants. Returns the final carries and the stacked
 * outputs.
 *
 * Logits behind an output are stacked beside it; the passes remove them if nothing reads them.
 */
export function foldFlat<Result>(
  initial: readonly Tensor[],
  sequences: readonly Tensor[],
  step: (carries: readonly Tensor[], steps: readonly Tensor[]) => FoldStep<Result>,
  options: FoldOptions,
): FoldStep<Result> {
  const specs = [...initial, ...sequences.map(stepSpec)];
  const { program, captured, result: { count, origins, result } } = traceFlat(specs, (tracers) => {
    const { carries, outputs, result } = step(
      tracers.slice(0, initial.length),
      tracers.slice(initial.length),
    );
    const origins = outputs.map(originOf);
    const logits = origins.flatMap((origin) => origin ? [origin.logits(new Map())] : []);
    return {
      outputs: [...carries, ...outputs, ...logits],
      result: { count: carries.length + outputs.length, origins, result },
    };
  }, { capturesConstants: true });
  const body = {
    ...program,
    inputs: [...program.inputs.slice(specs.length), ...program.inputs.slice(0, specs.length)],
  };
  const results = apply(scanOperation, [...captured, ...initial, ...sequences], {
    body,
    constants: captured.length,
    carries: initial.length,
    ...options,
  });
  const outputs = results.slice(initial.length, count);
  let next = count;
  origins.forEach((origin, index) => {
    if (!origin) return;
    const logits = results[next++];
    const axis = axisOf(origin.classes, program.outputs[initial.length + index].shape);
    // Classes merged with other axes in a step are not found again in a sequence of steps.
    if (axis === undefined && origin.kind === "softmax") return;
    const stackedAxis = axis === undefined || axis < timeAxis(logits.shape.length) ? axis : axis + 1;
    withLogits(outputs[index], logits, origin.kind, stackedAxis);
  });
  return { carries: results.slice(0, initial.length), outputs, result };
}
