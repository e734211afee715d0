/**
 * A Program compiled for one set of sizes: its kernels, their schedule, the shader module, and the memory
 * layout.
 */
import type { Program } from "../../src/program/types.ts";
import { type Bindings, evaluateShape } from "../../src/tensor/dims.ts";
import { DeviceOutOfMemory } from "../backend.ts";
import { type Arena, planArena } from "../lowering/arena.ts";
import { keyOf } from "../bind_inputs.ts";
import {
  everyKernel,
  type Kernel,
  kernelFunctions,
  printKernel,
  readsOf,
  writesOf,
} from "../lowering/kernels.ts";
import { lowerProgram } from "../lowering/lower.ts";
import { inParts } from "../lowering/parts.ts";
import type { Buffer, View } from "../lowering/views.ts";
import type { WebGpuDevice } from "./device.ts";
import type { DeviceShape } from "./device_shape.ts";
import { dispatchesOf } from "./dispatches.ts";
import { mostTerms } from "./iterations.ts";
import { scheduleOf, shapeFor } from "./schedule.ts";
import { type Locations, slotBytes } from "./wgsl/address.ts";
import {
  type Dispatch,
  isRepeat,
  kernelsOf,
  localWordsOf,
  type Repeat,
  stepsOf,
  stride,
  writeModule,
} from "./wgsl/module.ts";
import { sizeOf } from "../shapes.ts";

/** Bytes between the indices of steps in their buffer: the largest alignment that an adapter may require. */
export const STEP_BYTES = 256;

/** The Program compiled for one set of sizes. */
export interface CompiledWebGpu {
  readonly kernels: readonly Kernel[];
  /** The device's shape for these kernels. */
  readonly shape: DeviceShape;
  readonly code: string;
  readonly dispatches: readonly (Dispatch | Repeat<Dispatch>)[];
  readonly pipelines: ReadonlyMap<Dispatch, GPUComputePipeline>;
  readonly layout: GPUBindGroupLayout;
  readonly arena: Arena;
  readonly arenaAddress: number;
  readonly buffers: {
    /** The words at which the inputs, then the outputs, begin. */
    readonly slots: GPUBuffer;
    /** The indices of steps, if scans run step by step. */
    readonly steps?: GPUBuffer;
    /** The values stored as f16. */
    readonly halves?: GPUBuffer;
  };
  readonly outputs: readonly { readonly shape: readonly number[]; readonly size: number }[];
  /** Whether its memory was released. */
  dropped: boolean;
  /** The bind group, and the memory it binds. */
  bound: { readonly memory: GPUBuffer; readonly group: GPUBindGroup } | undefined;
}

/**
 * Compiles a Program for these sizes.
 *
 * @throws Error with the device's message about a shader; RangeError if the device does not have enough
 * memory.
 */
