/** Both ways: one layer reads forwards, another backwards, and their outputs are put together; such layers stack. */
import {
  add,
  bidirectional,
  dense,
  gru,
  init,
  key,
  lstm,
  predict,
  sequential,
  spec,
  split,
  summary,
} from "@cellfold/cellfold";
import { claim, largestDifference, type Log, noise, parameterCount, shapeOf } from "./support/section.ts";

/** Runs the section. */
export async function main(log: Log = console.log): Promise<void> {
  const model = sequential([
    bidirectional(lstm({ units: 64, returnSequences: true })), // [batch, time, 128]
    bidirectional(lstm({ units: 32 })), // [batch, 64]
    dense({ units: 10 }),
  ]);
  const input = spec([null, 5, 10]);
  log(summary(model, input));
  claim(log, parameterCount(model, input) === 80_266, "it has 80,266 parameters, as in Keras");

  const x = noise([2, 5, 10]);
  const output = await predict(model, init(model, key(0), input), x);
  claim(log, shapeOf(output) === "[2, 10]", "two sequences give two rows of ten numbers");

  const concatenated = bidirectional(gru({ units: 4 }));
  const variables = init(concatenated, key(0), x);
  const joined = await predict(concatenated, variables, x);
  const added = await predict(bidirectional(gru({ units: 4 }), { mergeMode: "sum" }), variables, x);
  log(`put side by side ${shapeOf(joined)}, or added ${shapeOf(added)}`);
  const [forwards, backwards] = split(joined, 2);
  claim(log, largestDifference(added, add(forwards, backwards)) === 0, "the sum is that of the two halves");
}

if (import.meta.main) await main();
