/**
 * The module of an executable: one small function per kernel, the functions of the matrix product, and `run`, which
 * calls them in order on this thread's share of the rows, with a barrier where one kernel reads what another wrote.
 */
import { type FunctionBuilder, i32, type Local, ModuleBuilder } from "../assembler.ts";
import { addBarrier } from "../barrier.ts";
import type { Features } from "../features.ts";
import { type Kernel, type MatmulKernel, type PackKernel, type ScanKernel } from "../kernels.ts";
import { addMatmul, type MatmulFunctions } from "../matmul/mod.ts";
import { mayWait } from "../threads.ts";
import { sizeOf } from "../views.ts";
import { BEGIN, ELEMENT, END, FIRST_LOOP, kernelParams, type Memory, pushBase } from "./address.ts";
import { emitFused } from "./fused.ts";
import { emitGather, emitScatter } from "./indexing.ts";
import { emitRandom } from "./random.ts";
import { emitArgmax, emitReduce } from "./reduce.ts";

/** Columns of a packed panel, the unit in which products are shared out by columns. */
const PANEL = 8;

/** Elements from which a kernel is worth sharing among threads; products count four times as many terms. */
export const WORTH_SHARING = 4096;

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

/** How a kernel's work is cut: so many units in pieces of a multiple of `grain`; one thread does it all if `alone`. */
interface Share {
  readonly units: number;
  readonly grain: number;
  readonly alone: boolean;
}

function shareOf(kernel: Kernel, shareFrom: number): Share {
  switch (kernel.kind) {
    case "fused": {
      const units = kernel.shape[0] ?? 1;
      return {
        units,
        grain: kernel.shape.length === 1 ? 16 : 1,
        alone: sizeOf(kernel.shape) < shareFrom,
      };
    }
    case "reduce":
      return {
        units: kernel.output.shape[0] ?? 1,
        grain: kernel.output.shape.length === 1 ? 16 : 1,
        alone: kernel.output.shape.length === 0 || sizeOf(kernel.input.shape) < shareFrom,
      };
    case "argmax":
      return {
        units: kernel.output.shape[0] ?? 1,
        grain: 1,
        alone: kernel.output.shape.length === 0 || sizeOf(kernel.input.shape) < shareFrom,
      };
    case "gather":
      return {
        units: kernel.indices.shape[0] ?? 1,
        grain: 1,
        alone: kernel.indices.shape.length === 0 || sizeOf(kernel.output.shape) < shareFrom,
      };
    case "pack": {
      const { shape } = kernel.right;
      if (shape.length > 2) {
        return { units: shape.slice(0, -2).reduce((a, b) => a * b, 1), grain: 1, alone: false };
      }
      return { units: shape[1], grain: PANEL, alone: sizeOf(shape) < shareFrom };
    }
    case "matmul": {
      const { shape } = kernel.left;
      const work = sizeOf(shape) * kernel.output.shape[kernel.output.shape.length - 1];
      if (shape.length > 2) {
        return {
          units: shape.slice(0, -2).reduce((a, b) => a * b, 1),
          grain: 1,
          alone: work < shareFrom * 4,
        };
      }
      const byColumns = "view" in kernel.right;
      return byColumns
        ? { units: kernel.output.shape[1], grain: PANEL, alone: work < shareFrom * 4 }
        : { units: shape[0], grain: 6, alone: work < shareFrom * 4 };
    }
    case "scan":
      return { units: Math.max(1, kernel.rows), grain: 1, alone: kernel.rows === 0 };
    case "scatterAdd":
    case "randomBits":
      return { units: 1, grain: 1, alone: true };
  }
}

