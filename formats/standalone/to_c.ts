/** `toC`: a model as a source file and a header of C. */
import { type CFunction, type Parameter, writeFiles } from "../../kernels/native/standalone/file.ts";
import { identifierOf } from "../../kernels/native/emit/identifiers.ts";
import type { WeightFormat } from "../../kernels/native/standalone/weights.ts";
import { unknownName } from "../../src/known_names.ts";
import type { Layer, Variables } from "../../src/layers/layer.ts";
import { type Dim, evaluateDim } from "../../src/tensor/dims.ts";
import type { Spec } from "../../src/tensor/tensor.ts";
import { flattenTree } from "../../src/tree/tree.ts";
import {
  type CheckedOptions,
  checkExport,
  mended,
  type StandaloneOptions,
  weightFormats,
} from "./options.ts";
import { type ModelProgram, modelProgram } from "./programs.ts";
import { printTensor, signatureOf, type SignatureTensor } from "./signature.ts";

/** How a model becomes C. */
export interface COptions extends Omit<StandaloneOptions, "stream" | "batch"> {
  /**
   * Whether the file also steps through sequences, with the state in a struct; default false. It can then not read
   * backwards. Steps take no mask.
   */
  readonly stream?: boolean;
  /** The size of the first axis; default: that of `input`, or 1 if that is open. */
  readonly batch?: number;
  /**
   * How weights are stored that products and embeddings read: `float32` (default); `float16`, in half the bytes;
   * or `int8`, in a quarter, with a float for each unit or row. All computation is in float32.
   */
  readonly weights?: WeightFormat;
}

/** A model in C. */
export interface CModel {
  /** The name of the model, an identifier, with which all public names begin. */
  readonly name: string;
  /** `NAME.c`, which includes the header as `"NAME.h"`. */
  readonly source: string;
  /** `NAME.h`. */
  readonly header: string;
  /** What it takes, in bytes, besides the code. */
  readonly bytes: {
    /** Constants, which can stay in flash memory: the weights. */
    readonly constants: number;
    /** RAM for each stream: the size of `NAME_state`; absent without `stream`. */
    readonly state?: number;
    /**
     * RAM for the workspace of `NAME_predict`.
     *
     * @param sizes The open sizes, by their names.
     */
    work(sizes?: Readonly<Record<string, number>>): number;
  };
}

/**
 * Writes a model as one C11 source file and its header, which need no library and allocate nothing. GCC and Clang
 * compile them for any machine, with vectors where it has them.
 *
 * `NAME_predict(input…, mask…, sizes…, output…, work)` predicts for whole sequences, whose lengths are arguments, as
 * `predict` does; it takes masks with the option `mask`. With `stream`, `NAME_reset(state)` begins a sequence and
 * `NAME_step(state, input…, output…)` makes a step of it.
 *
 * @param model Any layer or model.
 * @param variables Its variables, on the host.
 * @throws TypeError for a model that cannot be fed step by step if `stream` is set, naming the layer, for a mask that
 *   does not fit or does nothing, and for variables that are not on the host or not float32; RangeError for NaN in
 *   weights, a name that is no identifier, a tensor of 2 GiB or more and an unknown format of weights; the model's own
 *   error if the input does not fit it.
 *
 * @example
 * ```ts
 * import { assert, assertEquals } from "@std/assert";
 * import { dense, gru, init, key, sequential, spec } from "@cellfold/cellfold";
 * import { toC } from "@cellfold/cellfold/standalone";
 * const model = sequential([gru({ units: 4, returnSequences: true }), dense({ units: 2 })]);
 * const input = spec([1, null, 3]);
 * const { header, bytes } = toC(model, init(model, key(0), input), { input, name: "filter", stream: true });
 * assert(header.includes("void filter_step(filter_state *state, const float *input, float *output);"));
 * assertEquals(bytes.constants, 4 * (3 * 12 + 4 * 12 + 24 + 4 * 2 + 2 + 4));
 * ```
 */
export function toC(model: Layer, variables: Variables, options: COptions): CModel {
  const checked = checkExport("toC", model, variables, options, ["weights"]);
  const { weights = "float32" } = options;
  if (!weightFormats.includes(weights)) throw unknownName("format of weights", weights, weightFormats);
  const { name, stream } = checked;
  const predict = modelProgram(model, variables, { ...fixedBatch(checked), stream: false });
  const files = writeFiles({
    name,
    weights,
    predict: functionOf(name, predict),
    ...(stream && { step: functionOf(name, modelProgram(model, variables, checked)) }),
  });
  const { constants, state, work = 0 } = files;
  return {
    name,
    source: files.source,
    header: files.header,
    bytes: {
      constants,
      ...(state !== undefined && { state }),
      work: (sizes = {}) =>
        evaluateDim(
          work,
          Object.fromEntries(predict.sizes.map((symbol, index) => [symbol, sizes[predict.names[index]]])),
        ),
    },
  };
}

/** The options with a batch of 1 where it is open: machines that run C are fed one at a time. */
function fixedBatch(options: CheckedOptions): CheckedOptions {
  const [first]: readonly Dim[] = flattenTree<Spec>(options.input).leaves[0].shape;
  return { ...options, batch: options.batch ?? (typeof first === "number" ? first : 1) };
}

/** What a mask is, for the header. */
const MASK = ", 1 for each step that counts and 0 for the others";

/** What a function of C is called with. */
function functionOf(name: string, program: ModelProgram): CFunction {
  const { inputs, outputs } = signatureOf(name, program);
  const taken = new Set<string>();
  const untaken = (wish: string): string => {
    let own = wish;
    for (let count = 1; taken.has(own); count++) own = `${wish}_${count}`;
    taken.add(own);
    return own;
  };
  const sizes = program.names.map((size) => untaken(identifierOf(size)));
  const parameters = (tensors: readonly SignatureTensor[]) =>
    tensors.map((tensor): Parameter => ({
      name: untaken(mended(tensor.path.join("_"))),
      text: printTensor(tensor) + (tensor.path[0] === "mask" ? MASK : ""),
    }));
  return {
    program,
    inputs: parameters(inputs),
    outputs: parameters(outputs.map((tensor) => ({ ...tensor, path: ["output", ...tensor.path] }))),
    sizes,
  };
}
