/** Training on WebGPU: as on wasm step by step, in few dispatches, and in memory that does not grow. */
import { assert, assertEquals } from "@std/assert";
import {
  batchNormalization,
  createTrainer,
  dense,
  type Device,
  host,
  init,
  item,
  key,
  lstm,
  normal,
  sequential,
  tensor,
  toHost,
} from "../../../mod.ts";
import { createWebGpu } from "../../../kernels/webgpu/mod.ts";
import { disposeTree } from "../../../src/training/dispose.ts";

const ignore = !await createWebGpu().available();

const [BATCH, TIME, FEATURES, UNITS] = [16, 9, 5, 12];
const model = sequential([lstm({ units: UNITS }), batchNormalization(), dense({ units: 4 })]);
const data = {
  x: host(normal(key(1), [BATCH, TIME, FEATURES])),
  y: tensor(Array.from({ length: BATCH }, (_, i) => i % 4), { dtype: "int32" }),
};

/** The losses of so many steps on one batch, what `explain` says, and bytes in use after the first and last step. */
async function train(device: Device, steps: number) {
  using trainer = createTrainer(model, {
    loss: "sparseCategoricalCrossentropy",
    optimizer: "adam",
    metrics: ["accuracy"],
    device,
  });
  const variables = init(model, key(0), data.x);
  const session = trainer.session("train", variables, data);
  const step = session.train();
  let { params, state } = variables;
  let optimizerState = trainer.initOptimizer(variables);
  let metrics = session.objective.initState();
  const losses: number[] = [];
  const used: string[] = [];
  for (let number = 0; number < steps; number++) {
    const result = await step(
      params,
      state,
      optimizerState,
      metrics,
      key(0),
      data,
    );
    [params, state, optimizerState, metrics] = result;
    losses.push(item(await toHost(result[4])));
    disposeTree(result[4]);
    if (number === 0 || number === steps - 1) {
      used.push(step.explain().match(/\d+ bytes of its memory/)?.[0] ?? "");
    }
  }
  const report = step.explain();
  disposeTree([params, state, optimizerState, metrics]);
  return { losses, report, used };
}

Deno.test({
  name:
    "50 steps of training on webgpu have the losses of wasm, in at most 24 dispatches and constant memory",
  ignore,
  // A device outlives a test.
  sanitizeResources: false,
  sanitizeOps: false,
  async fn() {
    const [wasm, webgpu] = [await train("wasm", 50), await train("webgpu", 50)];
    wasm.losses.forEach((loss, step) =>
      assert(
        Math.abs(loss - webgpu.losses[step]) < 1e-4,
        `step ${step}: ${webgpu.losses[step]}, on wasm ${loss}`,
      )
    );
    assert(wasm.losses[49] < wasm.losses[0]);
    assertEquals(webgpu.used[0], webgpu.used[1]);
    const [, dispatches] = webgpu.report.match(/: (\d+) dispatches/) ?? [];
    assert(Number(dispatches) <= 24, `${dispatches} dispatches`);
  },
});
