/**
 * Cases of training: steps one by one, with their loss, metrics, raw gradients and the weights after each; and `fit`
 * with its history.
 */
import type { Layer, Variables } from "../../src/layers/layer.ts";
import { penaltyOf } from "../../src/layers/penalties.ts";
import { key } from "../../src/operations/random.ts";
import { hostTensor, isTensor, type Spec, specOf, type Tensor } from "../../src/tensor/tensor.ts";
import { fit } from "../../src/training/fit.ts";
import type { Data, Logs, ObjectiveOptions } from "../../src/training/objective.ts";
import type { OptimizerLike } from "../../src/training/optimizers.ts";
import { evaluate, predict } from "../../src/training/predict.ts";
import { createTrainer, type Trainer, type TrainingState } from "../../src/training/trainer.ts";
import { compile, type Compiled } from "../../src/transforms/compile.ts";
import type { Device } from "../../src/transforms/devices.ts";
import { toHost } from "../../src/tree/to_host.ts";
import { valueAndGrad } from "../../src/transforms/grad.ts";
import { mapTree, type Tree } from "../../src/tree/tree.ts";
import { inputOf, namedOutputs, variablesLike, variablesOf } from "./calls.ts";
import { compareNumber, compareTensor, compareTensors, type Finding, GRADIENT_TOLERANCE } from "./compare.ts";
import {
  isObject,
  isOracleTensor,
  type Json,
  type JsonObject,
  type OracleCase,
  type OracleTensors,
  stepsOf,
  tensorsIn,
  tensorsOf,
} from "./format.ts";
import { layerOf, outputNames } from "./layers.ts";
import { type KerasObject, type Named, namedLeaves } from "./names.ts";
import { lossOf, metricOf, optimizerOf } from "./objectives.ts";

/** What is trained, and by what. */
interface Setup {
  readonly object: KerasObject;
  readonly model: Layer;
  readonly objective: ObjectiveOptions;
  readonly optimizer: OptimizerLike;
}

/** What a case of training says beside the model. */
const ofTraining =
  /^(optimizer|loss|loss_weights|metrics|trainable_weights|batch_size|epochs|shuffle|class_weight|steps|validation_batch_size)$/;

function setupOf(oracleCase: OracleCase): Setup {
  const { config } = oracleCase;
  const model = Object.fromEntries(Object.entries(config).filter(([name]) => !ofTraining.test(name)));
  const object: KerasObject = {
    className: oracleCase.layer.replace(/\.(train|fit)$/, ""),
    config: model,
  };
  const metrics = Array.isArray(config.metrics) ? config.metrics.map((metric: Json) => metricOf(metric)) : [];
  const summed = typeof config.loss === "string" && config.loss.startsWith("mse on each output");
  const objective = { loss: lossOf(summed ? "mse" : config.loss), metrics };
  return { object, model: layerOf(object), objective, optimizer: optimizerOf(config.optimizer) };
}

/** The targets of a batch: `y`, or one for each of the nested cell's outputs. */
function targetOf({ className }: KerasObject, tensors: Named): Tree<Tensor> {
  return /NestedCell/.test(className) ? [tensors.y_1, tensors.y_2_3] : tensors.y;
}

function batchOf(object: KerasObject, tensors: Named): Data {
  const { sample_weight: sampleWeight } = tensors;
  const data = { x: inputOf<Tensor>(object, tensors), y: targetOf(object, tensors) };
  return sampleWeight ? { ...data, sampleWeight } : data;
}

function specsOf(tree: Tree<Tensor>): Tree<Spec> {
  return mapTree(tree, (leaf: Tensor) => specOf(leaf));
}

/** The weights of variables by the oracle's names. */
function weightsOf(variables: Variables, expected: OracleTensors): Named {
  const names = Object.keys(expected);
  return { ...namedLeaves(variables.params, names), ...namedLeaves(variables.state, names) };
}

/** The entry of our logs for a name of Keras's: the outputs of a list have their numbers there, not their names. */
function logOf(logs: Logs, name: string, outputs: readonly string[]): number | undefined {
  const index = outputs.findIndex((output) => name.startsWith(`${output}_`));
  return logs[index < 0 ? name : `output_${index}${name.slice(outputs[index].length)}`];
}

