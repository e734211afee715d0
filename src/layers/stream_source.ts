/** What generation, which runs many steps in one call, needs of a stream; streaming.ts says it of each. */
import type { HostTensor, Spec, Tensor } from "../tensor/tensor.ts";
import type { Device } from "../transforms/compile.ts";
import type { Tree } from "../tree/tree.ts";
import type { Layer } from "./layer.ts";

/** What a stream was made from, and a way to move its state. */
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
   * @param input Specs of the input, from which the first state is made if nothing was pushed yet.
   */
  advance<Result>(
    what: string,
    input: Tree<Spec>,
    run: (state: Tree<HostTensor>) => Promise<readonly [Result, Tree<Tensor>]>,
  ): Promise<Result>;
}

const sources = new WeakMap<object, StreamSource>();

/** Records what a stream was made from. */
export function setStreamSource(stream: object, source: StreamSource): void {
  sources.set(stream, source);
}

/** What a stream was made from; undefined for anything else. */
export function streamSource(value: unknown): StreamSource | undefined {
  return typeof value === "object" && value !== null ? sources.get(value) : undefined;
}
