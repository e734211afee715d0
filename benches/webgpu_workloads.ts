/** What `deno task bench --backend webgpu` measures: on any adapter, and what requires a GPU. */
import type { Peer } from "./support/measurements.ts";
import type { Target } from "./support/targets.ts";
import type { ModelTask } from "./support/tasks.ts";
import { GUIDE, LONG, newPair, type Workload } from "./workloads.ts";

const LARGE = { cell: "lstm", batch: 64, time: 200, features: 256, units: 1024 } as const;

const peer = (peer: Peer, mustReach: number): Target => ({ kind: "peer", peer, mustReach });

/** A workload for any adapter; its figures compared with peers differ between a CPU and a GPU. */
function workload(
  name: string,
  measures: string,
  task: ModelTask,
  peers: readonly Peer[],
  targets: readonly Target[],
): Workload {
  return { name, measures, task, threads: 2, peers, targets };
}

/** On an adapter that computes on the CPU. */
const anywhere: readonly Workload[] = [
  workload(
    "webgpu/guide-predict",
    "the guide's model, a prediction for a batch of 64, from the host to the host",
    { kind: "predict", ...GUIDE },
    ["onnxruntime-webgpu", "tfjs-webgpu"],
    [peer("onnxruntime-webgpu", 0.4)],
  ),
  workload(
    "webgpu/long-predict",
    "an LSTM of 256 units over 100 steps of 128, a prediction for a batch of 64",
    { kind: "predict", ...LONG },
    ["onnxruntime-webgpu"],
    [peer("onnxruntime-webgpu", 0.4)],
  ),
  workload(
    "webgpu/guide-train",
    "a step of fit on the guide's model; batch 64",
    { kind: "train", ...GUIDE },
    ["tfjs-webgpu", "jax-js-webgpu"],
    [peer("tfjs-webgpu", 1 / 5), peer("jax-js-webgpu", 1 / 3)],
  ),
  {
    ...workload(
      "webgpu/own-lstm-train",
      "webgpu/guide-train with an LSTM that a user wrote, gate by gate",
      { kind: "train", ...GUIDE, variant: "own-cell" },
      [],
      [],
    ),
    targets: [{ kind: "workload", workload: "webgpu/guide-train", mustReach: 1.1 }],
  },
  {
    name: "webgpu/first-call",
    measures: "the first call of webgpu/guide-train, shaders compiled; each run in a fresh process",
    task: { ...GUIDE, kind: "firstCall" },
    threads: 2,
    peers: [],
    freshProcess: true,
    targets: [
      { kind: "time", mustReach: 1000 },
      { kind: "value", value: "dispatches", unit: "a step", mustReach: 24 },
    ],
  },
  newPair("life/webgpu-new-pair", 5),
];

/** On a GPU. */
const onGpu: readonly Workload[] = [
  workload(
    "gpu/guide-train",
    "a step of fit on the guide's model; batch 64",
    { kind: "train", ...GUIDE },
    ["pytorch-gpu", "jax-gpu"],
    [peer("pytorch-gpu", 1.5)],
  ),
  workload(
    "gpu/large-train",
    "a step of fit: LSTM of 1,024 units over 200 steps of 256; batch 64",
    { kind: "train", ...LARGE },
    ["pytorch-gpu", "jax-gpu"],
    [peer("pytorch-gpu", 3)],
  ),
  {
    name: "gpu/epoch",
    measures: "an epoch of fit over 60,000 digits, validated on 10,000",
    task: { ...GUIDE, kind: "epoch", samples: 60_000, validation: 10_000 },
    threads: 2,
    peers: [],
    runs: 3,
    targets: [{ kind: "time", mustReach: 1000 }],
  },
];

/** The workloads of the backend webgpu. */
export const webGpuWorkloads: readonly Workload[] = [...anywhere, ...onGpu];

/**
 * Those among them that this machine's adapter can finish in reasonable time; undefined without an adapter.
 */
export async function workloadsForAdapter(): Promise<readonly Workload[] | undefined> {
  const adapter = await navigator.gpu?.requestAdapter();
  if (!adapter) return undefined;
  const { isSoftwareAdapter } = await import("../kernels/webgpu/adapter.ts");
  return isSoftwareAdapter(adapter) ? anywhere : webGpuWorkloads;
}
