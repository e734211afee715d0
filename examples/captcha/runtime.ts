/** The same pictures in onnxruntime-web, one after another, as the published file takes a single one. */
import * as cf from "@cellfold/cellfold";
import { loadOnnxRuntime, openSession } from "../support/onnx_runtime.ts";
import { largestDifference } from "../support/section.ts";

/** The largest difference of what a file gives for pictures from `logits`, relative to the largest of these. */
export async function differenceFromRuntime(
  file: Uint8Array,
  pictures: cf.HostTensor,
  logits: cf.HostTensor,
): Promise<number> {
  const theirs = cf.tensor(await readWithRuntime(file, pictures), { shape: logits.shape });
  return largestDifference(logits, theirs) / cf.item(cf.max(cf.abs(logits)));
}

/** The outputs of a file with one input and one output, picture by picture. */
async function readWithRuntime(file: Uint8Array, { data, shape }: cf.HostTensor): Promise<Float32Array> {
  const runtime = await loadOnnxRuntime();
  const session = await openSession(runtime, file);
  const { inputNames: [input], outputNames: [output] } = session;
  const size = data.length / shape[0];
  const outputs: Float32Array[] = [];
  for (let picture = 0; picture < shape[0]; picture++) {
    const pixels = Float32Array.from(data.subarray(picture * size, (picture + 1) * size));
    const results = await session.run({
      [input]: new runtime.Tensor("float32", pixels, [1, ...shape.slice(1)]),
    });
    outputs.push(results[output].data);
  }
  await session.release();
  const all = new Float32Array(outputs.length * outputs[0].length);
  outputs.forEach((each, i) => all.set(each, i * each.length));
  return all;
}
