/**
 * The code of a Program: lowered once, and written once for all sizes that it suits. How the work is divided
 * (tiles, teams, schedules of scans, what runs together) suits the sizes for which it was decided. Sizes that are
 * much larger or smaller get another variant, which shares the pipelines of all dispatches that come out alike.
 */
import type { Program } from "../../src/program/types.ts";
import type { Bindings } from "../../src/tensor/dims.ts";
import { everyKernel, type Kernel, kernelFunctions, readsOf, writesOf } from "../lowering/kernels.ts";
import { sizesAt } from "../lowering/kinds/kind.ts";
import { lowerProgram } from "../lowering/lower.ts";
import { inParts, needParts } from "../lowering/parts.ts";
import type { Buffer, View } from "../lowering/views.ts";
import { Constants } from "./constants.ts";
import type { WebGpuDevice } from "./device.ts";
import { dispatchesOf, extentOf, sumsAlike } from "./dispatches.ts";
import { checkIterations, mostTerms } from "./iterations.ts";
import { mergeAxes } from "./merged.ts";
import { shapeFor } from "./schedule.ts";
import type { Situation } from "./work.ts";
import {
  ENTRY_POINT,
  isRepeat,
  kernelsOf,
  type Repeat,
  type Task,
  writeModule,
  type Written,
} from "./wgsl/module.ts";
import type { Locations } from "./wgsl/address.ts";
import { Table } from "./wgsl/table.ts";

/** Decisions suit sizes up to this many times, and down to this part of, those for which they were made. */
const LARGER = 3, SMALLER = 1 / 64;

/** The most variants that are kept, those used last. */
const KEPT = 16;

/** A dispatch that can run. */
export interface Ready extends Written {
  /** Its name, and that of its pipeline. */
  readonly name: string;
  readonly task: Task;
  readonly pipeline: GPUComputePipeline;
}

/** A pipeline in the making. */
interface Named {
  readonly name: string;
  readonly pipeline: Promise<GPUComputePipeline>;
}

/** Dispatches that suit some sizes. */
export interface Variant {
  /** The sizes for which it was decided. */
  readonly bindings: Bindings;
  readonly situation: Situation;
  readonly dispatches: readonly (Ready | Repeat<Ready>)[];
}

/** What was decided, before code is written. */
interface Decided extends Pick<Variant, "bindings" | "situation"> {
  readonly tasks: readonly (Task | Repeat<Task>)[];
  /** The loop iterations of each dispatch, with its first kernel. */
  readonly iterations: readonly { readonly kernel: Kernel; readonly count: number }[];
}

/** The code of a Program on a device. */
export class Code implements Disposable {
  readonly kernels: readonly Kernel[];
  readonly table = new Table();
  readonly constants: Constants;
  /** The buffers that are stored as f16. */
  readonly halves: ReadonlySet<Buffer>;
  readonly #device: WebGpuDevice;
  readonly #checks: readonly ((bindings: Bindings) => void)[];
  readonly #memory: Locations;
  /** By their code. */
  readonly #pipelines = new Map<string, Named>();
  /** How many pipelines were made. */
  #made = 0;
  /** The least recently used first. */
  readonly #variants: Variant[] = [];