function compareLogs(
  part: string,
  logs: Logs,
  expected: Json | undefined,
  outputs: readonly string[],
): Finding[] {
  return Object.entries(isObject(expected) ? expected : {}).map(([name, value]) => {
    const [what, actual] = [`${part} ${name}`, logOf(logs, name, outputs)];
    const number = isOracleTensor(value) ? value.data[0] : value;
    return compareNumber(what, actual, Number(number), GRADIENT_TOLERANCE);
  });
}

type Gradients = (params: Tree<Tensor>, state: Tree<Tensor>, batch: Data) => [
  [loss: Tensor, output: Tree<Tensor>],
  gradient: Tree<Tensor>,
];

/** Loss, prediction and raw gradients of a batch, by the trainer's own objective. */
async function gradientsOf(
  model: Layer,
  trainer: Trainer,
  variables: Variables,
  batch: Data,
  device: Device,
): Promise<Compiled<Parameters<Gradients>, ReturnType<Gradients>>> {
  const { objective } = trainer.session("train", variables, batch);
  const lossOf = (params: Tree<Tensor>, state: Tree<Tensor>, batch: Data): [Tensor, Tree<Tensor>] => {
    const applied = model.apply({ params, state }, batch.x, { training: true, key: key(0) });
    const whole = { ...applied, penalty: penaltyOf(model, params, applied) };
    return [objective.compute(whole, batch, objective.initState()).loss, applied.output];
  };
  return await compile<Parameters<Gradients>, ReturnType<Gradients>>(valueAndGrad(lossOf), { device });
}

/** Training step by step. */
export async function runTraining(oracleCase: OracleCase, device: Device): Promise<Finding[]> {
  const { fields, place } = oracleCase;
  const setup = setupOf(oracleCase);
  const { object, model, objective } = setup;
  const steps = stepsOf(oracleCase);
  const batches = steps.map((step) => batchOf(object, tensorsOf(tensorsIn(step, "inputs", place))));
  const like = variablesLike(model, specsOf(batches[0].x));
  using trainer = createTrainer(model, { ...objective, optimizer: setup.optimizer, device });
  let state: TrainingState = { variables: variablesOf(like, tensorsOf(tensorsIn(fields, "weights", place))) };
  using gradients = await gradientsOf(model, trainer, state.variables, batches[0], device);
  const names = outputNames(object);
  const findings: Finding[] = [];
  for (const [index, step] of steps.entries()) {
    const [part, batch] = [`steps[${index}]`, batches[index]];
    const before = await toHost(state.variables);
    const [[, output], gradient] = await gradients(before.params, before.state, batch);
    const trained = await trainer.trainOnBatch({ ...state, variables: before }, batch);
    state = trained;
    const after = await toHost(trained.variables);
    state = { ...trained, variables: after };
    findings.push(
      ...compareLogs(`${part} outputs`, trained.logs, step.outputs, names),
      ...comparePrediction(`${part} y_pred_training`, output, step.y_pred_training, names),
      ...compareNamed(
        `${part} grads`,
        tensorsIn(step, "grads", place),
        (expected) => namedLeaves(gradient, Object.keys(expected)),
      ),
      ...compareNamed(
        `${part} weights_after`,
        tensorsIn(step, "weights_after", place),
        (expected) => weightsOf(after, expected),
      ),
    );
  }
  findings.push(...await compareInference(oracleCase, setup, state.variables, device));
  return findings;
}

function compareNamed(
  part: string,
  expected: OracleTensors,
  actual: (expected: OracleTensors) => Named,
): Finding[] {
  return compareTensors(part, actual(expected), expected, GRADIENT_TOLERANCE);
}

function comparePrediction(
  what: string,
  output: Tree<Tensor>,
  expected: Json | undefined,
  names: readonly string[],
): Finding[] {
  if (expected === undefined) return [];
  if (isOracleTensor(expected)) {
    return [compareTensor(what, namedOutputs(names, output)[names[0]], expected, GRADIENT_TOLERANCE)];
  }
  const parts = tensorsIn({ expected }, "expected", what);
  return compareTensors(what, namedOutputs(names, output), parts, GRADIENT_TOLERANCE);
}

