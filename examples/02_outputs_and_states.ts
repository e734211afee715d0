/**
 * Outputs and states: a layer puts out what its last step gave, with `returnSequences` what every step gave, and with
 * `returnState` the state after the last step too.
 */
import {
  at,
  dense,
  embedding,
  gru,
  init,
  key,
  lstm,
  predict,
  sequential,
  simpleRnn,
  spec,
  summary,
} from "@cellfold/cellfold";
import { claim, largestDifference, type Log, noise, parameterCount, shapeOf } from "./support/section.ts";

/** Runs the section. */
export async function main(log: Log = console.log): Promise<void> {
  const model = sequential([
    embedding({ inputDim: 1000, outputDim: 64 }),
    gru({ units: 256, returnSequences: true }), // [batch, time, 256]
    simpleRnn({ units: 128 }), // [batch, 128]
    dense({ units: 10 }),
  ]);
  const input = spec([null, null], "int32");
  log(summary(model, input));
  claim(log, parameterCount(model, input) === 361_866, "it has 361,866 parameters, as in Keras");

  const x = noise([3, 7, 5]);
  const last = lstm({ units: 4 });
  const variables = init(last, key(0), x); // a layer alone is a model too, and flags do not change its parameters
  const output = await predict(last, variables, x);
  const sequence = await predict(lstm({ units: 4, returnSequences: true }), variables, x);
  log(`one output ${shapeOf(output)}, a sequence of outputs ${shapeOf(sequence)}`);
  claim(
    log,
    largestDifference(at(sequence, -1, { axis: 1 }), output) === 0,
    "the last of the sequence is the output",
  );

  const [again, [h, c]] = await predict(lstm({ units: 4, returnState: true }), variables, x);
  claim(log, largestDifference(again, h) === 0, "an LSTM's state is [h, c], and h is its output");
  claim(log, largestDifference(h, c) > 0, "c is the memory that it keeps to itself");
}

if (import.meta.main) await main();
