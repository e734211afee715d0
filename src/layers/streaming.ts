/**
 * Feeds a layer or model in chunks: its recurrent layers continue where the previous chunk ended. Like
 * stateful layers, whatever their flags, but with the state kept here. What a chunk cannot compute is
 * refused: see chunks.ts.
 */
import { checkCount } from "../describe.ts";
import { checkOptions } from "../option_names.ts";
import type { HostTensor, Spec } from "../tensor/tensor.ts";
import { checkDevice, type Device } from "../transforms/devices.ts";
import type { MappedTree, Tree } from "../tree/tree.ts";
import { checkLayer, checkVariables } from "./checks.ts";
import type { Layer, Variables } from "./layer.ts";
import { begun, openStream } from "./open_stream.ts";
import type { Stream } from "./stream.ts";
import { streamedFor } from "./streamed.ts";
import { batchFor, withBatch } from "./stream_steps.ts";

/** Options of {@linkcode streaming}. */
export interface StreamingOptions {
  /** How many sequences are fed side by side; default: the first size of `input`, or 1 where that is open. */
  readonly batch?: number;
  /** Specs of the input `[batch, time, ...]`, needed to read the state before anything was pushed. */
  readonly input?: Tree<Spec>;
  /** The backend by name; default `auto`. */
  readonly device?: Device;
}

/**
 * A stream through a layer or model: the outputs of its chunks, one after another, equal those of the whole
 * sequence. An output without a time axis, such as that of `lstm` without `returnSequences`, is the one for
 * the steps so far.
 *
 * Masks made inside (`masking`, `embedding` with `maskZero`) act as in the whole sequence. A graph input that
 * has no open time axis is the same at every step and is given with every chunk.
 *
 * @param layer Any layer or model that runs forward in time.
 * @param variables Its params and state; neither is changed. The stream continues from the carries in the
 *   state, such as `stream.state` of another stream; if there are none (`state: []`, or that of a layer that
 *   is not stateful) it starts with fresh ones.
 * @throws TypeError if a layer inside cannot be fed in chunks, such as `bidirectional`; and, with the first
 *   chunk (with `options.input` at once), if a layer or function computes a step from others, as attention or
 *   a mean over time does, or if the state has another structure, batch or dtype. A chunk with another batch
 *   is refused with a RangeError that names the layer; a call after the stream was disposed with an Error.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { key, lstm, spec, streaming, zeros } from "@cellfold/cellfold";
 * const layer = lstm({ units: 4, returnSequences: true });
 * const params = layer.initParams(key(0), spec([null, null, 3]));
 * using stream = streaming(layer, { params, state: [] });
 * const output = await stream.push(zeros([1, 5, 3]));
 * assertEquals(output.shape, [1, 5, 4]);
 * await stream.step(zeros([1, 3]));
 * ```
 *
 * @example At once, from array to array
 * ```ts
 * import { assert } from "@std/assert";
 * import { gru, init, key, spec, streaming } from "@cellfold/cellfold";
 * const layer = gru({ units: 4, returnSequences: true });
 * const input = spec([1, null, 3]);
 * using stream = streaming(layer, init(layer, key(0), input), { input, device: "wasm" });
 * await stream.ready();
 * const from = new Float32Array([1, 2, 3]), to = new Float32Array(4);
 * stream.step(from, to); // synchronous: nothing to await, and nothing allocated
 * assert(to.every((value) => value !== 0));
 * ```
 *
 * @example A state that is stored, and a fork
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { gru, init, key, ones, spec, streaming } from "@cellfold/cellfold";
 * import { decodeSafetensors, encodeSafetensors, restoreTree } from "@cellfold/cellfold/safetensors";
 * const layer = gru({ units: 4, returnSequences: true });
 * const input = spec([1, null, 3]);
 * const variables = init(layer, key(0), input);
 * using stream = streaming(layer, variables, { input });
 * await stream.push(ones([1, 5, 3]));
 * const file = encodeSafetensors(stream.state);
 * using fork = stream.fork();
 * using later = streaming(layer, variables, { input });
 * later.state = restoreTree(later.state, decodeSafetensors(file).tensors);
 * const next = await stream.step(ones([1, 3]));
 * assertEquals(await fork.step(ones([1, 3])), next);
 * assertEquals(await later.step(ones([1, 3])), next);
 * ```
 */
export function streaming<Output>(
  layer: Layer<Output>,
  variables: Variables,
  options?: StreamingOptions,
): Stream<MappedTree<Output, HostTensor>>;
export function streaming(layer: Layer, variables: Variables, options: StreamingOptions = {}): Stream {
  checkLayer("stream", layer);
  checkVariables("stream", variables);
  checkOptions("streaming", options, ["batch", "input", "device"]);
  const { device, input } = options;
  if (options.batch !== undefined) checkCount("stream", options.batch, "batch");
  const batch = batchFor("stream", options.batch, input) ?? 1;
  checkDevice(device);
  const streamed = streamedFor(layer, variables, batch, device);
  if (input !== undefined) streamed.checkChunks(withBatch(input, batch));
  return openStream(streamed, begun(streamed, variables.state, true, input), { input, compiled: {} });
}