  constructor(device: WebGpuDevice, program: Program) {
    const { kernels, checks } = lowerProgram(program, { columns: 1 });
    const most = mostTerms({ device: device.shape, sizes: sizesAt({}) });
    this.kernels = inParts(mergeAxes(kernels), most);
    this.#device = device;
    this.#checks = checks;
    this.constants = new Constants(device, this.kernels);
    this.halves = device.isHalf ? buffersOfSteps(this.kernels) : new Set();
    this.#memory = {
      table: this.table,
      locationOf: (buffer) => ({ in: this.halves.has(buffer) ? "halves" : "memory" }),
    };
  }

  /** Throws if the sizes of a call are such that it has no result. */
  check(bindings: Bindings): void {
    for (const check of this.#checks) check(bindings);
  }

  /** Whether a call of these sizes has sums so long that they need kernels of their own. */
  needsParts(bindings: Bindings): boolean {
    const sizes = sizesAt(bindings);
    return needParts(this.kernels, mostTerms({ device: this.#device.shape, sizes }), sizes);
  }

  /** A variant that suits these sizes. */
  variantFor(bindings: Bindings): Variant | undefined {
    const least = atLeastOne(bindings);
    const at = this.#variants.findLastIndex((variant) => this.#suits(variant, least));
    if (at < 0) return undefined;
    const [variant] = this.#variants.splice(at, 1);
    this.#variants.push(variant);
    return variant;
  }

  #suits(variant: Variant, bindings: Bindings): boolean {
    if (!isNear(variant, bindings)) return false;
    const { situation, dispatches } = variant;
    const now = { device: situation.device, sizes: sizesAt(bindings) };
    return tasksOf(dispatches).every(({ task }) =>
      sumsAlike(task, situation, now) && extentOf(task, now).iterations <= now.device.mostIterations
    );
  }

  /** The dispatches for these sizes, such as suit those `by` which all is decided that does not change results. */
  #decide(bindings: Bindings, by: Bindings): Decided {
    const sizes = sizesAt(by), exact = sizesAt(bindings);
    const { device, shape } = this.#device;
    const situation = { device: shapeFor(this.kernels, { device: shape, sizes }), sizes, exact };
    const tasks = dispatchesOf(this.kernels, {
      ...situation,
      workgroupBytes: device.limits.maxComputeWorkgroupStorageSize,
      elsewhere: (buffer) => this.halves.has(buffer),
    });
    const iterations = tasksOf(tasks).map((task) => ({
      kernel: kernelsOf(task)[0],
      count: extentOf(task, { ...situation, sizes: exact }).iterations,
    }));
    return { bindings: by, situation, tasks, iterations };
  }

  /**
   * Adds a variant for these sizes.
   *
   * @throws TooManyIterations if an invocation would need more loop iterations than the adapter allows; Error with
   * the device's message about a shader.
   */
  async add(bindings: Bindings): Promise<Variant> {
    const least = atLeastOne(bindings);
    // Near another variant, as little as possible is decided anew.
    const near = this.#variants.findLast((variant) => isNear(variant, least));
    const alike = near && this.#decide(least, near.bindings);
    const isWithin = alike?.iterations.every(({ count }) => count <= this.#device.shape.mostIterations);
    const decided = alike && isWithin ? alike : this.#decide(least, least);
    const { situation, tasks } = decided;
    for (const { kernel, count } of decided.iterations) checkIterations(kernel, count, situation.device);
    const readyFor = async (task: Task, depth: 0 | 1): Promise<Ready> => {
      const written = writeModule(task, depth, { ...situation.device, memory: this.#memory });
      const { name, pipeline } = this.#pipelineOf(written.code);
      return { ...written, name, task, pipeline: await pipeline };
    };
    const dispatches = await Promise.all(
      tasks.map(async (task) =>
        isRepeat(task)
          ? { ...task, dispatches: await Promise.all(task.dispatches.map((each) => readyFor(each, 1))) }
          : await readyFor(task, 0)
      ),
    );
    const variant: Variant = { bindings: decided.bindings, situation, dispatches };
    this.#variants.push(variant);
    if (this.#variants.length > KEPT) this.#variants.shift();
    const used = new Set(
      this.#variants.flatMap(({ dispatches }) => tasksOf(dispatches).map(({ code }) => code)),
    );
    for (const code of this.#pipelines.keys()) if (!used.has(code)) this.#pipelines.delete(code);
    return variant;
  }

  #pipelineOf(code: string): Named {
    const known = this.#pipelines.get(code);
    if (known) return known;
    const label = `dispatch_${this.#made++}`;
    const { device, name, shared: { layout } } = this.#device;
    const create = async () => {
      device.pushErrorScope("validation");
      const module = device.createShaderModule({ label, code });
      const pipeline = device.createComputePipelineAsync({
        label,
        layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
        compute: { module, entryPoint: ENTRY_POINT },
      });
      pipeline.catch(() => {}); // reported below
      const error = await device.popErrorScope();
      if (error) throw new Error(`Cannot compile for ${name}: ${error.message}\n${code}`);
      return await pipeline;
    };
    const named = { name: label, pipeline: create() };
    this.#pipelines.set(code, named);
    named.pipeline.catch(() => this.#pipelines.delete(code));
    return named;
  }

  [Symbol.dispose](): void {
    this.constants[Symbol.dispose]();
    this.#pipelines.clear();
    this.#variants.length = 0;
  }
}

/** Whether what was decided for a variant suits these sizes too. */
function isNear({ bindings: before }: Variant, bindings: Bindings): boolean {
  return Object.entries(bindings).every(([name, size]) =>
    size <= before[name] * LARGER && size >= before[name] * SMALLER
  );
}

/** Sizes for which decisions are made: without any work there is nothing to divide. */
function atLeastOne(bindings: Bindings): Bindings {
  return Object.fromEntries(Object.entries(bindings).map(([name, size]) => [name, Math.max(1, size)]));
}

/** All dispatches, each once. */
export function tasksOf<Each extends object>(dispatches: readonly (Each | Repeat<Each>)[]): readonly Each[] {
  return dispatches.flatMap((each) => isRepeat(each) ? each.dispatches : [each]);
}

/** Every buffer that dispatches touch. */
export function buffersIn(each: Ready | Repeat<Ready>): Buffer[] {
  const tasks = isRepeat(each) ? each.dispatches : [each];
  return tasks.flatMap(({ task }) => kernelsOf(task).flatMap(kernelFunctions.buffersOf));
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
