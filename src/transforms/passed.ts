/**
 * Results that are arguments unchanged, such as the state of a model in inference: a call returns the argument itself, and
 * nothing copies it. Whoever frees results must then leave out what was given.
 */
import type { BackendCompileOptions, Input } from "../../kernels/backend.ts";
import type { Program } from "../program/types.ts";

/** A Program without such results. */
export interface Passed {
  readonly program: Program;
  readonly options: BackendCompileOptions;
  /** For each result, the input that it is; undefined if it is computed. */
  readonly from: readonly (number | undefined)[] | undefined;
}

/** Takes out the results that stay on the device and are inputs that the call leaves there. */
export function takePassed(program: Program, options: BackendCompileOptions): Passed {
  const { keep, donate } = options;
  const from = program.outputs.map((value, index) => {
    const input = keep[index] ? program.inputs.indexOf(value) : -1;
    return input < 0 || donate[input] ? undefined : input;
  });
  const isComputed = (_: unknown, index: number) => from[index] === undefined;
  if (from.every((input) => input === undefined) || !from.some(isComputed)) {
    return { program, options, from: undefined };
  }
  return {
    program: { ...program, outputs: program.outputs.filter(isComputed) },
    options: { donate, keep: keep.filter(isComputed) },
    from,
  };
}

/** All results: those that a call has computed, and those that it was given. */
export function withPassed<Result>(
  from: Passed["from"],
  computed: readonly Result[],
  inputs: readonly Input[],
): readonly (Result | Input)[] {
  if (!from) return computed;
  let next = 0;
  return from.map((input) => input === undefined ? computed[next++] : inputs[input]);
}
