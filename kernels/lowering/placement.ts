/**
 * Placement: where the kernels of a block write their results. What is wanted somewhere (an output, a part of a
 * concatenation, the carry of the next step) is written straight there; the rest gets buffers of its own.
 */
import { type Bindings, evaluateDim, evaluateShape } from "../../src/tensor/dims.ts";
import { type EquationOf, isElementwise, type Value } from "../../src/program/types.ts";
import type { PreparedBlock } from "./block.ts";
import { arena } from "./kinds/rule.ts";
import { ownElementsOf } from "./rules.ts";
import { baseOf, sharesRegisters } from "./stages.ts";
import { isViewOperation } from "./view_operations.ts";
import { sliceView, type View, viewOf } from "./views.ts";
import { sizeOf } from "../shapes.ts";

/** Where values are written: first where they are read from. */
export type Stores = ReadonlyMap<Value, readonly View[]>;

/**
 * Lets the next carry of a scan be written over the one of this step, where nothing needs that any more; gives those
 * that must be copied at the end of the step.
 */
export function placeCarries(
  block: PreparedBlock,
  carries: readonly View[],
): { readonly from: Value; readonly to: View }[] {
  const late: { from: Value; to: View }[] = [];
  carries.forEach((carry, index) => {
    const value = block.outputs[index];
    if (mayWriteOver(block, value, index, carry)) {
      block.places.set(value, [...block.places.get(value) ?? [], carry]);
    } else {
      late.push({ from: value, to: carry });
    }
  });
  return late;
}

/** Whether the kernel that computes the next carry, which is output `index`, may write it over the carry at once. */
function mayWriteOver(block: PreparedBlock, value: Value, index: number, carry: View): boolean {
  const maker = block.makers.get(value);
  const writer = maker && block.unitOf.get(maker);
  if (!maker || writer === undefined) return false; // given from outside, or a view
  // A reshape's copy has another shape, and some kernels write nowhere but in a buffer of their own.
  if (block.copies.has(maker) || ownElementsOf(maker.operation.name)) return false;
  // Fused kernels can write a result to several places, others to one.
  if (!isElementwise(maker) && block.places.has(value)) return false;
  // Of two carries that become the same value, the second is a copy.
  return block.outputs.indexOf(value) === index && !readsAfter(block, carry, writer);
}

/**
 * Whether the carry of this step is still needed when unit `writer` has begun to write over it:
 * - by a unit that runs later;
 * - by the writer itself, unless that reads each element just before it writes it: an elementwise kernel that reads the
 *   carry as it lies. Through a view (reversed, say), or in a product, it would read what it has overwritten;
 * - by an output, which is read when the step is over: the carry passed on to another carry, or stacked.
 */
function readsAfter(block: PreparedBlock, carry: View, writer: number): boolean {
  const isCarry = (value: Value) => {
    const found = block.given.get(baseOf(value, block));
    return found !== undefined && "view" in found && found.view.buffer === carry.buffer;
  };
  const isRead = block.equations.some((equation) => {
    const reader = block.unitOf.get(equation);
    if (reader === undefined || reader < writer) return false;
    const readsAsItLies = (input: Value) => isElementwise(equation) && baseOf(input, block) === input;
    return equation.inputs.some((input) => isCarry(input) && (reader > writer || !readsAsItLies(input)));
  });
  return isRead || block.outputs.some(isCarry);
}

/**
 * Where the kernels of a block write every value that they compute. The first place is the one from which it is read.
 *
 * - A value that is wanted somewhere is written there: straight to an output, into its part of a concatenation, over a
 *   carry. Only if it is wanted nowhere does it get a buffer of its own.
 * - It gets one nevertheless, and is copied to where it is wanted, if a reshape reads it, which takes row-major memory,
 *   or if it is a reshape's copy itself.
 * - The result of an elementwise equation that only its own kernel reads is written nowhere: it stays in a register.
 *
 * @param readLater Values that copies at the end of the step read.
 */
export function storesOf(block: PreparedBlock, readLater: readonly Value[], bindings: Bindings): Stores {
  const stores = new Map<Value, View[]>();
  const inMemory = readFromMemory(block, readLater);
  // From the last to the first: a concatenation has memory before its parts do.
  for (const equation of block.equations.toReversed()) {
    const isCopy = block.copies.has(equation);
    if (isViewOperation(equation) && !isCopy) continue;
    for (const value of equation.outputs) {
      const wanted = (block.places.get(value) ?? []).map((place) =>
        "whole" in place ? partOf(place.whole, place.part, block, stores, bindings) : place
      );
      const isNeeded = !isElementwise(equation) || inMemory.has(value);
      const isOwn = isCopy || block.reshaped.has(value) || (wanted.length === 0 && isNeeded);
      const shape = evaluateShape(isCopy ? equation.inputs[0].shape : value.shape, bindings);
      const { name } = equation.operation;
      const size = ownElementsOf(name)?.(sizeOf(shape)) ?? sizeOf(shape);
      stores.set(value, isOwn ? [viewOf(arena(name, size), shape, value.dtype), ...wanted] : wanted);
    }
  }
  return stores;
}

/** The values that are read from memory: by another kernel than the one that computes them, or at the end of the step. */
function readFromMemory(block: PreparedBlock, readLater: readonly Value[]): ReadonlySet<Value> {
  const found = new Set(readLater.map((value) => baseOf(value, block)));
  for (const equation of block.equations) {
    if (isViewOperation(equation) && !block.copies.has(equation)) continue;
    for (const input of equation.inputs) {
      const maker = block.makers.get(input);
      const inSameKernel = maker !== undefined && sharesRegisters(equation, input, block) &&
        block.unitOf.get(maker) === block.unitOf.get(equation);
      if (!inSameKernel) found.add(baseOf(input, block));
    }
  }
  return found;
}

/** The part of a concatenation, in its memory. */
function partOf(
  value: Value,
  part: number,
  { makers }: PreparedBlock,
  stores: Stores,
  bindings: Bindings,
): View {
  const { inputs, attributes: { axis } } = makers.get(value) as EquationOf<"concat">; // nothing else has parts
  const [whole] = stores.get(value) as readonly View[]; // it has memory before its parts
  const sizes = inputs.map(({ shape }) => evaluateDim(shape[axis], bindings));
  const from = sizes.slice(0, part).reduce((sum, size) => sum + size, 0);
  const size = whole.shape.with(axis, sizes[part]);
  return sliceView(whole, size.map((_, i) => i === axis ? from : 0), size, size.map(() => 1));
}
