/** What generation, which runs many steps in one call, needs of a stream. */
import type { HostTensor, Spec, Tensor } from "../tensor/tensor.ts";
import type { Device } from "../transforms/devices.ts";
import type { Tree } from "../tree/tree.ts";
import type { Layer } from "./layer.ts";
import type { Stream } from "./stream.ts";

/** What a stream was made from, and a way to take its state further. */
export interface StreamSource {
  readonly layer: Layer;
  readonly params: Tree<Tensor>;
  readonly batch: number;
  readonly device: Device | undefined;
  /**
   * Goes on from the state after all earlier calls to the state that `run` gives with its result; later calls
   * wait for it.
   *
   * @param what What cannot be done, in errors.
   * @param input Specs of the input, of which the first state is made if nothing was pushed yet.
   */
  advance<Result>(
    what: string,
    input: Tree<Spec>,
    run: (state: Tree<HostTensor>) => Promise<readonly [Result, Tree<Tensor>]>,
  ): Promise<Result>;
}

const sources = new WeakMap<object, StreamSource>();

/** Remembers what a stream was made from. */
export function setSource(stream: Stream, source: StreamSource): void {
  sources.set(stream, source);
}

/** Whether a value is a stream. */
export function isStream(value: unknown): value is Stream {
  return typeof value === "object" && value !== null && sources.has(value);
}

/** What a stream was made from. */
export function streamSource(stream: Stream): StreamSource {
  return sources.get(stream) as StreamSource; // every stream has one
}
