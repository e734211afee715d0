/**
 * Placement: where the kernels of a body write their results. A result with a given place (an output, a part
 * of a concatenation, the carry of the next step) is written directly there; the rest gets separate buffers.
 */
import { addDims, type Dim } from "../../src/tensor/dims.ts";
import { type EquationOf, isElementwise, type Value } from "../../src/program/types.ts";
import type { PreparedBody } from "./body.ts";
import { arena } from "./kinds/rule.ts";
import { ownElementsOf } from "./rules.ts";
import { baseOf, sharesRegisters } from "./stages.ts";
import { isViewOperation } from "./view_operations.ts";
import { sliceView, type View, viewOf } from "./views.ts";
import { sizeOf } from "../shapes.ts";

/** The places to which values are written; they are read from the first. */
export type Stores = ReadonlyMap<Value, readonly View[]>;

/**
 * Lets the next carry of a scan overwrite the current one if nothing needs that any more; returns the carries
 * that must be copied at the end of the step.
 */
export function placeCarries(
  body: PreparedBody,
  carries: readonly View[],
): { readonly from: Value; readonly to: View }[] {
  const late: { from: Value; to: View }[] = [];
  carries.forEach((carry, index) => {
    const value = body.outputs[index];
    if (mayWriteOver(body, value, index, carry)) {
      body.destinations.set(value, [...body.destinations.get(value) ?? [], carry]);
    } else {
      late.push({ from: value, to: carry });
    }
  });
  return late;
}

/**
 * Whether the kernel that computes the next carry, output `index`, may write it directly over the current
 * one.
 */
function mayWriteOver(body: PreparedBody, value: Value, index: number, carry: View): boolean {
  const maker = body.makers.get(value);
  const writer = maker && body.unitOf.get(maker);
  if (!maker || writer === undefined) return false; // given from outside, or a view
  // A reshape's copy has another shape, and some kernels can only write a buffer of their own.
  if (body.copies.has(maker) || ownElementsOf(maker.operation.name)) return false;
  // Fused kernels can write a result to several places, others to one.
  if (!isElementwise(maker) && body.destinations.has(value)) return false;
  // If two carries become the same value, the second is a copy.
  return body.outputs.indexOf(value) === index && !readsAfter(body, carry, writer);
}

/**
 * Whether the carry of this step is still needed once unit `writer` has begun to overwrite it:
 * - by a unit that runs later;
 * - by the writer itself, unless it reads each element just before it writes it, as an elementwise kernel
 *   does that reads the carry directly. Through a view (reversed, say), or in a product, it would read what
 *   it has overwritten;
 * - by an output, which is read at the end of the step: the carry passed on to another carry, or stacked.
 */
function readsAfter(body: PreparedBody, carry: View, writer: number): boolean {
  const isCarry = (value: Value) => {
    const found = body.given.get(baseOf(value, body));
    return found !== undefined && "view" in found && found.view.buffer === carry.buffer;
  };
  const isRead = body.equations.some((equation) => {
    const reader = body.unitOf.get(equation);
    if (reader === undefined || reader < writer) return false;
    const readsAsItLies = (input: Value) => isElementwise(equation) && baseOf(input, body) === input;
    return equation.inputs.some((input) => isCarry(input) && (reader > writer || !readsAsItLies(input)));
  });
  return isRead || body.outputs.some(isCarry);
}

/**
 * Where the kernels of a body write every value that they compute. It is read from the first place.
 *
 * - A value with given places is written directly to them: to an output, into its part of a concatenation,
 *   over a carry. Only a value without any gets a buffer of its own.
 * - It gets one nevertheless, and is copied to its given places, if a reshape reads it, which requires
 *   row-major memory, or if it is a reshape's copy itself.
 * - The result of an elementwise equation that only its own kernel reads is not written: it stays in a
 *   register.
 *
 * @param readLater Values that are read by copies at the end of the step.
 */
export function storesOf(body: PreparedBody, readLater: readonly Value[]): Stores {
  const stores = new Map<Value, View[]>();
  const inMemory = readFromMemory(body, readLater);
  // From the last to the first, so that a concatenation has memory before its parts do.
  for (const equation of body.equations.toReversed()) {
    const isCopy = body.copies.has(equation);
    if (isViewOperation(equation) && !isCopy) continue;
    for (const value of equation.outputs) {
      const wanted = (body.destinations.get(value) ?? []).map((place) =>
        "whole" in place ? partOf(place.whole, place.part, body, stores) : place
      );
      const isNeeded = !isElementwise(equation) || inMemory.has(value);
      const isOwn = isCopy || body.reshaped.has(value) || (wanted.length === 0 && isNeeded);
      const { shape } = isCopy ? equation.inputs[0] : value;
      const { name } = equation.operation;
      const size = ownElementsOf(name)?.(sizeOf(shape)) ?? sizeOf(shape);
      stores.set(value, isOwn ? [viewOf(arena(name, size), shape, value.dtype), ...wanted] : wanted);
    }
  }
  return stores;
}

/** The values that are read from memory: by a kernel other than their own, or at the end of the step. */
function readFromMemory(body: PreparedBody, readLater: readonly Value[]): ReadonlySet<Value> {
  const found = new Set(readLater.map((value) => baseOf(value, body)));
  for (const equation of body.equations) {
    if (isViewOperation(equation) && !body.copies.has(equation)) continue;
    for (const input of equation.inputs) {
      const maker = body.makers.get(input);
      const inSameKernel = maker !== undefined && sharesRegisters(equation, input, body) &&
        body.unitOf.get(maker) === body.unitOf.get(equation);
      if (!inSameKernel) found.add(baseOf(input, body));
    }
  }
  return found;
}

/** The part of a concatenation, in its memory. */
function partOf(
  value: Value,
  part: number,
  { makers }: PreparedBody,
  stores: Stores,
): View {
  const { inputs, attributes: { axis } } = makers.get(value) as EquationOf<"concat">; // nothing else has parts
  const [whole] = stores.get(value) as readonly View[]; // it has memory before its parts
  const sizes = inputs.map(({ shape }) => shape[axis]);
  const from = sizes.slice(0, part).reduce<Dim>((sum, size) => addDims(sum, size), 0);
  const size = whole.shape.with(axis, sizes[part]);
  return sliceView(whole, size.map((_, i) => i === axis ? from : 0), size, size.map(() => 1));
}
