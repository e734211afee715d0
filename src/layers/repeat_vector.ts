/** The layer that repeats a vector as the steps of a sequence. */
import { checkCount } from "../describe.ts";
import { checkOptions } from "../option_names.ts";
import { broadcastTo, expandDims } from "../operations/structure.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { layerName, layerOptionNames, type LayerOptions } from "./define.ts";
import type { Layer } from "./layer.ts";
import { namedAxes, plainLayer } from "./plain.ts";

/** Options of {@linkcode repeatVector}. */
export interface RepeatVectorOptions extends LayerOptions {
  /** How many steps the sequence has. */
  readonly n: number;
}

/**
 * Repeats `[batch, features]` as every step of `[batch, n, features]`, as between an encoder and a decoder. A mask is
 * dropped.
 *
 * @throws RangeError if `n` is no count; TypeError for an input with another number of axes.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { repeatVector, tensor, toNested } from "@cellfold/cellfold";
 * const { output } = repeatVector({ n: 2 }).apply({ params: [], state: [] }, tensor([[1, 3]]), { training: false });
 * assertEquals(toNested(output), [[[1, 3], [1, 3]]]);
 * ```
 */
export function repeatVector(options: RepeatVectorOptions): Layer<Tensor> {
  checkOptions("repeatVector", options, ["n", ...layerOptionNames]);
  const { n } = options;
  checkCount(`make ${layerName({ type: "repeatVector", name: options.name })}`, n, "n");
  return plainLayer({
    type: "repeatVector",
    options: { n },
    given: options,
    named: (name) => repeatVector({ ...options, name }),
    check: namedAxes(["batch", "features"], { floats: false }),
    compute: (x) => broadcastTo(expandDims(x, 1), [x.shape[0], n, x.shape[1]]),
  });
}
