/**
 * A Program as a file of its own, in whichever language: what each of its inputs is there. The code that is
 * written for it has the weights with it, and needs nothing of the library.
 */
import type { Program } from "../../src/program/types.ts";
import type { Dim } from "../../src/tensor/dims.ts";
import type { HostTensor } from "../../src/tensor/tensor.ts";

/** What follows from the sizes of a call alone. */
export type OpenValue =
  /** A size as a scalar. */
  | { readonly kind: "size"; readonly size: Dim }
  /** 0, 1, 2… along an axis. */
  | { readonly kind: "iota"; readonly axis: number };

/** What an input of a Program is. */
export type InputRole =
  /** Given with each call. */
  | { readonly kind: "given" }
  /** The same in every call. */
  | { readonly kind: "weight"; readonly value: HostTensor }
  /** A state: `first` at first, then what the last call put out. */
  | { readonly kind: "state"; readonly first: HostTensor; readonly output: number }
  /** Computed as soon as the sizes are known. */
  | { readonly kind: "open"; readonly value: OpenValue };

/** A Program whose inputs have roles. */
export interface StandaloneProgram {
  readonly program: Program;
  /** The role of each input. */
  readonly roles: readonly InputRole[];
  /** The names of the open sizes, in the order in which a call gives them; all are at least 1. */
  readonly sizes: readonly string[];
  /** Whether a call is a step of a stream, which keeps its states; sizes are fixed then. */
  readonly isStep: boolean;
}

/** The indices of the inputs that are given, in order. */
export function givenInputs({ roles }: StandaloneProgram): number[] {
  return roles.flatMap(({ kind }, index) => kind === "given" ? [index] : []);
}

/** The indices of the outputs that are results rather than states, in order. */
export function resultsOf({ program, roles }: StandaloneProgram): number[] {
  const states = new Set(roles.flatMap((role) => role.kind === "state" ? [role.output] : []));
  return program.outputs.flatMap((_, index) => states.has(index) ? [] : [index]);
}
