/**
 * The module of an executable: one small function per kernel, the functions of the matrix product, and those
 * that call the kernels in order. `alone()` runs everything on the calling thread. With threads there
 * is also `run(thread, mine, phase)`, in which each kernel that threads share is a phase
 * (`../phases.ts`). What stays packed from call to call is packed only if a word of the table says so. Both compute the same to the
 * bit: how work is divided, and with it the order of additions, depends on the number of threads alone.
 *
 * Everything that depends on open sizes is read from the module's table (`../slots.ts`): how many units of
 * work a kernel has, and whether they are worth sharing.
 */
import { type FunctionBuilder, i32, type Local, ModuleBuilder } from "../assembler.ts";
import type { Bindings } from "../../../src/tensor/dims.ts";
import { sizesAt } from "../../lowering/kinds/kind.ts";
import type { Features } from "../features.ts";
import { cpuFunctions, type CpuKernel } from "../../cpu/kernels.ts";
import { emissionOf } from "../kinds.ts";
import { addMatmul } from "../matmul/mod.ts";
import { addPhases } from "../phases.ts";
import {
  alwaysSingleThreaded,
  fixedSizes,
  isOpen,
  type Partition,
  partitionOf,
  WORTH_SHARING,
} from "../../cpu/partition.ts";
import type { Slots } from "../../cpu/slots.ts";
import { mayWait } from "../threads.ts";
import { wasmTarget } from "../target.ts";
import { kernelParams } from "./address.ts";
import { KernelCode } from "./code.ts";
import type { Emission, Inside } from "./kind.ts";

/** The options for emitting a module. */
export interface EmitOptions {
  readonly features: Features;
  /** The table of what code reads at run time. */
  readonly slots: Slots;
  readonly limits: { readonly minimum: number; readonly maximum: number; readonly shared: boolean };
  /** Byte address of the words of phases; absent if only `alone` is needed. */
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
  readonly kernels: ReadonlyMap<CpuKernel, string>;
}

/** Emits the module of these kernels. */
export function emitModule(
  kernels: readonly CpuKernel[],
  { limits, ...options }: EmitOptions,
): Emitted {
  const module = new ModuleBuilder(limits);
  const added = addKernels(module, kernels, options);
  for (const [name, each] of Object.entries(added.functions)) if (each) module.export(each, name);
  return {
    bytes: module.encode(),
    functions: module.functions.map(({ name, code }) => ({ name, bytes: code.length })),
    kernels: added.kernels,
  };
}

/** What was added to a module. */
interface Added extends Pick<Emitted, "kernels"> {
  readonly functions: {
    readonly alone: FunctionBuilder;
    /** Absent if one thread does everything. */
    readonly run?: FunctionBuilder;
    /** Absent if nothing stays packed. */
    readonly pack?: FunctionBuilder;
  };
}

/** Adds the functions of these kernels, and those that call them, to a module without functions. */
export function addKernels(
  module: ModuleBuilder,
  kernels: readonly CpuKernel[],
  options: Omit<EmitOptions, "limits">,
): Added {
  const shareGlobal = module.addGlobal();
  const mark = options.marks ? module.importFunction("profile", "mark", [i32], []) : undefined;
  const { shareFrom = WORTH_SHARING, threads, slots, phasesAddress } = options;
  const emitter: Emitter = {
    module,
    slots,
    matmul: addMatmul(module, options.features),
    features: options.features,
    threads,
    shareFrom,
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
    ...divisionOf(kernel, emitter),
    isOnce: cpuFunctions.keptBy(kernel).length > 0,
  }));
  return {
    kernels: emitter.kernels,
    functions: {
      alone: writeAlone(steps, emitter),
      ...(steps.some(({ isOnce }) => isOnce) && { pack: emitter.matmul.pack }),
      ...(phasesAddress !== undefined && { run: writeShared(steps, emitter, phasesAddress) }),
    },
  };
}

/** How the work of a kernel is divided, as far as it is known before the sizes of a call are. */
interface Division {
  /** Pushes how many units of work there are. */
  readonly pushUnits: (f: KernelCode) => void;
  /** Pushes the units of one share. */
  readonly pushPart: (f: KernelCode) => void;
  /** Whether one thread does it all; a local holds the answer if that depends on the call. */
  readonly isSingle: (f: KernelCode) => boolean | { readonly isSingle: Local };
}

/** A kernel of the module. */
interface Step extends Division {
  readonly kernel: CpuKernel;
  readonly called: FunctionBuilder;
  /** Whether it packs what is packed once. */
  readonly isOnce: boolean;
}

interface Emitter extends Omit<Emission, "depth" | "inside"> {
  readonly module: ModuleBuilder;
  readonly slots: Slots;
  readonly shareFrom: number;
  readonly names: Map<string, number>;
  readonly kernels: Map<CpuKernel, string>;
  /** Calls `profile.mark` if profiling is on. */
  readonly mark: (f: FunctionBuilder, kernel: CpuKernel) => void;
}

