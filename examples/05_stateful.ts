/**
 * State across batches: a very long sequence is fed in pieces. A stateful layer begins each call where the one before
 * ended; its state goes into `apply` and comes out of it, so nothing is hidden in the layer.
 */
import {
  concat,
  init,
  key,
  lstm,
  resetStates,
  spec,
  streaming,
  type Tensor,
  type Tree,
  type Variables,
} from "@cellfold/cellfold";
import { claim, largestDifference, type Log, noise } from "./support/section.ts";

const [BATCH, TIME, FEATURES] = [20, 10, 50];

/** Runs the section. */
export async function main(log: Log = console.log): Promise<void> {
  const paragraphs = [1, 2, 3].map((seed) => noise([BATCH, TIME, FEATURES], seed));
  const input = spec([BATCH, TIME, FEATURES]); // the state has a row for each sequence, so the batch is fixed
  const layer = lstm({ units: 64, stateful: true });
  const fresh = init(layer, key(0), input);

  /** Feeds all paragraphs, one after the other; the output after the last, and the variables with the new state. */
  const readAll = (variables: Variables): [output: Tree<Tensor>, variables: Variables] => {
    let output: Tree<Tensor> = [];
    for (const paragraph of paragraphs) {
      const applied = layer.apply(variables, paragraph, { training: false });
      [output, variables] = [applied.output, { params: variables.params, state: applied.state }];
    }
    return [output, variables];
  };

  const [output, later] = readAll(fresh);
  const whole = lstm({ units: 64 }).apply(
    { params: fresh.params, state: [] },
    concat(paragraphs, { axis: 1 }),
    { training: false },
  ).output;
  const distance = largestDifference(output, whole);
  claim(log, distance < 1e-6, `three paragraphs in turn give what all ${3 * TIME} steps at once give`);

  const [without] = readAll(later);
  claim(log, largestDifference(without, output) > 1e-3, "reading them again goes on from there");
  const reset = { params: later.params, state: resetStates(layer, later, input) };
  const [again] = readAll(reset);
  claim(log, largestDifference(again, output) === 0, "after a reset it begins anew");

  // The same with the state kept by a stream, for any layer or model; a piece may be a single step too.
  using stream = streaming(lstm({ units: 64 }), fresh, { batch: BATCH });
  let streamed: Tree<Tensor> = [];
  for (const paragraph of paragraphs) streamed = await stream.push(paragraph);
  claim(log, largestDifference(streamed, output) < 1e-6, "a stream of the three puts out the same");
}

if (import.meta.main) await main();
