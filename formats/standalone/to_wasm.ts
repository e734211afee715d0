/** `toWasm`: a model as a WebAssembly file of its own. */
import { standaloneModule } from "../../kernels/wasm/standalone/module.ts";
import type { Layer, Variables } from "../../src/layers/layer.ts";
import { loaderFor } from "./loader.ts";
import { checkExport, type StandaloneOptions } from "./options.ts";
import { modelProgram } from "./programs.ts";
import { signatureOf } from "./signature.ts";
import { typesOf } from "./types.ts";

/** A model as a WebAssembly file. */
export interface WasmModel {
  /** The name of the model, an identifier: that of the options, or made from the model's. */
  readonly name: string;
  /** The file: code, weights and the signature of the model. It needs SIMD and imports nothing. */
  readonly wasm: Uint8Array<ArrayBuffer>;
  /** An ES module of at most 3 KB that exports `load`, for browsers, Node, Deno and other hosts of JavaScript. */
  readonly loader: string;
  /** The types of the loader for this model, as a `.d.ts` file. */
  readonly types: string;
}

/**
 * Writes a model as one WebAssembly file, which needs nothing of this library to run.
 *
 * The code is that of the device `wasm` with one thread and plain SIMD, and its results are the same to the bit.
 * Open sizes of `input` stay open; a sequence of one step, which `predict` compiles without a loop, may then differ
 * in the last places. Where JavaScript is not at hand, docs/standalone.md says what the module exports.
 *
 * Layers act as in `predict`, so dropout does nothing and statistics are those of the variables. With `stream`, the
 * file begins a new sequence, whatever carries are in the state.
 *
 * @param model Any layer or model.
 * @param variables Its variables, on the host.
 * @throws TypeError for a model that cannot be fed step by step if `stream` is set, naming the layer, for a mask that
 *   does not fit or does nothing, and for variables that are not on the host or not float32; RangeError for NaN in
 *   weights, a name that is no identifier and a tensor of 2 GiB or more; the model's own error if the input does not fit
 *   it.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { dense, init, key, lstm, sequential, spec } from "@cellfold/cellfold";
 * import { toWasm } from "@cellfold/cellfold/standalone";
 * const model = sequential([lstm({ units: 4 }), dense({ units: 2 })]);
 * const input = spec([null, null, 3]);
 * const { wasm, loader } = toWasm(model, init(model, key(0), input), { input });
 * const { load } = await import(`data:text/javascript,${encodeURIComponent(loader)}`);
 * const predict = await load(wasm);
 * const output = predict({ data: new Float32Array(30), shape: [2, 5, 3] });
 * assertEquals(output.shape, [2, 2]);
 * ```
 */
export function toWasm(model: Layer, variables: Variables, options: StandaloneOptions): WasmModel {
  const checked = checkExport("toWasm", model, variables, options);
  if (checked.stream && checked.mask !== undefined) {
    throw new TypeError(
      "Cannot export a stream with a mask: only predictions of whole sequences take one; leave out mask or stream",
    );
  }
  const program = modelProgram(model, variables, checked);
  const { name } = checked;
  const signature = signatureOf(name, program);
  return {
    name,
    wasm: standaloneModule(program, JSON.stringify(signature)),
    loader: loaderFor(signature),
    types: typesOf(signature),
  };
}
