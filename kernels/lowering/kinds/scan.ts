/** Loops over time. */
import type { Dim } from "../../../src/tensor/dims.ts";
import { timeAxis, type Value } from "../../../src/program/types.ts";
import { type Located, stepView, type View } from "../views.ts";
import { copy, type FusedKernel } from "./fused.ts";
import type { LoopKind } from "./kind.ts";
import type { Applied, Lowering } from "./rule.ts";

/** A loop over time. */
export interface ScanKernel<Inside> {
  readonly kind: "scan";
  readonly length: Dim;
  readonly reverse: boolean;
  /** The depth of the loop; its index is an argument of the kernels inside. */
  readonly loop: number;
  readonly body: readonly Inside[];
  /**
   * The rows that threads may divide, as every kernel inside works on each row alone; 0 if one thread must do
   * all.
   */
  readonly rows: Dim;
}

/** The record of the kind, for any kernels inside. */
export const scanKinds: { readonly scan: LoopKind<ScanKernel<unknown>> } = {
  scan: {
    units: ({ rows }) => rows === 0 ? 1 : rows,
    work: ({ rows, length }, { of }, cost) => ({
      items: Math.max(1, of(rows)),
      cost,
      times: of(length),
    }),
    print: ({ rows, reverse, length }) => {
      const threads = rows !== 0 ? `${rows} rows shared by all threads` : "on one thread";
      return `scan of ${length} steps${reverse ? ", from the last" : ""}, ${threads}`;
    },
  },
};

/**
 * The kernels of a fold: its carries are copied to their final place, and are read and written there at every
 * step.
 */
function lowerScan<Inside>(
  { attributes, inputs, outputs }: Applied<"scan">,
  _: View,
  { locate, storeOf, depth, lowerBody }: Lowering<Inside>,
): (FusedKernel | ScanKernel<Inside>)[] {
  const { body, constants, carries, length, reverse } = attributes;
  const given = new Map<Value, Located>();
  const initial: FusedKernel[] = [];
  const carryViews: View[] = [];
  body.inputs.forEach((value, index) => {
    const found = locate(inputs[index]);
    if (index < constants) {
      given.set(value, found);
    } else if (index < constants + carries) {
      const view = storeOf(outputs[index - constants]);
      initial.push(copy(found, view));
      carryViews.push(view);
      given.set(value, { view });
    } else {
      const axis = timeAxis(inputs[index].shape.length);
      given.set(value, "view" in found ? { view: stepView(found.view, axis, depth) } : found);
    }
  });
  const targets = body.outputs.map((value, index) => {
    const view = storeOf(outputs[index]);
    return index < carries ? view : stepView(view, timeAxis(value.shape.length + 1), depth);
  });
  const { kernels, rows } = lowerBody(body, given, targets, carryViews);
  return [
    ...initial,
    { kind: "scan", length, reverse, loop: depth, body: kernels, rows },
  ];
}

/** The rule for the operation. */
export const scanRules = { scan: { lower: lowerScan } } as const;
