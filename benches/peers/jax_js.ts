/**
 * jax-js on wasm or WebGPU as a subject of the benchmark. It has no scan, so the LSTM is unrolled by hand;
 * its synchronous calls are used, which are faster on the CPU.
 *
 * Every operation takes ownership of its operands; `.ref` keeps one for another use.
 */
import { noise } from "../../examples/support/section.ts";
import { repeated, type Trial } from "../support/messages.ts";
import { askedBackend, serve } from "../support/serve.ts";
import type { ModelTask, Task } from "../support/tasks.ts";
import { importPeer, versionsOf } from "./versions.ts";

interface JaxArray {
  readonly ref: JaxArray;
  add(other: JaxArray | number): JaxArray;
  sub(other: JaxArray | number): JaxArray;
  mul(other: JaxArray | number): JaxArray;
  div(other: JaxArray | number): JaxArray;
  reshape(shape: readonly number[]): JaxArray;
  mean(axis?: number): JaxArray;
  sum(axis?: number): JaxArray;
  slice(...index: readonly (number | readonly [] | readonly [number, number])[]): JaxArray;
  dataSync(): ArrayLike<number>;
  data(): Promise<ArrayLike<number>>;
  dispose(): void;
}

/** The part of jax-js that is used. */
interface Jax {
  readonly numpy: {
    array(values: Float32Array): JaxArray;
    zeros(shape: readonly number[]): JaxArray;
    matmul(a: JaxArray, b: JaxArray): JaxArray;
    tanh(x: JaxArray): JaxArray;
    sqrt(x: JaxArray): JaxArray;
    square(x: JaxArray): JaxArray;
  };
  readonly nn: {
    sigmoid(x: JaxArray): JaxArray;
    logSoftmax(x: JaxArray, axis: number): JaxArray;
  };
  init(...devices: readonly string[]): Promise<readonly string[]>;
  defaultDevice(device: string): string;
  jit<Args extends readonly unknown[], Result>(fn: (...args: Args) => Result): (...args: Args) => Result;
  valueAndGrad<Rest extends readonly unknown[]>(
    fn: (params: Params, ...rest: Rest) => JaxArray,
  ): (params: Params, ...rest: Rest) => [JaxArray, Params];
}

// A type and not an interface: jax-js asks for an index signature.
type Params = {
  kernel: JaxArray;
  recurrent: JaxArray;
  bias: JaxArray;
  scale: JaxArray;
  shift: JaxArray;
  dense: JaxArray;
  denseBias: JaxArray;
};

const CLASSES = 10, LEARNING_RATE = 0.01, EPSILON = 0.001;

const jax = await importPeer<Jax>("@jax-js/jax");
const { numpy: np, nn } = jax;
const backend = askedBackend() ?? "wasm";
await jax.init(backend);
jax.defaultDevice(backend);

function arrayOf(shape: readonly number[], seed: number, scale = 1): JaxArray {
  return np.array(Float32Array.from(noise(shape, seed).data, (value) => scale * (value - 0.5))).reshape(
    shape,
  );
}

function paramsFor({ features, units }: ModelTask): Params {
  return {
    kernel: arrayOf([features, 4 * units], 1, 0.2),
    recurrent: arrayOf([units, 4 * units], 2, 0.2),
    bias: np.zeros([4 * units]),
    scale: np.zeros([units]).add(1),
    shift: np.zeros([units]),
    dense: arrayOf([units, CLASSES], 3, 0.2),
    denseBias: np.zeros([CLASSES]),
  };
}

/** The mean crossentropy of a batch; takes ownership of all its arguments. */
function lossFor({ batch, time, features, units }: ModelTask) {
  return (params: Params, x: JaxArray, oneHot: JaxArray): JaxArray => {
    const { kernel, recurrent, bias, scale, shift, dense, denseBias } = params;
    const products = np.matmul(x.reshape([batch * time, features]), kernel).add(bias)
      .reshape([batch, time, 4 * units]);
    let [h, c] = [np.zeros([batch, units]), np.zeros([batch, units])];
    for (let step = 0; step < time; step++) {
      const z = products.ref.slice([], step, []).add(np.matmul(h, recurrent.ref));
      const gate = (index: number) => z.ref.slice([], [index * units, (index + 1) * units]);
      const [i, f] = [nn.sigmoid(gate(0)), nn.sigmoid(gate(1))];
      const [g, o] = [np.tanh(gate(2)), nn.sigmoid(gate(3))];
      z.dispose();
      c = f.mul(c).add(i.mul(g));
      h = o.mul(np.tanh(c.ref));
    }
    for (const used of [products, recurrent, c]) used.dispose();
    const centered = h.ref.sub(h.mean(0));
    const variance = np.square(centered.ref).mean(0);
    const normal = centered.div(np.sqrt(variance.add(EPSILON))).mul(scale).add(shift);
    const logits = np.matmul(normal, dense).add(denseBias);
    return nn.logSoftmax(logits, 1).mul(oneHot).sum().mul(-1 / batch);
  };
}

// deno-lint-ignore require-await -- a task that is not supported rejects
async function prepare(task: Task): Promise<Trial> {
  if (task.kind !== "train" || task.cell !== "lstm" || task.variant) {
    throw new Error("jax-js has only the guide's train step");
  }
  const { batch, time, features } = task;
  const names = ["kernel", "recurrent", "bias", "scale", "shift", "dense", "denseBias"] as const;
  const gradients = jax.valueAndGrad(lossFor(task));
  const update = jax.jit((params: Params, x: JaxArray, oneHot: JaxArray): [JaxArray, Params] => {
    const kept = { ...params };
    for (const name of names) kept[name] = params[name].ref;
    const [loss, gradient] = gradients(kept, x, oneHot);
    const next = { ...params };
    for (const name of names) next[name] = params[name].sub(gradient[name].mul(LEARNING_RATE));
    return [loss, next];
  });
  const x = arrayOf([batch, time, features], 4);
  const labels = new Float32Array(batch * CLASSES);
  for (let row = 0; row < batch; row++) labels[row * CLASSES + row % CLASSES] = 1;
  const oneHot = np.array(labels).reshape([batch, CLASSES]);
  let params = paramsFor(task);
  const step = () => {
    const [loss, next] = update(params, x.ref, oneHot.ref);
    params = next;
    const [value] = Array.from(loss.dataSync());
    for (const name of names) params[name].ref.dataSync(); // runs the deferred work now
    if (!Number.isFinite(value)) throw new Error("The loss is no number");
  };
  const stepOnGpu = async () => {
    const [loss, next] = update(params, x.ref, oneHot.ref);
    params = next;
    const [value] = Array.from(await loss.data());
    for (const name of names) await params[name].ref.data();
    if (!Number.isFinite(value)) throw new Error("The loss is no number");
  };
  return repeated(backend === "wasm" ? step : stepOnGpu, () => {
    for (const used of [x, oneHot, ...names.map((name) => params[name])]) used.dispose();
  });
}

await serve({ versions: versionsOf("@jax-js/jax"), prepare });
