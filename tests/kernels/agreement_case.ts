/** What a backend and the reference are compared on. */
import type { Tensor } from "../../mod.ts";

/** A named function with the shapes of its inputs: floats, unless the name of a dtype stands first. */
export interface AgreementCase {
  readonly name: string;
  readonly fn: (...args: Tensor[]) => unknown;
  readonly inputs: readonly (readonly number[] | readonly ["int32" | "bool", ...number[]])[];
}
