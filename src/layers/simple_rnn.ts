/** The fully connected recurrent layer. */
import { simpleRnnCell, simpleRnnCellOptionNames, type SimpleRnnCellOptions } from "../cells/simple_rnn.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { type RnnOptions, splitOptions } from "./recurrent_options.ts";
import { type RecurrentLayer, recurrentLayer } from "./rnn.ts";

/** Options of {@linkcode simpleRnn}: those of the cell and of the layer. */
export interface SimpleRnnOptions<ReturnState extends boolean = boolean>
  extends SimpleRnnCellOptions, RnnOptions<ReturnState> {}

/**
 * The simple recurrent layer: `rnn(simpleRnnCell(options))`, the options side by side. Its state is the
 * tensor `h`.
 *
 * @throws RangeError for an unknown option or name (with the nearest known one), or a value out of range.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { simpleRnn, key, spec, treeLeaves } from "@cellfold/cellfold";
 * const layer = simpleRnn({ units: 64, returnSequences: true });
 * const shapes = treeLeaves<{ shape: number[] }>(layer.initParams(key(0), spec([null, null, 28])));
 * assertEquals(shapes.reduce((n, { shape }) => n + shape.reduce((a, b) => a * b), 0), 5952);
 * ```
 */
export function simpleRnn<const ReturnState extends boolean = false>(
  options: SimpleRnnOptions<ReturnState>,
): RecurrentLayer<Tensor, Tensor, ReturnState> {
  const { cellOptions, layerOptions } = splitOptions("simpleRnn", options, simpleRnnCellOptionNames);
  const cell = simpleRnnCell(cellOptions);
  return recurrentLayer({ type: "simpleRnn", cell, cellOptions: cell.options, options: layerOptions });
}
