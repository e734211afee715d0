/**
 * The module of an executable: one small function per kernel, the functions of the matrix product, and
 * `run(thread, threads, changed)`, which calls them in order on this thread's share of the rows, with a barrier between
 * kernels that threads share. What is packed once is packed where `changed` is not 0.
 */
import { type FunctionBuilder, i32, type Local, ModuleBuilder } from "../assembler.ts";
import { addBarrier } from "../barrier.ts";
import type { Features } from "../features.ts";
import { type Kernel, kernelName, type ScanKernel } from "../../lowering/kernels.ts";
import { addMatmul } from "../matmul/mod.ts";
import { type Share, shareOf, WORTH_SHARING } from "../share.ts";
import { mayWait } from "../threads.ts";
import { BEGIN, END, FIRST_LOOP, kernelParams, type Memory } from "./address.ts";
import { emitFused } from "./fused.ts";
import { emitGather, emitScatter } from "./indexing.ts";
import { emitLongProduct, emitMatmul, emitPack, type MatmulEmitter } from "./matmul.ts";
import { emitRandom } from "./random.ts";
import { emitArgmax, emitReduce } from "./reduce.ts";

/** What the emission of a module needs to know. */
export interface EmitOptions {
  readonly features: Features;
  readonly memory: Memory;
  readonly limits: { readonly minimum: number; readonly maximum: number; readonly shared: boolean };
  /** Byte address of the barrier's words. */
  readonly barrierAddress: number;
  readonly threads: number;
  /** Elements from which a kernel is shared among threads; default {@linkcode WORTH_SHARING}. */
  readonly shareFrom?: number;
  /**
   * Whether the module calls `profile.mark(kernel)`, which it then imports, with the number of each kernel as soon as
   * that has run; default: it does not.
   */
  readonly marks?: boolean;
}

/** A module emitted. */
export interface Emitted {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Name and bytes of code of every function, for reports. */
  readonly functions: readonly { readonly name: string; readonly bytes: number }[];
  /** The name of each kernel's function, in the order of the numbers that `profile.mark` is called with. */
  readonly kernels: ReadonlyMap<Kernel, string>;
}

/** Emits the module of these kernels. */
export function emitModule(kernels: readonly Kernel[], options: EmitOptions): Emitted {
  const module = new ModuleBuilder(options.limits);
  const threadGlobal = module.addGlobal();
  const mark = options.marks ? module.importFunction("profile", "mark", [i32], []) : undefined;
  // The thread that emits is the one that calls; in a page it may not block.
  const barrier = addBarrier(module, { mayWait: mayWait(), thread: threadGlobal });
  const matmul = addMatmul(module, options.features);
  const { shareFrom = WORTH_SHARING } = options;
  const emitter: Emitter = {
    module,
    matmul,
    options,
    shareOf: (kernel) => shareOf(kernel, shareFrom),
    names: new Map(),
    kernels: new Map(),
    thread: threadGlobal,
    mark: (f, kernel) => {
      if (mark) f.i32([...emitter.kernels.keys()].indexOf(kernel)).call(mark);
    },
  };
  const steps = kernels.map((kernel) => ({
    kernel,
    called: emitKernel(kernel, 0, emitter),
    share: emitter.shareOf(kernel),
  }));

  const run = module.addFunction("run", [i32, i32, i32]);
  const [thread, threads, changed] = [0, 1, 2];
  const part = run.local(i32);
  run.get(thread).setGlobal(emitter.thread);
  steps.forEach(({ kernel, called, share }, index) => {
    const call = () => {
      if (share.alone) {
        run.get(thread).op("i32.eqz").if(() => run.i32(0).i32(share.units).call(called));
      } else {
        pushPart(run, thread, threads, share, 0, part);
        pushPart(run, thread, threads, share, 1, part);
        run.call(called);
      }
    };
    if (kernel.kind === "pack" && kernel.once) run.get(changed).if(call);
    else call();
    emitter.mark(run, kernel);
    // Between kernels of the first thread alone nobody need wait.
    const next = steps[index + 1];
    if (next && !(share.alone && next.share.alone)) {
      run.i32(options.barrierAddress).get(threads).call(barrier);
    }
  });
  module.export(run);
  return {
    bytes: module.encode(),
    functions: module.functions.map(({ name, code }) => ({ name, bytes: code.length })),
    kernels: emitter.kernels,
  };
}

