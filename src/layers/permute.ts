/** The layer that changes the order of its input's axes. */
import { checkList } from "../describe.ts";
import { checkOptions } from "../option_names.ts";
import { transpose } from "../operations/structure.ts";
import { quoted } from "../quoted.ts";
import { printSpec, type Tensor } from "../tensor/tensor.ts";
import { oneInput } from "./checks.ts";
import { layerName, layerOptionNames, type LayerOptions } from "./define.ts";
import type { Layer } from "./layer.ts";
import { plainLayer } from "./plain.ts";

/** Options of {@linkcode permute}. */
export interface PermuteOptions extends LayerOptions {
  /** The axes of the input in their new order, counted from 1: the batch, axis 0, stays where it is. */
  readonly dims: readonly number[];
}

/**
 * The axes in another order: `permute({ dims: [2, 1] })` of `[batch, time, features]` is `[batch, features, time]`. A
 * mask is dropped. (`transpose` is the operation on a tensor.)
 *
 * @throws RangeError unless `dims` has each number from 1 once; TypeError for an input with another number of axes.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { permute, tensor, toNested } from "@cellfold/cellfold";
 * const layer = permute({ dims: [2, 1] });
 * const { output } = layer.apply({ params: [], state: [] }, tensor([[[1, 2], [3, 4]]]), { training: false });
 * assertEquals(toNested(output), [[[1, 3], [2, 4]]]);
 * ```
 */
export function permute(options: PermuteOptions): Layer<Tensor> {
  checkOptions("permute", options, ["dims", ...layerOptionNames]);
  const own = layerName({ type: "permute", name: options.name });
  checkList(`make ${own}`, options.dims, "dims", "a list of axes, counted from 1");
  const dims = [...options.dims]; // the caller may change the original list
  if (dims.length === 0 || !dims.every((_, index) => dims.includes(index + 1))) {
    throw new RangeError(
      `Cannot make ${own}: dims is ${quoted(dims)}, expected each axis once, counted from 1`,
    );
  }
  return plainLayer({
    type: "permute",
    options: { dims },
    given: options,
    named: (name) => permute({ ...options, name }),
    check: (layer, input) => {
      const x = oneInput<Tensor>(layer, input);
      if (x.shape.length === dims.length + 1) return x;
      throw new TypeError(
        `Cannot use ${layer} with ${printSpec(x)}: expected ${dims.length + 1} axes, the first the batch`,
      );
    },
    compute: (x) => transpose(x, { permutation: [0, ...dims] }),
  });
}