/** Whether one thread does all of it, so that no other need be woken. */
export function isSingleThreaded(kernels: readonly Kernel[], shareFrom = WORTH_SHARING): boolean {
  return kernels.every((kernel) => shareOf(kernel, shareFrom).alone);
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

  const run = module.addFunction("run", [i32, i32]);
  const [thread, threads] = [0, 1];
  run.get(thread).setGlobal(emitter.thread);
  steps.forEach(({ kernel, called, share }, index) => {
    if (share.alone) {
      run.get(thread).op("i32.eqz").if(() => run.i32(0).i32(share.units).call(called));
    } else {
      pushPart(run, thread, threads, share, 0);
      pushPart(run, thread, threads, share, 1);
      run.call(called);
    }
    emitter.mark(run, kernel);
    if (index + 1 < steps.length) run.i32(options.barrierAddress).get(threads).call(barrier);
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
): void {
  const part = f.local(i32);
  const grains = Math.ceil(units / grain);
  f.i32(grains).get(threads).op("i32.add").i32(1).op("i32.sub").get(threads).op("i32.div_s").i32(grain).op(
    "i32.mul",
  );
  f.get(thread).i32(next).op("i32.add").op("i32.mul").set(part);
  f.get(part).i32(units).get(part).i32(units).op("i32.lt_s").op("select");
}

interface Emitter {
  readonly module: ModuleBuilder;
  readonly matmul: MatmulFunctions;
  readonly options: EmitOptions;
  readonly shareOf: (kernel: Kernel) => Share;
  readonly names: Map<string, number>;
  readonly kernels: Map<Kernel, string>;
  /** Calls `profile.mark` if it was asked for. */
  readonly mark: (f: FunctionBuilder, kernel: Kernel) => void;
  /** The global variable that holds the number of this thread. */
  readonly thread: number;
}

function nameOf(kernel: Kernel, { names }: Emitter): string {
  const base = kernel.kind === "fused"
    ? `fused_${kernel.operations.slice(0, 3).map(({ name }) => name).join("_")}${
      kernel.operations.length > 3 ? `_and_${kernel.operations.length - 3}` : ""
    }`
    : kernel.kind;
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
    case "scan":
      return emitScan(kernel, depth, emitter, name);
  }
}

/** Columns `[begin, end)` (multiples of a panel) of one right operand, or matrices `[begin, end)` of a batch. */
function emitPack(
  { right, packed }: PackKernel,
  depth: number,
  { module, matmul, options: { memory } }: Emitter,
  name: string,
): FunctionBuilder {
  const f = module.addFunction(name, kernelParams(depth));
  const rank = right.shape.length;
  const [k, n] = right.shape.slice(-2);
  const [strideK, strideN] = right.strides.slice(-2).map((stride) => stride * ELEMENT);
  const source = f.local(i32), target = f.local(i32);
  pushBase(f, right, right.offset, memory);
  f.set(source).i32(memory.addressOf(packed)).set(target);
  if (rank === 2) {
    f.get(source).get(BEGIN).i32(strideN).op("i32.mul").op("i32.add");
    f.get(target).get(BEGIN).i32(k * ELEMENT).op("i32.mul").op("i32.add");
    f.i32(k).get(END).get(BEGIN).op("i32.sub").i32(strideK).i32(strideN).call(matmul.pack);
    return f;
  }
  const bytes = Math.ceil(n / PANEL) * PANEL * k * ELEMENT;
  overMatrices(f, right.shape.slice(0, -2), [
    { local: source, strides: right.strides.slice(0, -2) },
  ], (index) => {
    f.get(source).get(target).get(index).i32(bytes).op("i32.mul").op("i32.add");
    f.i32(k).i32(n).i32(strideK).i32(strideN).call(matmul.pack);
  });
  return f;
}

/** Runs `write` for matrices `[begin, end)` of a batch, numbered row-major, with the pointers moved to each. */
function overMatrices(
  f: FunctionBuilder,
  shape: readonly number[],
  pointers: readonly { readonly local: Local; readonly strides: readonly number[] }[],
  write: (index: Local) => void,
): void {
  const index = f.local(i32), rest = f.local(i32);
  const bases = pointers.map(({ local, strides }) => ({ local, strides, base: f.local(i32) }));
  for (const { local, base } of bases) f.get(local).set(base);
  f.get(BEGIN).set(index);
  f.count(index, { local: END }, 1, () => {
    for (const { local, base } of bases) f.get(base).set(local);
    f.get(index).set(rest);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      for (const { local, strides } of bases) {
        f.get(local).get(rest).i32(shape[axis]).op("i32.rem_s").i32(strides[axis] * ELEMENT).op("i32.mul").op(
          "i32.add",
        ).set(local);
      }
      f.get(rest).i32(shape[axis]).op("i32.div_s").set(rest);
    }
    write(index);
  });
}

/** Rows `[begin, end)` of a product, columns of one with a long k, or matrices of a batch. */
function emitMatmul(
  { left, right, output, k }: MatmulKernel,
  depth: number,
  { module, matmul, options, thread }: Emitter,
  name: string,
): FunctionBuilder {
  const { memory } = options;
  const f = module.addFunction(name, kernelParams(depth));
  const rank = left.shape.length;
  const m = left.shape[rank - 2], n = output.shape[rank - 1];
  const [strideRow, strideK] = left.strides.slice(-2).map((stride) => stride * ELEMENT);
  const strideC = output.strides[rank - 2] * ELEMENT;
  if (output.strides[rank - 1] !== 1 && n > 1) {
    throw new Error("A product is written to columns that are apart");
  }
  const a = f.local(i32), c = f.local(i32);
  pushBase(f, left, left.offset, memory);
  f.set(a);
  pushBase(f, output, output.offset, memory);
  f.set(c);
  if ("view" in right) {
    const { view, scratch } = right;
    const b = f.local(i32);
    pushBase(f, view, view.offset, memory);
    f.set(b);
    f.get(a).i32(strideK);
    f.get(b).get(BEGIN).i32(ELEMENT).op("i32.mul").op("i32.add").i32(view.strides[0] * ELEMENT);
    f.get(c).get(BEGIN).i32(ELEMENT).op("i32.mul").op("i32.add").i32(strideC);
    f.i32(m).get(END).get(BEGIN).op("i32.sub").i32(k).i32(0);
    const perThread = scratch.size / options.threads * ELEMENT;
    f.i32(memory.addressOf(scratch)).getGlobal(thread).i32(perThread).op("i32.mul").op("i32.add");
    f.call(matmul.productTransposed);
    return f;
  }
  const packed = memory.addressOf(right.packed);
  if (rank === 2) {
    f.get(a).get(BEGIN).i32(strideRow).op("i32.mul").op("i32.add").i32(strideRow).i32(strideK).i32(packed);
    f.get(c).get(BEGIN).i32(strideC).op("i32.mul").op("i32.add").i32(strideC);
    f.get(END).get(BEGIN).op("i32.sub").i32(n).i32(k).i32(0).call(matmul.product);
    return f;
  }
  const bytes = Math.ceil(n / PANEL) * PANEL * k * ELEMENT;
  overMatrices(f, left.shape.slice(0, -2), [
    { local: a, strides: left.strides.slice(0, -2) },
    { local: c, strides: output.strides.slice(0, -2) },
  ], (index) => {
    f.get(a).i32(strideRow).i32(strideK).i32(packed).get(index).i32(bytes).op("i32.mul").op("i32.add");
    f.get(c).i32(strideC).i32(m).i32(n).i32(k).i32(0).call(matmul.product);
  });
  return f;
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