/** The model's outputs at the end, for the inputs whose names end in `_eval`. */
async function compareInference(
  { fields, place }: OracleCase,
  { object, model }: Setup,
  variables: Variables,
  device: Device,
): Promise<Finding[]> {
  const expected = tensorsIn(fields, "outputs", place);
  const inputs = Object.entries(tensorsOf(tensorsIn(fields, "inputs", place)))
    .filter(([name]) => name.endsWith("_eval"))
    .map(([name, tensor]) => [name.slice(0, -"_eval".length), tensor]);
  if (inputs.length === 0 || Object.keys(expected).length === 0) return [];
  const output = await predict(model, variables, inputOf(object, Object.fromEntries(inputs)), {
    device,
  });
  const names = outputNames(object);
  const named = namedOutputs(names, output);
  return compareTensors("outputs", { ...named, inference: named[names[0]] }, expected, GRADIENT_TOLERANCE);
}

/** Keras's class weights as what they are: a weight for each sample by its label. */
function withClassWeight(data: Data, classWeight: Json | undefined): Data {
  if (!isObject(classWeight)) return data;
  const { y } = data;
  if (!isTensor(y) || y.kind !== "host" || y.dtype !== "int32" || data.sampleWeight) {
    throw new Error("class_weight is supported for class numbers without a sample weight");
  }
  const weights = Float32Array.from(y.data, (label) => Number(classWeight[String(label)] ?? 1));
  return { ...data, sampleWeight: hostTensor(weights, y.shape) };
}

function numberIn(config: JsonObject, name: string): number | undefined {
  const value = config[name];
  return typeof value === "number" ? value : undefined;
}

/** `fit`, then `predict` and `evaluate`. */
export async function runFit(oracleCase: OracleCase, device: Device): Promise<Finding[]> {
  const { fields, place, config } = oracleCase;
  if (config.shuffle !== false) {
    throw new Error("shuffle is not false: the order of the samples is not known");
  }
  const { object, model, objective, optimizer } = setupOf(oracleCase);
  const tensors = tensorsOf(tensorsIn(fields, "inputs", place));
  const { x_val, y_val, x_eval } = tensors;
  const data = batchOf(object, tensors);
  const like = variablesLike(model, specsOf(data.x));
  const batchSize = numberIn(config, "batch_size");
  const before = variablesOf(like, tensorsOf(tensorsIn(fields, "weights", place)));
  const { variables, history } = await fit(model, before, withClassWeight(data, config.class_weight), {
    ...objective,
    optimizer,
    device,
    batchSize,
    epochs: numberIn(config, "epochs"),
    shuffle: false,
    validation: x_val && y_val ? { x: x_val, y: y_val } : undefined,
    report: "none",
  });
  const expected = isObject(fields.outputs) ? fields.outputs : {};
  const names = outputNames(object);
  const findings = [
    ...compareHistory(history, fields.history),
    ...compareNamed(
      "weights_after",
      tensorsIn(fields, "weights_after", place),
      (of) => weightsOf(variables, of),
    ),
  ];
  if (expected.predict !== undefined) {
    const output = await predict(model, variables, x_eval, { device });
    findings.push(...comparePrediction("outputs predict", output, expected.predict, names));
  }
  if (expected.evaluate !== undefined) {
    const logs = await evaluate(model, variables, data, { ...objective, device, batchSize });
    findings.push(...compareLogs("outputs evaluate", logs, expected.evaluate, names));
  }
  return findings;
}

function compareHistory(
  history: Readonly<Record<string, readonly number[]>>,
  expected: Json | undefined,
): Finding[] {
  return Object.entries(isObject(expected) ? expected : {}).flatMap(([name, values]) =>
    (Array.isArray(values) ? values : []).map((value: Json, epoch) =>
      compareNumber(`history ${name}[${epoch}]`, history[name]?.[epoch], Number(value), GRADIENT_TOLERANCE)
    )
  );
}
