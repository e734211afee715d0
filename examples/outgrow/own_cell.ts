/**
 * What the workers of parallel.py train: a cell of the user's own over the rows of a digit, written as pure functions.
 * Nothing here knows how many processes there are.
 */
import {
  add,
  type Cell,
  compile,
  concat,
  type Device,
  type HostTensor,
  key,
  logSoftmax,
  matmul,
  mean,
  mul,
  neg,
  oneHot,
  type OptimizerState,
  scan,
  sgd,
  sigmoid,
  splitKey,
  splitRows,
  sub,
  sum,
  tanh,
  type Tensor,
  toHost,
  uniform,
  valueAndGrad,
  zeros,
} from "@cellfold/cellfold";
import { decodeSafetensors, encodeSafetensors, restoreTree } from "@cellfold/cellfold/safetensors";

/** How many updates are made, and how many digits each is computed from, in all workers together. */
export const [UPDATES, GLOBAL_BATCH] = [48, 64];

const [FEATURES, UNITS, CLASSES] = [28, 48, 10];

/** The weights of a product `x · kernel + bias`: `[inputs, outputs]` and `[outputs]`. */
type Weights = { readonly kernel: Tensor; readonly bias: Tensor };

/** The weights of the cell, from `[features + units]` to `[units]`, and those from its last state to the logits. */
export type Params = { readonly gate: Weights; readonly candidate: Weights; readonly output: Weights };

/** Digits `[samples, 28, 28]` with their labels, int32 `[samples]`. */
export interface Digits {
  readonly x: HostTensor;
  readonly y: HostTensor;
}

/** Everything that an update changes. */
export interface TrainingState {
  readonly params: Params;
  readonly optimizer: OptimizerState;
}

const product = (x: Tensor, { kernel, bias }: Weights) => add(matmul(x, kernel), bias);

/** The minimal gated unit (Zhou, Wu, Zhang and Zhou, "Minimal gated unit for recurrent neural networks", 2016). */
function minimalGatedUnit({ gate, candidate }: Params): Cell<Tensor, Tensor, Tensor> {
  return (h, x) => {
    const f = sigmoid(product(concat([x, h], { axis: 1 }), gate));
    const proposed = tanh(product(concat([x, mul(f, h)], { axis: 1 }), candidate));
    const next = add(mul(sub(1, f), h), mul(f, proposed));
    return [next, next];
  };
}

/** The mean crossentropy of a batch: a mean over digits, so that the mean over equal shares of a batch is that of all. */
function lossOf(params: Params, x: Tensor, y: Tensor): Tensor {
  const [, h] = scan(minimalGatedUnit(params), zeros([x.shape[0], UNITS]), x);
  const likelihoods = logSoftmax(product(h, params.output));
  return neg(mean(sum(mul(oneHot(y, CLASSES), likelihoods), { axes: -1 })));
}

const optimizer = sgd({ learningRate: 0.1, momentum: 0.9 });

/** The state before the first update. */
export function firstState(): TrainingState {
  const [first, second, third] = splitKey(key(0), 3);
  const dense = (key: Tensor, inputs: number, outputs: number) => {
    const limit = Math.sqrt(6 / (inputs + outputs)); // Glorot and Bengio, 2010
    return { kernel: uniform(key, [inputs, outputs], { min: -limit, max: limit }), bias: zeros([outputs]) };
  };
  const params = {
    gate: dense(first, FEATURES + UNITS, UNITS),
    candidate: dense(second, FEATURES + UNITS, UNITS),
    output: dense(third, UNITS, CLASSES),
  };
  return { params, optimizer: optimizer.init(params) };
}

/** The two halves of an update, compiled: what the workers do between them is their own matter. */
export function compiledUpdate(device: Device) {
  return {
    gradients: compile(valueAndGrad(lossOf), { device }),
    apply: compile(
      (gradients: Params, { params, optimizer: before }: TrainingState): TrainingState => {
        const [next, after] = optimizer.update(gradients, before, params);
        return { params: next, optimizer: after };
      },
      { device },
    ),
  };
}

/** The digits of an update, counted from 0, in order and again from the first; of them the share of one worker. */
export function batchOf(digits: Digits, update: number, rank = 0, workers = 1): Digits {
  const batches = Math.floor(digits.y.shape[0] / GLOBAL_BATCH);
  const share = GLOBAL_BATCH / workers;
  const [, rest] = splitRows(digits, update % batches * GLOBAL_BATCH + rank * share);
  return splitRows(rest, share)[0];
}

/** Writes the state after so many updates; whoever reads finds either this file whole or the one before. */
export async function writeState(path: string, state: TrainingState, updates: number): Promise<void> {
  const bytes = encodeSafetensors(await toHost(state), { metadata: { updates: String(updates) } });
  const unfinished = `${path}.${Deno.pid}`;
  await Deno.writeFile(unfinished, bytes);
  await Deno.rename(unfinished, path);
}

/** The state in a file, and after how many updates it was written; the first state where there is no file yet. */
export async function readState(
  path: string,
): Promise<{ readonly state: TrainingState; readonly updates: number }> {
  const first = firstState();
  const bytes = await Deno.readFile(path).catch((error: unknown) => {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  });
  if (bytes === undefined) return { state: first, updates: 0 };
  const { tensors, metadata } = decodeSafetensors(bytes);
  return { state: restoreTree(first, tensors), updates: Number(metadata.updates) };
}