/** Leaves `min(units, ceil(units / grain / threads) · grain · (thread + next))` on the stack. */
function pushPart(
  f: FunctionBuilder,
  thread: Local,
  threads: Local,
  { units, grain }: Share,
  next: 0 | 1,
  part: Local,
): void {
  const grains = Math.ceil(units / grain);
  f.i32(grains).get(threads).op("i32.add").i32(1).op("i32.sub").get(threads).op("i32.div_s").i32(grain).op(
    "i32.mul",
  );
  f.get(thread).i32(next).op("i32.add").op("i32.mul").set(part);
  f.get(part).i32(units).get(part).i32(units).op("i32.lt_s").op("select");
}

interface Emitter extends MatmulEmitter {
  readonly options: EmitOptions;
  readonly shareOf: (kernel: Kernel) => Share;
  readonly names: Map<string, number>;
  readonly kernels: Map<Kernel, string>;
  /** Calls `profile.mark` if it was asked for. */
  readonly mark: (f: FunctionBuilder, kernel: Kernel) => void;
}

function nameOf(kernel: Kernel, { names }: Emitter): string {
  const base = kernelName(kernel);
  const count = names.get(base) ?? 0;
  names.set(base, count + 1);
  return `${base}_${count}`;
}

function emitKernel(kernel: Kernel, depth: number, emitter: Emitter): FunctionBuilder {
  const { module, options: { features, memory } } = emitter;
  const name = nameOf(kernel, emitter);
  emitter.kernels.set(kernel, name);
  switch (kernel.kind) {
    case "fused":
      return emitFused(module, kernel, depth, features, memory, name);
    case "reduce":
      return emitReduce(module, kernel, depth, memory, name);
    case "argmax":
      return emitArgmax(module, kernel, depth, memory, name);
    case "gather":
      return emitGather(module, kernel, depth, memory, name);
    case "scatterAdd":
      return emitScatter(module, kernel, depth, memory, name);
    case "randomBits":
      return emitRandom(module, kernel, depth, memory, name);
    case "pack":
      return emitPack(kernel, depth, emitter, name);
    case "matmul":
      return emitMatmul(kernel, depth, emitter, name);
    case "longProduct":
      return emitLongProduct(kernel, depth, emitter, name);
    case "scan":
      return emitScan(kernel, depth, emitter, name);
  }
}

/** The loop over time: calls the kernels of the body one after the other, all on the same rows. */
function emitScan(
  { length, reverse, body, rows }: ScanKernel,
  depth: number,
  emitter: Emitter,
  name: string,
): FunctionBuilder {
  const inside = body.map((kernel) => ({
    kernel,
    called: emitKernel(kernel, depth + 1, emitter),
    share: emitter.shareOf(kernel),
  }));
  const f = emitter.module.addFunction(name, kernelParams(depth));
  const step = f.local(i32), time = f.local(i32);
  f.i32(0).set(step);
  // Threads without rows have nothing to do.
  f.block(() => {
    f.get(BEGIN).get(END).op("i32.ge_s").brIf(0);
    f.count(step, length, 1, () => {
      if (reverse) f.i32(length - 1).get(step).op("i32.sub").set(time);
      else f.get(step).set(time);
      for (const { kernel, called, share } of inside) {
        if (rows > 0) f.get(BEGIN).get(END);
        else f.i32(0).i32(share.units);
        for (let loop = 0; loop < depth; loop++) f.get(FIRST_LOOP + loop);
        f.get(time).call(called);
        emitter.mark(f, kernel);
      }
    });
  });
  return f;
}
