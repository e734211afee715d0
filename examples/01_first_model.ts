/** A first model: tokens become vectors, an LSTM reads them, a dense layer says what it makes of them. */
import {
  dense,
  embedding,
  init,
  key,
  lstm,
  predict,
  sequential,
  spec,
  summary,
  tensor,
} from "@cellfold/cellfold";
import { claim, type Log, parameterCount, shapeOf } from "./support/section.ts";

/** Runs the section. */
export async function main(log: Log = console.log): Promise<void> {
  const model = sequential([
    // A vector of 64 numbers for each of 1,000 tokens.
    embedding({ inputDim: 1000, outputDim: 64 }),
    lstm({ units: 128 }),
    dense({ units: 10 }),
  ]);
  const input = spec([null, null], "int32"); // any number of sentences of any length
  log(summary(model, input));
  claim(log, parameterCount(model, input) === 164_106, "it has 164,106 parameters, as in Keras");

  const sentences = tensor([[4, 16, 999, 8], [15, 42, 0, 0]], { dtype: "int32" });
  const output = await predict(model, init(model, key(0), input), sentences);
  claim(log, shapeOf(output) === "[2, 10]", "two sentences of four tokens give two rows of ten numbers");
}

if (import.meta.main) await main();
