/**
 * Whether a function computes the rows of a batch apart, so that each may belong to another sequence. It is traced
 * over an open number of rows, which are followed through its Program; nothing is computed.
 */
import { placeOfEquation } from "../program/trace.ts";
import type { Value } from "../program/types.ts";
import type { Dim } from "../tensor/dims.ts";
import { isWhole, placeOf, type State, TIME, wholePlace } from "./sequence_axes.ts";
import { followEquation } from "./step_rules.ts";
import { type Origin, traceStep } from "./streamed_steps.ts";

/**
 * The operation that makes a row of an output or of the next state depend on other rows; undefined if there is none.
 *
 * @param fn `(fixed, state, input) => [output, state]`, pure.
 * @param args Specs, with `rows` as axis 0 of what has rows.
 */
export function mixesRows<Fixed, RowState, Input, Output>(
  fn: (fixed: Fixed, state: RowState, input: Input) => readonly [Output, RowState],
  args: readonly [Fixed, RowState, Input],
  rows: Dim,
): Origin | undefined {
  const { program } = traceStep(fn, args);
  const states = new Map<Value, State>();
  const origins = new Map<Value, Origin>();
  for (const value of program.inputs) {
    // The rules follow an axis that they call time; here it is that of the rows.
    if (value.shape[0] !== rows) continue;
    states.set(value, { places: [wholePlace(TIME, 0, rows)], mask: undefined, mixedBy: undefined });
  }
  for (const equation of program.equations) {
    const { operation: { name }, inputs, outputs } = equation;
    const followed = followEquation(equation, inputs.map((value) => states.get(value)), rows);
    const before = inputs.map((value) => origins.get(value)).find((origin) => origin);
    outputs.forEach((value, index) => {
      const state = followed[index];
      states.set(value, state);
      if (!state || state.mixedBy === undefined && placeOf(state, TIME)) return;
      origins.set(value, before ?? { operation: name, place: placeOfEquation(equation) });
    });
  }
  for (const value of program.outputs) {
    const origin = origins.get(value);
    if (origin) return origin;
    const place = states.get(value)?.places[0];
    if (place && !(isWhole(place) && place.axis === 0)) return { operation: "transpose", place: undefined };
  }
  return undefined;
}
