/** What all functions that write a model as a file of its own take, and what they refuse. */
import type { WeightFormat } from "../../kernels/native/standalone/weights.ts";
import { checkCount } from "../../src/describe.ts";
import { batchFor } from "../../src/layers/stream_steps.ts";
import { checkLayer, checkVariables } from "../../src/layers/checks.ts";
import type { Layer, Variables } from "../../src/layers/layer.ts";
import { checkOptions } from "../../src/option_names.ts";
import { quoted } from "../../src/quoted.ts";
import { type HostTensor, printSpec, type Spec, type Tensor } from "../../src/tensor/tensor.ts";
import { flattenTree, printPath, type Tree } from "../../src/tree/tree.ts";
import { checkMask } from "./masks.ts";

/** How a model becomes a file of its own. */
export interface StandaloneOptions {
  /**
   * Specs of the input, a tree like the model's. Sizes that are open (`null`, or names) are given with each call;
   * all others are fixed in the file.
   */
  readonly input: Tree<Spec>;
  /**
   * Specs of the masks that a prediction of whole sequences takes after its input: which steps count, bool with the
   * first axes of the input, such as `spec([null, null], "bool")`. If the input has several tensors, a tree with a mask
   * at the place of each sequence that has one, as in the context of a layer. Default: no mask is taken. Layers that
   * make one, such as `masking`, do so either way.
   */
  readonly mask?: Tree<Spec>;
  /** An identifier; default: the model's name, with `_` for whatever no identifier has, or `model`. */
  readonly name?: string;
  /**
   * Whether the file steps through sequences and keeps the state, as `streaming` does, instead of predicting whole
   * ones; default false.
   */
  readonly stream?: boolean;
  /** The size of the first axis where `input` leaves it open; default for a stream: 1. */
  readonly batch?: number;
  /** Whether weights may be NaN, which then go into the file as they are; default false. */
  readonly allowNaN?: boolean;
}

const NAMES = ["input", "mask", "name", "stream", "batch", "allowNaN"];

/** How weights can be stored in C. */
export const weightFormats: readonly WeightFormat[] = ["float32", "float16", "int8"];

const IDENTIFIER = /^[A-Za-z_][A-Za-z_0-9]*$/;

/** Options that were checked. */
export interface CheckedOptions extends Omit<StandaloneOptions, "name" | "stream" | "allowNaN"> {
  readonly name: string;
  readonly stream: boolean;
}

/**
 * Checks a model, its variables and its options.
 *
 * @param what The function that takes them.
 * @param more The names of its further options.
 * @throws TypeError or RangeError saying what is given, what is expected, and what to do.
 */
export function checkExport(
  what: string,
  model: Layer,
  variables: Variables,
  options: StandaloneOptions,
  more: readonly string[] = [],
): CheckedOptions {
  checkLayer("export a model", model);
  checkVariables("export a model", variables);
  checkOptions(what, options, [...NAMES, ...more]);
  const { input, mask, batch, stream = false, allowNaN = false } = options;
  if (input === undefined) {
    throw new TypeError(
      "Cannot export a model: input is undefined, expected the specs of its input; give { input: spec([null, null, 28]) }",
    );
  }
  if (flattenTree<Spec>(input, "input").leaves.length === 0) {
    throw new TypeError("Cannot export a model: input has no tensors, expected the specs of its input");
  }
  if (mask !== undefined) checkMask(input, mask);
  if (batch !== undefined) {
    checkCount("export a model", batch, "batch");
    batchFor("export a model", batch, input);
  }
  checkWeights(variables, allowNaN);
  return { input, mask, batch, stream, name: nameOf(model, options.name) };
}

function nameOf(model: Layer, name: string | undefined): string {
  if (name === undefined) return mended(model.name ?? "model");
  if (IDENTIFIER.test(name)) return name;
  throw new RangeError(
    `Cannot export a model: name is ${quoted(name)}, expected an identifier; give ${quoted(mended(name))}`,
  );
}

/** The nearest identifier. */
export function mended(name: string): string {
  const plain = name.replaceAll(/[^A-Za-z_0-9]/g, "_");
  return IDENTIFIER.test(plain) ? plain : `_${plain}`;
}

function checkWeights(variables: Variables, allowNaN: boolean): void {
  const { leaves, paths } = flattenTree<Tensor>({ ...variables }, "variables");
  leaves.forEach((leaf, index) => {
    const where = () => printPath(paths[index], "variables");
    if (leaf.kind !== "host") {
      throw new TypeError(
        `Cannot export a model: ${where()} is not on the host; give await toHost(variables)`,
      );
    }
    if (leaf.dtype === "float64") {
      throw new TypeError(
        `Cannot export a model: ${where()} is float64, expected float32; cast the variables and train or load anew`,
      );
    }
    const size = leaf.shape.reduce((size, dim) => size * dim, 1);
    if (leaf.data.length !== size) {
      throw new RangeError(
        `Cannot export a model: ${where()} has ${leaf.data.length} elements, expected ${size} for ${
          printSpec(leaf)
        }; make tensors with tensor(...) or hostTensor(...), which check that`,
      );
    }
    const at = allowNaN ? -1 : firstNaN(leaf);
    if (at < 0) return;
    throw new RangeError(
      `Cannot export a model: ${where()} has NaN at ${at}, so its predictions would be NaN too; ` +
        "export the weights of an earlier epoch, or give { allowNaN: true }",
    );
  });
}

/** The index of the first NaN; -1 if there is none. */
function firstNaN({ data }: HostTensor): number {
  for (let index = 0; index < data.length; index++) if (Number.isNaN(data[index])) return index;
  return -1;
}