export async function compileFor(
  webgpu: WebGpuDevice,
  program: Program,
  bindings: Bindings,
): Promise<CompiledWebGpu> {
  const { device, name, isHalf } = webgpu;
  const { inputs, outputs } = program;
  const slots = inputs.length + outputs.length;
  webgpu.check();
  const kernels = inParts(
    lowerProgram(program, { bindings, columns: 1 }),
    mostTerms(webgpu.shape),
  );
  const shape = shapeFor(kernels, webgpu.shape);
  const halves = isHalf ? buffersOfSteps(kernels) : new Set<Buffer>();
  const arena = planArena(kernels, kernelFunctions, { only: (buffer) => !halves.has(buffer) });
  const halfArena = planArena(kernels, kernelFunctions, {
    only: (buffer) => halves.has(buffer),
    elementBytes: 2,
  });
  webgpu.checkBuffer(halfArena.bytes, () => largest(halfArena));
  const arenaAddress = await webgpu.withRoom(() => webgpu.allocate(arena.bytes, () => largest(arena)));
  const created: GPUBuffer[] = [];
  const create = (label: string, size: number, usage: number): GPUBuffer => {
    const buffer = device.createBuffer({ label, size, usage: GPUBufferUsage.COPY_DST | usage });
    created.push(buffer);
    return buffer;
  };
  try {
    const locationOf: Locations["locationOf"] = (buffer) => {
      const { storage } = buffer;
      if (storage.kind === "input") return { in: "slot", index: storage.index };
      if (storage.kind === "output") return { in: "slot", index: inputs.length + storage.index };
      if (halves.has(buffer)) return { in: "halves", at: placed(halfArena, buffer) / 2 };
      return { in: "memory", word: (arenaAddress + placed(arena, buffer)) / 4 };
    };
    const tasks = dispatchesOf(kernels, {
      device: shape,
      workgroupBytes: device.limits.maxComputeWorkgroupStorageSize,
      elsewhere: (buffer) => locationOf(buffer).in !== "memory",
    });
    const { code, dispatches } = writeModule(tasks, {
      ...shape,
      locations: { locationOf },
      slots,
      halves: halves.size > 0,
      title: `A Program of ${program.equations.length} equations for ${keyOf(bindings) || "fixed sizes"}`,
    });
    for (const buffer of arena.constants) {
      if (buffer.storage.kind === "constant") {
        webgpu.write(arenaAddress + placed(arena, buffer), buffer.storage.value);
      }
    }
    const steps = dispatches.map(stepsOf).filter((count) => count !== undefined);
    device.pushErrorScope("out-of-memory");
    const buffers = {
      slots: create("slots", slotBytes(slots), GPUBufferUsage.UNIFORM),
      ...(steps.length > 0 && {
        steps: create("steps", STEP_BYTES * Math.max(1, ...steps), GPUBufferUsage.UNIFORM),
      }),
      ...(halves.size > 0 && {
        halves: create("halves", Math.max(4, Math.ceil(halfArena.bytes / 4) * 4), GPUBufferUsage.STORAGE),
      }),
    };
    const scarce = device.popErrorScope().catch(() => null); // a lost device has no errors
    if (buffers.steps) {
      const indices = new Int32Array(buffers.steps.size / 4);
      for (let step = 0; step < Math.max(...steps); step++) indices[step * STEP_BYTES / 4] = step;
      device.queue.writeBuffer(buffers.steps, 0, indices);
    }
    device.pushErrorScope("validation");
    const { layout, pipelines } = createPipelines(device, name, code, dispatches, buffers);
    pipelines.catch(() => {}); // reported below
    const error = await device.popErrorScope();
    if (error) throw new Error(`Cannot compile for ${name}: ${error.message}\n${code}`);
    const missing = await scarce;
    if (missing) throw new DeviceOutOfMemory(`Cannot allocate memory on ${name}: ${missing.message}`);
    return {
      kernels,
      shape,
      code,
      dispatches,
      pipelines: await pipelines,
      layout,
      arena,
      arenaAddress,
      buffers,
      outputs: outputs.map(({ shape }) => {
        const concrete = evaluateShape(shape, bindings);
        return { shape: concrete, size: sizeOf(concrete) };
      }),
      dropped: false,
      bound: undefined,
    };
  } catch (error) {
    webgpu.free(arenaAddress);
    for (const buffer of created) buffer.destroy();
    throw error;
  }
}

/** What was compiled, for people to read. */
export function describeCompiled(key: string, compiled: CompiledWebGpu): string {
  const { kernels, shape, code, dispatches, arena } = compiled;
  const count = dispatches.reduce(
    (sum, each) =>
      sum +
      (isRepeat(each)
        ? each.scan.length * each.dispatches.length
        : Math.ceil((stepsOf(each) ?? 1) / stride(each))),
    0,
  );
  return [
    `for ${
      key || "these sizes"
    }: ${count} dispatches, ${code.length} characters of WGSL, ${arena.bytes} bytes planned`,
    ...dispatches.flatMap((each) => describeDispatch(each, shape)),
    ...kernels.flatMap((kernel) => printKernel(kernel, "  ")),
    code,
  ].join("\n");
}

