/**
 * Where the time of a step on WebGPU goes, by dispatch, and that of the first call. A dispatch is timed by
 * repeating it many times in one pass: a single one takes less time than reading a result.
 */
import type { Tensor } from "@cellfold/cellfold";
import { createWebGpu } from "../kernels/webgpu/mod.ts";
import { host } from "../src/tensor/tensor.ts";
import { programOf } from "./cellfold/program.ts";
import { adapterLine, machineLine } from "./support/machine.ts";
import { median } from "./support/statistics.ts";
import { smallTask } from "./support/tasks.ts";
import type { Workload } from "./workloads.ts";

/** How often a dispatch is repeated, how many such steps are timed for each, and how many steps warm up. */
const REPEATS = 50, STEPS = 5, WARM_UPS = 10;

/**
 * The table of a workload that trains or predicts. The first call compiles the shaders unless the driver has
 * cached them: set `MESA_SHADER_CACHE_DISABLE=true` to disable Mesa's cache.
 *
 * @throws RangeError for another workload.
 */
export async function profileDispatches(
  workload: Workload | undefined,
  { small }: { readonly small: boolean },
): Promise<string> {
  const task = workload && (small ? smallTask(workload.task) : workload.task);
  if (!task || (task.kind !== "train" && task.kind !== "predict")) {
    throw new RangeError(`Cannot profile ${workload?.name}: expected a workload that trains or predicts`);
  }
  const heading = [await machineLine(), await adapterLine()];
  const [{ program, inputs }, tracing] = await timed(() => Promise.resolve(programOf(task)));
  const [executable, opening] = await timed(() =>
    createWebGpu().compile(program, {
      donate: inputs.map(() => false),
      keep: program.outputs.map((_, index) => index > 0),
    })
  );
  using _ = executable;
  const step = async () => {
    for (const output of await executable.run(inputs.map(host))) {
      if (output.kind === "device") (output as Tensor & Disposable)[Symbol.dispose](); // a backend's own tensor
    }
  };
  const watched = watch();
  const [, first] = await timed(step);
  const compiling = watched.untilFirst();
  for (let time = 0; time < WARM_UPS; time++) await step();
  const names = watched.names();
  const once = await times(step);
  const each: number[] = [];
  for (const [index] of names.entries()) {
    watched.repeat(index);
    each.push((await times(step) - once) / (REPEATS - 1));
  }
  watched.stop();
  const lines = executable.describe().split("\n");
  const about = (name: string) => lines.find((line) => line.trim().startsWith(`${name}: `))?.trim() ?? name;
  const number = (milliseconds: number) => milliseconds.toFixed(2).padStart(10);
  return [
    ...heading,
    `${workload?.name}; a step of ${names.length} dispatches, each done ${REPEATS} times in a pass`,
    "",
    "        ms  dispatch",
    ...names.map((name, index) => `${number(each[index])}  ${about(name)}`),
    `${number(each.reduce((sum, time) => sum + time, 0))}  all of them`,
    `${number(once)}  a step from the host to the host`,
    "",
    "        ms  of the first call",
    `${number(tracing)}  tracing and transforming`,
    `${number(opening)}  opening the device`,
    `${number(compiling)}  lowering, writing WGSL and making pipelines`,
    `${number(first - compiling)}  the first step, where llvmpipe compiles`,
  ].join("\n");
}

async function timed<Result>(work: () => Promise<Result>): Promise<[Result, number]> {
  const start = performance.now();
  const result = await work();
  return [result, performance.now() - start];
}

async function times(step: () => Promise<void>): Promise<number> {
  const all: number[] = [];
  for (let time = 0; time < STEPS; time++) all.push((await timed(step))[1]);
  return median(all);
}

/** Watches the passes of a device, and repeats one dispatch of each on request. */
function watch() {
  const { setPipeline, dispatchWorkgroups } = GPUComputePassEncoder.prototype;
  const { beginComputePass } = GPUCommandEncoder.prototype;
  const began = performance.now();
  let names: string[] = [], latest = "", repeated = -1, passBegan: number | undefined;
  GPUCommandEncoder.prototype.beginComputePass = function (...args) {
    passBegan ??= performance.now();
    names = [];
    return beginComputePass.apply(this, args);
  };
  GPUComputePassEncoder.prototype.setPipeline = function (pipeline) {
    latest = pipeline.label;
    return setPipeline.call(this, pipeline);
  };
  GPUComputePassEncoder.prototype.dispatchWorkgroups = function (...args) {
    for (let time = names.length === repeated ? REPEATS : 1; time > 0; time--) {
      dispatchWorkgroups.apply(this, args);
    }
    names.push(latest);
  };
  return {
    /** The entry points of the last pass. */
    names: (): readonly string[] => names,
    /** Milliseconds until the first pass began. */
    untilFirst: () => (passBegan ?? began) - began,
    repeat: (index: number) => {
      repeated = index;
    },
    stop: () => {
      Object.assign(GPUComputePassEncoder.prototype, { setPipeline, dispatchWorkgroups });
      Object.assign(GPUCommandEncoder.prototype, { beginComputePass });
    },
  };
}
