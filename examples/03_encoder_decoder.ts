/**
 * Encoder and decoder: the state in which one layer ends is what another begins with. Two inputs and a state between
 * layers are no sequence of layers, so the model is a graph.
 */
import {
  call,
  dense,
  embedding,
  init,
  input,
  key,
  lstm,
  model,
  predict,
  spec,
  splitRows,
  summary,
  tensor,
} from "@cellfold/cellfold";
import { claim, largestDifference, type Log, parameterCount, shapeOf } from "./support/section.ts";

const [ENCODER_VOCABULARY, DECODER_VOCABULARY] = [1000, 2000];

/** Runs the section. */
export async function main(log: Log = console.log): Promise<void> {
  const source = input([null], { dtype: "int32", name: "source" });
  const embedded = call(embedding({ inputDim: ENCODER_VOCABULARY, outputDim: 64 }), source);
  const [, state] = call(lstm({ units: 64, returnState: true, name: "encoder" }), embedded);

  const target = input([null], { dtype: "int32", name: "target" });
  const decoderInput = call(embedding({ inputDim: DECODER_VOCABULARY, outputDim: 64 }), target);
  const decoded = call(lstm({ units: 64, name: "decoder" }), decoderInput, { initialState: state });
  const translator = model({ inputs: { source, target }, outputs: call(dense({ units: 10 }), decoded) });

  const specs = { source: spec([null, "source"], "int32"), target: spec([null, "target"], "int32") };
  log(summary(translator, specs));
  claim(log, parameterCount(translator, specs) === 258_698, "it has 258,698 parameters, as in Keras");

  const variables = init(translator, key(0), specs);
  const sentences = {
    source: tensor([[1, 2, 3, 4, 5], [500, 400, 300, 200, 100]], { dtype: "int32" }),
    target: tensor([[7, 8, 9], [7, 8, 9]], { dtype: "int32" }),
  };
  const output = await predict(translator, variables, sentences);
  const [first, second] = splitRows(output, 1);
  log(
    `sources ${shapeOf(sentences.source)} and targets ${shapeOf(sentences.target)} give ${shapeOf(output)}`,
  );
  claim(
    log,
    largestDifference(first, second) > 0,
    "two sources with one target give different outputs: the state has told the decoder",
  );
}

if (import.meta.main) await main();
