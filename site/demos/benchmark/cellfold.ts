/** This library as a subject of the benchmark. */
import {
  createTrainer,
  type HostTensor,
  sgd,
  type Tensor,
  toHost,
  type TrainingState,
  type Tree,
} from "@cellfold/cellfold";
import house from "../../../deno.json" with { type: "json" };
import { type Given, LEARNING_RATE, type Subject, type Trial } from "./workloads.ts";

/** This library on a device; on wasm with one thread, as the others have. */
export function cellfold(device: "wasm" | "webgpu"): Subject {
  return {
    name: `Cellfold ${house.version}`,
    device: device === "wasm" ? "WebAssembly" : "WebGPU",
    can: () => true,
    prepare: (given) => prepare(given, device),
  };
}

async function prepare(
  { workload, model, variables, x, y }: Given,
  device: "wasm" | "webgpu",
): Promise<Trial> {
  const trainer = createTrainer(model, {
    device: device === "wasm" ? { name: "wasm", threads: 1 } : device,
    ...(workload.kind === "train" && {
      loss: "sparseCategoricalCrossentropy",
      optimizer: sgd({ learningRate: LEARNING_RATE }),
    }),
  });
  const valuesOf = async (output: Tree<Tensor>) => (await toHost(output) as HostTensor).data; // one output
  const dispose = () => trainer[Symbol.dispose]();
  if (workload.kind === "predict") {
    const uploaded = await trainer.upload(variables);
    const step = async () => await valuesOf(await trainer.predictOnBatch(uploaded, x));
    return { check: step, step, [Symbol.dispose]: dispose };
  }
  let state: TrainingState = { variables };
  const step = async () => {
    const next = await trainer.trainOnBatch(state, { x, y });
    state = next;
    return next.logs.loss;
  };
  const check =
    async () => [await step(), ...await valuesOf(await trainer.predictOnBatch(state.variables, x))];
  return { check, step, [Symbol.dispose]: dispose };
}