/** The division of a kernel's work; it is the same for all sizes, or read from the table. */
function divisionOf(kernel: CpuKernel, { shareFrom, threads, kernels }: Emitter): Division {
  const sharing = { target: wasmTarget, shareFrom };
  const partOf = ({ units, grain }: Partition) => Math.ceil(Math.ceil(units / grain) / threads) * grain;
  const pushUnits = (f: KernelCode) => f.size(cpuFunctions.unitsOf(kernel));
  if (!isOpen(kernel)) {
    const partition = partitionOf(kernel, sharing, fixedSizes);
    return {
      pushUnits,
      pushPart: (f) => f.i32(partOf(partition)),
      isSingle: () => partition.singleThreaded,
    };
  }
  const name = kernels.get(kernel);
  let latest: { readonly bindings: Bindings; readonly partition: Partition } | undefined;
  /** Several words of the table ask for the same sizes, one after the other. */
  const at = (bindings: Bindings): Partition => {
    if (latest?.bindings !== bindings) {
      latest = { bindings, partition: partitionOf(kernel, sharing, sizesAt(bindings)) };
    }
    return latest.partition;
  };
  const pushIsAlone = (f: KernelCode) =>
    f.at(`whether ${name} is for one thread`, (bindings) => at(bindings).singleThreaded ? 1 : 0);
  const always = alwaysSingleThreaded(kernel, sharing);
  return {
    pushUnits,
    pushPart: (f) => f.at(`part of ${name}`, (bindings) => partOf(at(bindings))),
    isSingle: (f) => always ?? { isSingle: f.hold(() => pushIsAlone(f)) },
  };
}

/** Writes `alone()`: all kernels, one after the other. */
function writeAlone(
  steps: readonly Step[],
  { module, slots, threads, share, mark }: Emitter,
): FunctionBuilder {
  const f = KernelCode.add(module, slots, "alone", []);
  const claimed = f.local(i32), part = f.local(i32);
  for (const step of steps) {
    const { kernel, called, pushUnits } = step;
    whenStale(f, step, slots, () => {
      if (threads === 1 || !emissionOf(kernel).dependsOnShare?.(kernel)) {
        f.i32(0);
        pushUnits(f);
        f.call(called);
      } else {
        f.i32(0).set(claimed);
        f.count(claimed, threads, 1, () => {
          f.get(claimed).setGlobal(share);
          pushShare(f, step, claimed, part);
          f.call(called);
        });
        f.i32(0).setGlobal(share);
      }
      mark(f, kernel);
    });
  }
  return f;
}

/** Writes `run(thread, mine, phase)`: all kernels, in phases that threads share. */
function writeShared(steps: readonly Step[], emitter: Emitter, address: number): FunctionBuilder {
  const { module, slots, threads, share, mark } = emitter;
  // The thread that emits is the one that calls; in a page it may not block.
  const phasesIn = addPhases(module, { address, shares: threads, mayWait: mayWait() });
  const f = KernelCode.add(module, slots, "run", [i32, i32, i32], [i32]);
  const phases = phasesIn(f);
  const part = f.local(i32); // one for all kernels, as the number of locals is limited
  const single = ({ kernel, called, pushUnits }: Step) => {
    f.i32(0);
    pushUnits(f);
    f.call(called);
    mark(f, kernel);
  };
  const shared = (step: Step, claimed: Local) => {
    pushShare(f, step, claimed, part);
    f.call(step.called);
    mark(f, step.kernel);
  };
  let pending: Step[] = [];
  /** Consecutive kernels that one thread does alone form one phase. */
  const writePending = () => {
    const group = pending;
    pending = [];
    if (group.length === 0) return;
    phases.phase("single", () => {
      f.i32(0).setGlobal(share);
      for (const step of group) whenStale(f, step, slots, () => single(step));
    });
  };
  for (const step of steps) {
    const isSingle = step.isSingle(f);
    if (isSingle === true) {
      pending.push(step);
      continue;
    }
    writePending();
    // If a phase is skipped, all threads skip it, as they read the same table.
    whenStale(f, step, slots, () =>
      phases.phase(isSingle === false ? "shared" : isSingle, (claimed) => {
        f.get(claimed).setGlobal(share);
        if (isSingle === false) shared(step, claimed);
        else f.get(isSingle.isSingle).if(() => single(step), () => shared(step, claimed));
      }));
  }
  writePending();
  return f.i32(0);
}

/** Writes a step, which is skipped if it packs what is packed already. */
function whenStale(f: KernelCode, { isOnce, kernel }: Step, slots: Slots, write: () => void): void {
  if (isOnce) f.get(f.word(slots.ofFlag(kernel))).if(write);
  else write();
}

/** Pushes the units of a share: from `min(units, part · share)` to `min(units, part · (share + 1))`. */
function pushShare(f: KernelCode, { pushUnits, pushPart }: Step, share: Local, part: Local): void {
  for (const next of [0, 1]) {
    f.get(share).i32(next).op("i32.add");
    pushPart(f);
    f.op("i32.mul").set(part);
    f.get(part);
    pushUnits(f);
    f.get(part);
    pushUnits(f);
    f.op("i32.lt_s").op("select");
  }
}

function nameOf(kernel: CpuKernel, { names }: Emitter): string {
  const base = cpuFunctions.kernelName(kernel);
  const count = names.get(base) ?? 0;
  names.set(base, count + 1);
  return `${base}_${count}`;
}

/** Emits the functions of a kernel and of those inside it. */
function emitKernel(kernel: CpuKernel, depth: number, emitter: Emitter): FunctionBuilder {
  const name = nameOf(kernel, emitter);
  emitter.kernels.set(kernel, name);
  const body = "body" in kernel ? kernel.body : [];
  const inside = body.map((each): Inside => {
    const called = emitKernel(each, depth + 1, emitter);
    return { called, pushUnits: divisionOf(each, emitter).pushUnits, mark: (f) => emitter.mark(f, each) };
  });
  const f = KernelCode.add(emitter.module, emitter.slots, name, kernelParams(depth));
  emissionOf(kernel).emit(f, kernel, { ...emitter, depth, inside });
  return f;
}
