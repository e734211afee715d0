/** What reads a published model. */
import type { Device, HostTensor, Tensor, Variables } from "@cellfold/cellfold";
import type { Expected } from "./files.ts";

/** Values by name. */
export type Named<T> = Readonly<Record<string, T>>;

/** A model that was read. */
export interface ReadModel {
  /** What it computes, by the names of the expected outputs. */
  readonly run: (
    inputs: Named<HostTensor>,
    options: { readonly device: Device },
  ) => Promise<Named<HostTensor>>;
  readonly variables: Variables;
  /** The same as a function of the variables, which is differentiated. */
  readonly apply: (variables: Variables, inputs: Named<Tensor>) => readonly Tensor[];
}

/** Reads a file of one format. */
export type Reader = (bytes: Uint8Array, expected: Expected) => Promise<ReadModel>;
