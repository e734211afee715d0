/** Models as ONNX files, each beside an input and what we predict for it, so that check.py can hold one to the other. */
import {
  host,
  type HostTensor,
  type Layer,
  predict,
  type Spec,
  type Tensor,
  type Tree,
  treeLeaves,
  type Variables,
} from "@cellfold/cellfold";
import { toOnnx } from "@cellfold/cellfold/onnx";
import { encodeSafetensors } from "@cellfold/cellfold/safetensors";
import { claim, type Log } from "../support/section.ts";
import type { PythonEnvironment } from "./setup.ts";

/** A model with its weights, and an input of it. */
export interface CheckedModel {
  readonly name: string;
  readonly layer: Layer;
  readonly variables: Variables;
  readonly input: Tree<Spec>;
  readonly data: Tree<Tensor>;
}

/**
 * Writes the models to a folder, has ONNX's checker read them and onnxruntime run them.
 *
 * @returns The paths of the files.
 * @throws Error where the checker refuses one, or onnxruntime predicts something else than we do.
 */
export async function checkModels(
  models: readonly CheckedModel[],
  folder: string,
  python: PythonEnvironment,
  log: Log,
): Promise<string[]> {
  await Deno.mkdir(folder, { recursive: true });
  const files = await Promise.all(models.map((model, index) => writeModel(model, `${folder}/${index}`)));
  const lines = (await python.run("check.py", ...files)).trim().split("\n");
  models.forEach(({ name }, index) => {
    const { opset, difference }: { opset: number; difference: number } = JSON.parse(lines[index]);
    const by = difference.toExponential(0);
    claim(log, difference < 1e-5, `${name}: opset ${opset}, accepted, and the predictions differ by ${by}`);
  });
  return files;
}

/** Writes `<path>.onnx` and, for check.py, `<path>.safetensors`. */
async function writeModel({ layer, variables, input, data }: CheckedModel, path: string): Promise<string> {
  const inputs = named("input", treeLeaves<Tensor>(data).map(host));
  const batchSize = Object.values(inputs)[0].shape[0]; // of one batch: a stateful layer goes on in the next
  const predicted = await predict(layer, variables, data, { batchSize });
  const outputs = named("output", treeLeaves<Tensor>(predicted).map(host));
  const bytes = toOnnx(layer, variables, {
    input,
    inputNames: Object.keys(inputs),
    outputNames: Object.keys(outputs),
  });
  await Deno.writeFile(`${path}.onnx`, bytes);
  await Deno.writeFile(`${path}.safetensors`, encodeSafetensors({ input: inputs, output: outputs }));
  return `${path}.onnx`;
}

/** The names that toOnnx is told: that of one tensor, or with numbers behind it. */
function named(name: string, tensors: readonly HostTensor[]): Record<string, HostTensor> {
  const number = (index: number) => tensors.length === 1 ? "" : index;
  return Object.fromEntries(tensors.map((tensor, index) => [`${name}${number(index)}`, tensor]));
}
