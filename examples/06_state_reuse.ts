/** Reusing a state: what one layer has read is what another begins with, as state is plain data. */
import { init, key, lstm, spec } from "@cellfold/cellfold";
import { isCarryState } from "@cellfold/cellfold/internal";
import { claim, largestDifference, type Log, noise } from "./support/section.ts";

const [BATCH, TIME, FEATURES] = [20, 10, 50];

/** Runs the section. */
export function main(log: Log = console.log): void {
  const [first, second, third] = [1, 2, 3].map((seed) => noise([BATCH, TIME, FEATURES], seed));
  const input = spec([BATCH, TIME, FEATURES]);
  const layer = lstm({ units: 64, stateful: true });
  const { params, state } = init(layer, key(0), input);
  const afterFirst = layer.apply({ params, state }, first, { training: false });
  const afterSecond = layer.apply({ params, state: afterFirst.state }, second, { training: false });
  if (!isCarryState(afterSecond.state)) {
    throw new Error("Cannot go on: the state of a stateful layer is its carry");
  }
  const existing = afterSecond.state.carry;

  const other = lstm({ units: 64 });
  const variables = init(other, key(1), input);
  const told = other.apply(variables, third, { training: false, initialState: existing });
  const untold = other.apply(variables, third, { training: false });
  claim(
    log,
    largestDifference(told.output, untold.output) > 1e-3,
    "another layer that begins with that state puts out something else than from zeros",
  );

  const same = lstm({ units: 64 }).apply({ params, state: [] }, third, {
    training: false,
    initialState: existing,
  });
  const goingOn = layer.apply({ params, state: afterSecond.state }, third, { training: false });
  claim(
    log,
    largestDifference(same.output, goingOn.output) === 0,
    "with the same weights it is as if the first layer had gone on",
  );
}

if (import.meta.main) main();
