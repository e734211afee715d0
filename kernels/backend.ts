/**
 * The contract that every backend keeps. A backend turns a Program into an Executable and owns the memory of its
 * device; it knows Programs and primitives, and nothing of cells, layers or training.
 *
 * What a backend is not: it holds no user state, it decides nothing about gradients, and it never changes the
 * meaning of a Program; `reference` is the oracle for all of them.
 */
import type { DeviceTensor, HostTensor } from "../src/tensor/tensor.ts";
import type { Program } from "../src/program/types.ts";

/**
 * Thrown by a call whose device is lost, and by what still uses tensors on it: a graphics processor that was reset,
 * unplugged or taken by somebody else, or a kernel that failed half way through. What was read from it before is intact;
 * tensors of `wasm` can be read after it too. The next call that is given tensors on the host gets a new device.
 *
 * @example
 * ```ts
 * import { compile, DeviceLost, ones, sum, type Tensor } from "@cellfold/cellfold";
 * const total = compile((x: Tensor) => sum(x));
 * const attempt = () => total(ones([2, 3]));
 * await attempt().catch((error) => {
 *   if (error instanceof DeviceLost) return attempt();
 *   throw error;
 * });
 * ```
 */
export class DeviceLost extends Error {
  /** The name of the class. */
  override readonly name: string = "DeviceLost";
}

/** Thrown by a call for which a device has no memory left. What lies there stays, and other calls go on. */
export class DeviceOutOfMemory extends RangeError {
  /** The name of the class, as of every error about a value out of range. */
  override readonly name: string = "RangeError";
}

/** Thrown by `compile` of a backend whose device cannot be opened on this machine; `auto` takes another one then. */
export class DeviceUnavailable extends RangeError {
  /** The name of the class, as of every error about a value out of range. */
  override readonly name: string = "RangeError";
}

/** A tensor that a call can read: on the host, or in this backend's memory. */
export type Input = HostTensor | DeviceTensor;

/** How an executable treats the memory of its inputs and outputs. */
export interface CompileOptions {
  /** Per input of the Program: whether a call may overwrite it. A donated device tensor is disposed by the call. */
  readonly donate: readonly boolean[];
  /** Per output of the Program: whether it stays in the device's memory (`DeviceTensor`) or comes to the host. */
  readonly keep: readonly boolean[];
}

/** What the inputs and outputs of a loop are; inputs in neither list stay as they were given. */
export interface LoopRoles {
  /** Outputs that are inputs of the next call; their inputs are given for the first one. */
  readonly carried: readonly { readonly input: number; readonly output: number }[];
  /** Inputs that every call brings. */
  readonly fresh: readonly number[];
}

/** Calls in a row, without a promise, that allocate nothing but their results. */
export interface Loop extends Disposable {
  /** One call with the fresh inputs, whose specs are those given at first; gives the outputs that are not carried. */
  run(fresh: readonly HostTensor[]): HostTensor[];
  /** What is carried, in the order of the roles. */
  read(): HostTensor[];
  /** Sets what is carried. */
  write(carried: readonly HostTensor[]): void;
}

/** A compiled Program, to be called again and again. */
export interface Executable extends Disposable {
  /**
   * Runs it. Inputs have the Program's dtypes and shapes; sizes that are symbols in the Program take their values
   * from the inputs. Outputs are valid until they are disposed or collected, also after later calls.
   */
  run(inputs: readonly Input[]): Promise<(HostTensor | DeviceTensor)[]>;
  /** The same without a promise; absent where blocking is impossible. */
  runSync?(inputs: readonly Input[]): (HostTensor | DeviceTensor)[];
  /**
   * Prepares a loop of calls on the inputs given; absent where calls cannot return at once. Outputs that are carried
   * become inputs of the next call in place.
   */
  loop?(inputs: readonly Input[], roles: LoopRoles): Promise<Loop>;
  /** What was compiled, for people. */
  describe(): string;
}

/** One way to run Programs. */
export interface Backend {
  /** The name by which `device` chooses it. */
  readonly name: string;
  /** Whether this machine can run it, which is tried. */
  available(): Promise<boolean>;
  /** What this machine lacks to run it, for people; undefined where it can. */
  missing(): Promise<string | undefined>;
  /**
   * Of a backend for graphics processors, which `auto` chooses for large Programs only: whether this machine has one, and
   * not an adapter that computes on the processor.
   */
  hasGpu?(): Promise<boolean>;
  /** Whether it has every dtype that the Program computes in. */
  supports(program: Program): boolean;
  /** Compiles for any values of the Program's symbolic sizes. */
  compile(program: Program, options: CompileOptions): Promise<Executable>;
  /** Copies a tensor into the device's memory. */
  upload(tensor: HostTensor): DeviceTensor;
}

/** A device as its folder gives it to `kernels/mod.ts`. */
export interface DeviceEntry {
  /** The backend without options, by whose name `device` chooses it. */
  readonly backend: Backend;
  /** What options there are beside the name; others are refused. */
  readonly optionNames: readonly string[];
  /** Checks options, which may be anything; absent where there are none. */
  readonly configure?: (options: Readonly<Record<string, unknown>>) => Configured;
}

/** A device with options. */
export interface Configured {
  /** Its name with the options: the same for options that mean the same. */
  readonly text: string;
  /** Makes the backend. */
  readonly create: (name: string) => Backend;
}
