/**
 * With TensorFlow.js itself: loads what we write, and predicts the same; its fixtures are made by
 * `fixtures/make.ts`.
 *
 *     deno run -A --no-lock tests/formats/tfjs/live.ts
 */
import { importPeer } from "../../../benches/peers/versions.ts";
import { toTfjs } from "../../../formats/tfjs/mod.ts";
import { host, type Tensor } from "../../../src/tensor/tensor.ts";
import { treeLeaves } from "../../../src/tree/tree.ts";
import { predictions } from "../keras/support.ts";
import { examples, variablesOf } from "./models.ts";
import type { TensorFlow, TfTensor } from "./peer.ts";

/** The largest difference of float32 sums in another order. */
const TOLERANCE = 1e-6;

const tf = await importPeer<TensorFlow>("@tensorflow/tfjs");
await tf.setBackend("cpu");
for (const [name, make] of Object.entries(examples)) {
  const example = make();
  const variables = variablesOf(example);
  const files = await toTfjs(example.model, variables, { input: example.input });
  const { modelTopology, weightsManifest, format } = JSON.parse(
    new TextDecoder().decode(files["model.json"]),
  );
  const [{ paths, weights: weightSpecs }] = weightsManifest;
  const weightData = files[paths[0]].buffer; // these models are small
  const loaded = await tf.loadLayersModel({
    load: () => Promise.resolve({ modelTopology, weightSpecs, weightData, format }),
  });
  const inputs = treeLeaves<Tensor>(example.x).map((leaf) => {
    const { data, shape } = host(leaf);
    return tf.tensor([...data], shape.map(Number));
  });
  const there = [loaded.predict(inputs.length === 1 ? inputs[0] : inputs)].flat() as TfTensor[];
  const here = treeLeaves<Tensor>(await predictions(example.model, variables, example.x));
  const apart = Math.max(...here.flatMap((leaf, index) => {
    const values = there[index].dataSync();
    return [...host(leaf).data].map((value, at) => Math.abs(value - values[at]));
  }));
  console.log(`${name}: ${apart}`);
  if (!(apart <= TOLERANCE)) {
    throw new Error(`TensorFlow.js predicts something else for ${name}: ${apart} apart`);
  }
}
