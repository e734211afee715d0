/**
 * A model there and back: trained here, written as ONNX, run by onnxruntime-web, compared, read back and trained on.
 *
 *     deno run --allow-read --allow-env --allow-net examples/onnx_round_trip.ts
 */
import {
  batchNormalization,
  bidirectional,
  dense,
  fit,
  init,
  key,
  type Layer,
  lstm,
  mean,
  predict,
  sequential,
  spec,
  type Tensor,
  tensor,
} from "@cellfold/cellfold";
import { fromOnnx, toOnnx } from "@cellfold/cellfold/onnx";
import { loadOnnxRuntime, openSession } from "./support/onnx_runtime.ts";
import { claim, largestDifference, type Log, noise, shapeOf } from "./support/section.ts";

/** Runs the example. */
export async function main(log: Log = console.log): Promise<void> {
  const model = sequential([
    bidirectional(lstm({ units: 16, returnSequences: true })),
    lstm({ units: 16 }),
    batchNormalization(),
    dense({ units: 4 }),
  ]);
  const input = spec([null, null, 4]); // any number of sequences of any length
  const x = noise([512, 12, 4]);
  const data = { x, y: mean(x, { axes: 1 }) };
  const options = { optimizer: "adam", loss: "mse", report: "none" } as const;
  const here = await fit(model, init(model, key(0), input), data, { ...options, epochs: 4 });
  log(`trained here: the loss is ${here.history.loss[3].toFixed(4)}`);

  const bytes = toOnnx(model, here.variables, { input });
  log(`written as ONNX: ${bytes.length.toLocaleString("en")} bytes`);

  const few = noise([5, 9, 4], 2);
  const ours = await predict(model, here.variables, few);
  const runtime = await loadOnnxRuntime();
  const session = await openSession(runtime, bytes);
  const { output } = await session.run({
    input: new runtime.Tensor("float32", Float32Array.from(few.data), few.shape),
  });
  await session.release();
  const theirs = tensor(output.data, { shape: output.dims });
  log(`onnxruntime-web gives ${shapeOf(theirs)}`);
  claim(log, largestDifference(theirs, ours) < 1e-5, "it predicts what the library predicts, to 1e-5");

  const imported = fromOnnx(bytes);
  const again = await predict(imported.model as Layer<Tensor>, imported.variables, few);
  claim(log, largestDifference(again, ours) < 1e-6, "read back, the model predicts the same, to 1e-6");

  const on = await fit(imported.model, imported.variables, data, { ...options, epochs: 4 });
  const [first, last] = [here.history.loss[3], on.history.loss[3]];
  claim(log, last < first, `trained on, its loss falls from ${first.toFixed(4)} to ${last.toFixed(4)}`);
}

if (import.meta.main) await main();