function describeDispatch(each: Dispatch | Repeat<Dispatch>, shape: DeviceShape): string[] {
  const line = ({ entryPoint, workgroups, task, subgroups }: Dispatch) => {
    const bytes = 4 * localWordsOf(task);
    return `${entryPoint}: ${workgroups} workgroups, ${kernelsOf(task).length} kernels` +
      (bytes > 0 ? `, ${bytes} bytes of their memory` : "") +
      (subgroups ? ", reductions by subgroups" : "");
  };
  const why = (scan: Kernel, way: string) =>
    scan.kind === "scan" ? `; by ${way}: ${scheduleOf(scan, shape).why}` : "";
  if (isRepeat(each)) {
    return [
      `  ${each.scan.length} times${why(each.scan, each.kind)}`,
      ...each.dispatches.map((inner) => `    ${line(inner)}`),
    ];
  }
  const [first, ...more] = kernelsOf(each.task);
  return [`  ${line(each)}${more.length === 0 ? why(first, each.task.kind) : ""}`];
}

/** Where a buffer lies in an arena, in bytes. */
function placed({ offsets }: Arena, buffer: Buffer): number {
  const offset = offsets.get(buffer);
  if (offset === undefined) throw new Error(`The buffer of ${buffer.name} has no place in the arena`);
  return offset;
}

/** What takes the most space in an arena, and how to reduce it. */
function largest({ offsets, bytes }: Arena): string {
  const names = [...offsets.keys()].sort((a, b) => b.size - a.size).slice(0, 3).map(({ name, size }) =>
    `${name} (${4 * size} bytes)`
  );
  return `the plan takes ${bytes} bytes, most of them ${names.join(", ")}; ` +
    `a smaller batch, a shorter sequence or checkpointEvery takes less`;
}

/**
 * The buffers that hold a value for every step of a scan. A carry is not one of them, even if another scan
 * reads it at every step.
 */
function buffersOfSteps(kernels: readonly Kernel[]): Set<Buffer> {
  const views = kernels.flatMap((kernel) => [...readsOf(kernel), ...writesOf(kernel)]);
  const moves = ({ loops }: View) => loops.some(({ stride }) => stride !== 0);
  const found = new Set(
    views.filter((view) => moves(view) && view.dtype === "float32" && view.buffer.storage.kind === "arena")
      .map(({ buffer }) => buffer),
  );
  for (const { kernel: scan } of everyKernel(kernels)) {
    if (scan.kind !== "scan") continue;
    const read = new Set(readsOf(scan).filter((view) => !moves(view)).map(({ buffer }) => buffer));
    for (const view of writesOf(scan)) if (!moves(view) && read.has(view.buffer)) found.delete(view.buffer);
  }
  return found;
}

/** The pipelines of all dispatches, and their bindings. */
function createPipelines(
  device: GPUDevice,
  label: string,
  code: string,
  dispatches: readonly (Dispatch | Repeat<Dispatch>)[],
  { steps, halves }: CompiledWebGpu["buffers"],
): { readonly layout: GPUBindGroupLayout; readonly pipelines: Promise<Map<Dispatch, GPUComputePipeline>> } {
  const module = device.createShaderModule({ label, code });
  const visibility = GPUShaderStage.COMPUTE;
  const layout = device.createBindGroupLayout({
    entries: [
      { binding: 0, visibility, buffer: { type: "storage" } },
      { binding: 1, visibility, buffer: { type: "uniform" } },
      ...(steps
        ? [{ binding: 2, visibility, buffer: { type: "uniform", hasDynamicOffset: true } } as const]
        : []),
      ...(halves ? [{ binding: 3, visibility, buffer: { type: "storage" } } as const] : []),
    ],
  });
  const pipelineLayout = device.createPipelineLayout({ bindGroupLayouts: [layout] });
  const all = dispatches.flatMap((each) => isRepeat(each) ? each.dispatches : [each]);
  const pipelines = Promise.all(all.map(async (dispatch) => {
    const { entryPoint } = dispatch;
    const compute = { module, entryPoint };
    const pipeline = await device.createComputePipelineAsync({
      label: entryPoint,
      layout: pipelineLayout,
      compute,
    });
    return [dispatch, pipeline] as const;
  }));
  return { layout, pipelines: pipelines.then((entries) => new Map(entries)) };
}
