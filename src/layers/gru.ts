/** The GRU layer. */
import { gruCell, gruCellOptionNames, type GruCellOptions } from "../cells/gru.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { type RnnOptions, splitOptions } from "./recurrent_options.ts";
import { type RecurrentLayer, recurrentLayer } from "./rnn.ts";

/** Options of {@linkcode gru}: those of the cell and of the layer. */
export interface GruOptions<ReturnState extends boolean = boolean>
  extends GruCellOptions, RnnOptions<ReturnState> {}

/**
 * The GRU layer: `rnn(gruCell(options))`, the options side by side. Its state is the tensor `h`.
 *
 * @throws RangeError for an unknown option or name (with the nearest known one), or a value out of range.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { gru, key, spec, treeLeaves } from "@cellfold/cellfold";
 * const layer = gru({ units: 64, returnSequences: true });
 * const shapes = treeLeaves<{ shape: number[] }>(layer.initParams(key(0), spec([null, null, 28])));
 * assertEquals(shapes.reduce((n, { shape }) => n + shape.reduce((a, b) => a * b), 0), 18048);
 * ```
 */
export function gru<const ReturnState extends boolean = false>(
  options: GruOptions<ReturnState>,
): RecurrentLayer<Tensor, Tensor, ReturnState> {
  const { cellOptions, layerOptions } = splitOptions("gru", options, gruCellOptionNames);
  const cell = gruCell(cellOptions);
  return recurrentLayer({ type: "gru", cell, cellOptions: cell.options, options: layerOptions });
}
