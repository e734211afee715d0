/** The WebGPU device: live buffers, errors, loss, limits. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  compile,
  createTrainer,
  dense,
  DeviceLostError,
  fit,
  host,
  type HostTensor,
  init,
  item,
  key,
  lstm,
  normal,
  predict,
  sequential,
  sum,
  type Tensor,
  tensor,
  toHost,
  treeLeaves,
} from "../../../mod.ts";
import { createWebGpu } from "../../../kernels/webgpu/mod.ts";
import { disposeTree } from "../../../src/training/dispose.ts";
import { eventually } from "../../support/eventually.ts";

const ignore = !await createWebGpu().available();
/** A device outlives a test. */
const options = { ignore, sanitizeOps: false, sanitizeResources: false };

const model = sequential([lstm({ units: 6 }), dense({ units: 3 })]);
const data = {
  x: host(normal(key(1), [8, 5, 4])),
  y: tensor([0, 1, 2, 0, 1, 2, 0, 1], { dtype: "int32" }),
};
const objective = { loss: "sparseCategoricalCrossentropy", optimizer: "adam" } as const;

/** Counts the buffers that live while `run` runs; gives a function that tells how many do. */
async function countingBuffers(run: (live: () => number) => Promise<void>): Promise<void> {
  const live = new Set<GPUBuffer>();
  const { createBuffer } = GPUDevice.prototype, { destroy } = GPUBuffer.prototype;
  GPUDevice.prototype.createBuffer = function (descriptor) {
    const buffer = createBuffer.call(this, descriptor);
    live.add(buffer);
    return buffer;
  };
  GPUBuffer.prototype.destroy = function () {
    live.delete(this);
    return destroy.call(this);
  };
  try {
    await run(() => live.size);
  } finally {
    GPUDevice.prototype.createBuffer = createBuffer;
    GPUBuffer.prototype.destroy = destroy;
  }
}

/** The devices that are opened while `run` runs. */
async function capturingDevices(run: (devices: readonly GPUDevice[]) => Promise<void>): Promise<void> {
  const devices: GPUDevice[] = [];
  const { requestDevice } = GPUAdapter.prototype;
  GPUAdapter.prototype.requestDevice = async function (descriptor) {
    const device = await requestDevice.call(this, descriptor);
    devices.push(device);
    return device;
  };
  try {
    await run(devices);
  } finally {
    GPUAdapter.prototype.requestDevice = requestDevice;
  }
}

Deno.test(
  "2,000 train steps leave the number of live GPU buffers constant, and disposing leaves none",
  options,
  async () => {
    // A device of its own: others may hold buffers.
    const device = { name: "webgpu", schedule: "rows" } as const;
    await countingBuffers(async (live) => {
      const trainer = createTrainer(model, { ...objective, device });
      const variables = init(model, key(0), data.x);
      const session = trainer.session("train", variables, data);
      const train = session.train();
      let [params, state] = [variables.params, variables.state];
      let optimizerState = trainer.initOptimizer(variables);
      let metrics = session.objective.initState();
      const counts = new Set<number>();
      for (let step = 0; step < 2000; step++) {
        const result = await train(params, state, optimizerState, metrics, key(0), data);
        [params, state, optimizerState, metrics] = result;
        // The loss is read now and then, as by fit.
        if (step % 100 === 99) assert(Number.isFinite(item(await toHost(result[4]))));
        disposeTree(result[4]);
        if (step >= 100) counts.add(live()); // what the first read went through is kept for the next ones
      }
      assertEquals(counts.size, 1, `${[...counts]} buffers`);
      disposeTree([params, state, optimizerState, metrics]);
      trainer[Symbol.dispose]();
      assertEquals(await eventually(live, 0), 0);
    });
  },
);

Deno.test(
  "fit tells that its device was lost, and goes on from the weights in the error on another",
  options,
  async () => {
    const device = { name: "webgpu", schedule: "steps" } as const;
    await capturingDevices(async (devices) => {
      const variables = init(model, key(0), data.x);
      let batches = 0;
      const lost = await assertRejects(
        () =>
          fit(model, variables, data, {
            ...objective,
            device,
            epochs: 60,
            batchSize: 8,
            report: "none",
            callbacks: [{ onEpochEnd: () => void (++batches === 40 && devices.at(-1)?.destroy()) }],
          }),
        DeviceLostError,
        "it was lost",
      );
      assertEquals(lost.history.loss.length >= 40, true);
      const weights = (tree: typeof variables) =>
        treeLeaves<HostTensor>(tree.params).flatMap(({ data }) => [...data]);
      assert(weights(variables).join() !== weights(lost.variables).join());
      const { history } = await fit(model, lost.variables, data, {
        ...objective,
        device: "wasm",
        epochs: 3,
        report: "none",
      });
      assert(history.loss[2] < lost.history.loss[0]);
      // A device that is opened anew computes again.
      const again = await predict(model, lost.variables, data.x, { device });
      const expected = await predict(model, lost.variables, data.x, { device: "wasm" });
      host(again).data.forEach((value, index) => assert(Math.abs(value - host(expected).data[index]) < 1e-4));
    });
  },
);

Deno.test(
  "what is larger than the adapter's memory is refused by the name of the limit",
  options,
  async () => {
    const total = compile((k: Tensor) => sum(normal(k, [1 << 15, 1 << 15])), { device: "webgpu" });
    const error = await assertRejects(() => total(key(0)), RangeError);
    assert(
      /the adapter's max(BufferSize|StorageBufferBindingSize) of \d+/.test(error.message),
      error.message,
    );
    assert(error.message.includes("checkpointEvery"), error.message);
    total[Symbol.dispose]();
  },
);
