/**
 * The module of an executable: one small function per kernel, the functions of the matrix product, and `run`,
 * which calls them in order. For one thread it is `run(changed)`. For more it is
 * `run(thread, mine, phase, changed)`, and each kernel that threads share is a phase (`../phases.ts`). What
 * is packed once is repacked only if `changed` is not 0.
 */
import { type FunctionBuilder, i32, type Local, ModuleBuilder } from "../assembler.ts";
import type { Features } from "../features.ts";
import { wasmFunctions, type WasmKernel } from "../kernels.ts";
import { emissionOf } from "../kinds.ts";
import { addMatmul } from "../matmul/mod.ts";
import { addPhases } from "../phases.ts";
import { type Partition, partitionOf, WORTH_SHARING } from "../partition.ts";
import { mayWait } from "../threads.ts";
import { type Addresses, kernelParams } from "./address.ts";
import type { Emission, Inside } from "./kind.ts";

/** The options for emitting a module. */
export interface EmitOptions {
  readonly features: Features;
  readonly addresses: Addresses;
  readonly limits: { readonly minimum: number; readonly maximum: number; readonly shared: boolean };
  /** Byte address of the words of phases; absent for one thread. */
  readonly phasesAddress?: number;
  /** How many shares a shared kernel has. Results depend on it, as sums are put together from shares. */
  readonly threads: number;
  /** Elements from which a kernel is shared among threads; default {@linkcode WORTH_SHARING}. */
  readonly shareFrom?: number;
  /**
   * Whether the module imports `profile.mark(kernel)` and calls it with the number of each kernel as soon as
   * that has run; default: it does not.
   */
  readonly marks?: boolean;
}

/** An emitted module. */
export interface Emitted {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Name and code size in bytes of every function, for reports. */
  readonly functions: readonly { readonly name: string; readonly bytes: number }[];
  /** The name of each kernel's function, in the order of the numbers passed to `profile.mark`. */
  readonly kernels: ReadonlyMap<WasmKernel, string>;
}

/** Emits the module of these kernels. */
export function emitModule(kernels: readonly WasmKernel[], options: EmitOptions): Emitted {
  const module = new ModuleBuilder(options.limits);
  const shareGlobal = module.addGlobal();
  const mark = options.marks ? module.importFunction("profile", "mark", [i32], []) : undefined;
  const { shareFrom = WORTH_SHARING } = options;
  const emitter: Emitter = {
    module,
    matmul: addMatmul(module, options.features),
    addresses: options.addresses,
    features: options.features,
    threads: options.threads,
    partitionOf: (kernel) => partitionOf(kernel, shareFrom),
    names: new Map(),
    kernels: new Map(),
    share: shareGlobal,
    mark: (f, kernel) => {
      if (mark) f.i32([...emitter.kernels.keys()].indexOf(kernel)).call(mark);
    },
  };
  const steps = kernels.map((kernel): Step => ({
    kernel,
    called: emitKernel(kernel, 0, emitter),
    partition: emitter.partitionOf(kernel),
  }));

  const { phasesAddress, threads } = options;
  const isShared = phasesAddress !== undefined;
  const changed = isShared ? 3 : 0;
  const run = module.addFunction("run", isShared ? [i32, i32, i32, i32] : [i32], isShared ? [i32] : []);
  const part = run.local(i32); // one for all kernels, as the number of locals is limited
  const call = ({ kernel, called }: Step, pushUnits: () => void) => {
    pushUnits();
    run.call(called);
    emitter.mark(run, kernel);
  };
  const isOnce = ({ kernel }: Step) => wasmFunctions.keptBy(kernel).length > 0;
  const when = (isOnce: boolean, write: () => void) => isOnce ? run.get(changed).if(write) : write();
  if (isShared) {
    // The thread that emits is the one that calls; in a page it may not block.
    const phases = addPhases(module, { address: phasesAddress, shares: threads, mayWait: mayWait() })(run);
    const writePhase = (group: readonly Step[], write: (step: Step, claimed: Local) => void) =>
      phases.phase(group[0].partition.singleThreaded ? "single" : "shared", (claimed) => {
        run.get(claimed).setGlobal(shareGlobal);
        for (const step of group) write(step, claimed);
      });
    for (const group of phasesOf(steps)) {
      if (group[0].partition.singleThreaded) {
        writePhase(
          group,
          (step) => when(isOnce(step), () => call(step, () => run.i32(0).i32(step.partition.units))),
        );
        continue;
      }
      // If a phase is skipped, all threads skip it, as they have the same arguments.
      when(isOnce(group[0]), () =>
        writePhase(group, (step, claimed) =>
          call(step, () => {
            pushPart(run, claimed, threads, step.partition, 0, part);
            pushPart(run, claimed, threads, step.partition, 1, part);
          })));
    }
    run.i32(0);
  } else {
    for (const step of steps) {
      when(isOnce(step), () => call(step, () => run.i32(0).i32(step.partition.units)));
    }
  }
  module.export(run);
  return {
    bytes: module.encode(),
    functions: module.functions.map(({ name, code }) => ({ name, bytes: code.length })),
    kernels: emitter.kernels,
  };
}

/** A kernel of the module. */
interface Step {
  readonly kernel: WasmKernel;
  readonly called: FunctionBuilder;
  readonly partition: Partition;
}

/** The kernels of each phase: consecutive kernels that one thread does alone form one phase. */
function phasesOf(steps: readonly Step[]): Step[][] {
  const phases: Step[][] = [];
  for (const step of steps) {
    const last = phases.at(-1);
    if (last && step.partition.singleThreaded && last[0].partition.singleThreaded) last.push(step);
    else phases.push([step]);
  }
  return phases;
}

/** Pushes `min(units, ceil(units / grain / threads) · grain · (claimed + next))`. */
function pushPart(
  f: FunctionBuilder,
  claimed: Local,
  threads: number,
  { units, grain }: Partition,
  next: 0 | 1,
  part: Local,
): void {
  const size = Math.ceil(Math.ceil(units / grain) / threads) * grain;
  f.get(claimed).i32(next).op("i32.add").i32(size).op("i32.mul").set(part);
  f.get(part).i32(units).get(part).i32(units).op("i32.lt_s").op("select");
}

interface Emitter extends Omit<Emission, "depth" | "inside"> {
  readonly module: ModuleBuilder;
  readonly partitionOf: (kernel: WasmKernel) => Partition;
  readonly names: Map<string, number>;
  readonly kernels: Map<WasmKernel, string>;
  /** Calls `profile.mark` if profiling is on. */
  readonly mark: (f: FunctionBuilder, kernel: WasmKernel) => void;
}

function nameOf(kernel: WasmKernel, { names }: Emitter): string {
  const base = wasmFunctions.kernelName(kernel);
  const count = names.get(base) ?? 0;
  names.set(base, count + 1);
  return `${base}_${count}`;
}

/** Emits the functions of a kernel and of those inside it. */
function emitKernel(kernel: WasmKernel, depth: number, emitter: Emitter): FunctionBuilder {
  const name = nameOf(kernel, emitter);
  emitter.kernels.set(kernel, name);
  const body = "body" in kernel ? kernel.body : [];
  const inside = body.map((each): Inside => ({
    units: emitter.partitionOf(each).units,
    called: emitKernel(each, depth + 1, emitter),
    mark: (f) => emitter.mark(f, each),
  }));
  const f = emitter.module.addFunction(name, kernelParams(depth));
  emissionOf(kernel).emit(f, kernel, { ...emitter, depth, inside });
  return f;
}
