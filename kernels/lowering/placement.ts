/**
 * Placement: where the kernels of a block write their results. What is wanted somewhere (an output, a part of a
 * concatenation, the carry of the next step) is written straight there; the rest gets buffers of its own.
 */
import { type Bindings, evaluateDim, evaluateShape } from "../../src/tensor/dims.ts";
import { type EquationOf, isElementwise, type Value } from "../../src/program/types.ts";
import type { Place, PreparedBlock } from "./block.ts";
import { arena } from "./kinds/rule.ts";
import { ownElementsOf } from "./rules.ts";
import { baseOf, sharesRegisters } from "./stages.ts";
import { isViewOperation } from "./view_operations.ts";
import { sliceView, type View, viewOf } from "./views.ts";
import { sizeOf } from "../shapes.ts";

/** Where values are written: first where they are read from. */
export type Stores = ReadonlyMap<Value, readonly View[]>;

/**
 * Lets carries be written where they are read from, if nothing reads the old one afterwards; gives those that must
 * be copied at the end of the step.
 */
export function placeCarries(
  block: PreparedBlock,
  carries: readonly View[],
): { readonly from: Value; readonly to: View }[] {
  const late: { from: Value; to: View }[] = [];
  carries.forEach((carry, index) => {
    const value = block.outputs[index];
    const maker = block.makers.get(value);
    const writer = maker && block.unitOf.get(maker);
    const placed = block.places.get(value) ?? [];
    const possible = writer !== undefined && maker && !block.copies.has(maker) &&
      !ownElementsOf(maker.operation.name) &&
      (isElementwise(maker) || placed.length === 0) && block.outputs.indexOf(value) === index;
    if (
      possible && !readsAfter(block, carry, writer)
    ) {
      block.places.set(value, [...placed, carry]);
    } else {
      late.push({ from: value, to: carry });
    }
  });
  return late;
}

/** Whether a unit after `writer`, or `writer` itself at another element, reads the carry. */
function readsAfter(block: PreparedBlock, carry: View, writer: number): boolean {
  return block.equations.some((equation) => {
    const reader = block.unitOf.get(equation);
    if (reader === undefined || reader < writer) return false;
    return equation.inputs.some((input) => {
      const base = baseOf(input, block);
      const found = block.given.get(base);
      if (!found || !("view" in found) || found.view.buffer !== carry.buffer) return false;
      return reader > writer || base !== input || !isElementwise(equation);
    });
  }) || block.outputs.some((value) => {
    const found = block.given.get(baseOf(value, block));
    return found !== undefined && "view" in found && found.view.buffer === carry.buffer;
  });
}

/** Where every computed value is written: first where it is read from. */
export function storesOf(
  block: PreparedBlock,
  readLater: readonly Value[],
  bindings: Bindings,
): Map<Value, View[]> {
  const stores = new Map<Value, View[]>();
  const fromMemory = new Set(readLater.map((value) => baseOf(value, block)));
  for (const equation of block.equations) {
    if (isViewOperation(equation) && !block.copies.has(equation)) continue;
    for (const input of equation.inputs) {
      const maker = block.makers.get(input);
      const sameKernel = maker !== undefined && sharesRegisters(equation, input, block) &&
        block.unitOf.get(maker) === block.unitOf.get(equation);
      if (!sameKernel) fromMemory.add(baseOf(input, block));
    }
  }
  const viewOfPlace = (place: Place): View => {
    if (!("whole" in place)) return place;
    const maker = block.makers.get(place.whole) as EquationOf<"concat">; // only concatenations have parts
    const { axis } = maker.attributes;
    const sizes = maker.inputs.map((part) => evaluateDim(part.shape[axis], bindings));
    const from = sizes.slice(0, place.part).reduce((sum, size) => sum + size, 0);
    const [whole] = stores.get(place.whole) as View[]; // a concatenation is given memory before its parts
    const start = whole.shape.map((_, i) => i === axis ? from : 0);
    const size = whole.shape.map((dim, i) => i === axis ? sizes[place.part] : dim);
    return sliceView(whole, start, size, size.map(() => 1));
  };
  for (const equation of block.equations.toReversed()) {
    if (isViewOperation(equation) && !block.copies.has(equation)) continue;
    for (const value of equation.outputs) {
      const wanted = (block.places.get(value) ?? []).map(viewOfPlace);
      const copied = block.copies.has(equation);
      const shape = evaluateShape(copied ? equation.inputs[0].shape : value.shape, bindings);
      const needed = !isElementwise(equation) || fromMemory.has(value);
      const own = copied || block.reshaped.has(value) || (wanted.length === 0 && needed);
      const { name } = equation.operation;
      const size = ownElementsOf(name)?.(sizeOf(shape)) ?? sizeOf(shape);
      stores.set(value, own ? [viewOf(arena(name, size), shape, value.dtype), ...wanted] : wanted);
    }
  }
  return stores;
}
