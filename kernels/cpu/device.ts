/** What executables need of a device that computes on the processor, and of the code that it makes of a Program. */
import type { Program } from "../../src/program/types.ts";
import type { Bindings } from "../../src/tensor/dims.ts";
import type { DType, HostTensor, Values } from "../../src/tensor/tensor.ts";
import { type Lifetime, lifetimesOf } from "../lowering/arena.ts";
import type { Sizes } from "../lowering/kinds/kind.ts";
import type { Buffer } from "../lowering/views.ts";
import type { Scratch } from "../scratch.ts";
import type { StoredTensor, TensorMemory } from "../stored_tensor.ts";
import { cpuFunctions, type CpuKernel } from "./kernels.ts";
import type { StayingPack } from "./packed.ts";
import type { Slots } from "./slots.ts";

/** Memory that JavaScript and code both reach. Addresses and sizes are bytes; address 0 is never used. */
export interface CpuMemory extends TensorMemory {
  /** The buffer of the memory; another one after it has grown. */
  readonly buffer: ArrayBufferLike;
  /** Allocated bytes. */
  readonly used: number;
  /** The words at an address. */
  words(address: number, count: number): Int32Array;
  /** Copies a host tensor in; 4 bytes per element. */
  write(address: number, tensor: HostTensor): void;
  /** Copies bytes within the memory. */
  copy(from: number, to: number, bytes: number): void;
  readTensor(address: number, dtype: DType, size: number): Values;
}

/** What was measured of the kernels of a Program. */
export interface KernelTimes {
  /** Calls so far. */
  readonly calls: number;
  /** Milliseconds of a kernel in all of them, without those of the kernels inside. */
  readonly of: (kernel: CpuKernel) => number | undefined;
}

/** The code of a Program on a device. */
export interface Code {
  readonly kernels: readonly CpuKernel[];
  readonly slots: Slots;
  /** The kernels that pack operands which stay packed from call to call. */
  readonly packs: readonly StayingPack[];
  /** Which intermediate results may share memory. */
  readonly lifetimes: ReadonlyMap<Buffer, Lifetime>;
  /** Inputs that are only packed, so that they need not lie on the device otherwise. */
  readonly onlyPacked: ReadonlySet<number>;
  /**
   * `pack(source, destination, k, n, strideK, strideN)`, with strides in bytes, on the calling thread; absent if
   * nothing stays packed.
   */
  readonly pack?: (...args: number[]) => void;
  /** Runs all kernels on the calling thread. */
  readonly alone: () => void;
  /** Runs them on all threads; absent if one thread does everything. */
  readonly together?: () => void;
  /** How many threads took part in the last call that was shared. */
  readonly threadsNow: () => number;
  /** Whether a call of these sizes has too little work to share. */
  readonly isSingleThreaded: (sizes: Sizes) => boolean;
  /** Is told the sizes of calls to come, when they are planned; a device may start threads for long ones. */
  readonly planned?: (sizes: Sizes) => void;
  /** Throws if the sizes of a call are such that it has no result. */
  readonly check: (bindings: Bindings) => void;
  readonly unload: () => void;
  /** A line about the code: how much it is, and where it lies if people can read it. */
  readonly describe: () => string;
  /** The times of kernels, if they are measured. */
  readonly times?: KernelTimes;
  /** The function that a kernel became, if it is one that people can read. */
  readonly functionOf?: (kernel: CpuKernel) => { readonly name: string; readonly text: string };
}

/** Memory, threads and a compiler, created once and shared by all executables. */
export interface CpuDevice {
  readonly name: string;
  readonly memory: CpuMemory;
  /** What calls use while they run. */
  readonly scratch: Scratch;
  readonly threads: number;
  /** The columns of a panel of a packed operand. */
  readonly panelColumns: number;
  /** @throws DeviceLost once the device is lost. */
  check(): void;
  /** Runs code. */
  guard(run: () => void): void;
  /** A tensor on this device with uninitialized values. */
  tensor(shape: readonly number[], dtype: DType): StoredTensor;
  /** Lowers, emits and loads a Program. */
  codeFor(program: Program, stays: (input: number) => boolean): Promise<Code>;
  /** What it is, for people to read: the instructions that it uses, and what it lacks. */
  readonly instructions: string;
  readonly notes: readonly string[];
}

/** Whether a kernel packs an operand which stays packed. */
export function staysPacked(kernel: CpuKernel): kernel is StayingPack {
  return kernel.kind === "pack" && kernel.once === true;
}

/** The lifetimes of everything that lives during a call. */
export function scratchLifetimes(
  kernels: readonly CpuKernel[],
  packs: readonly StayingPack[],
): Code["lifetimes"] {
  const packed = new Set<Buffer>(packs.map(({ packed }) => packed));
  return lifetimesOf(
    kernels,
    cpuFunctions,
    (buffer) => buffer.storage.kind !== "constant" && !packed.has(buffer),
  );
}
