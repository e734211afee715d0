/**
 * The contract of every backend. A backend turns a Program into an Executable and owns the memory of its
 * device; it knows Programs and primitives, and nothing of cells, layers or training.
 *
 * A backend holds no user state, decides nothing about gradients, and never changes the meaning of a Program;
 * `reference` is the oracle for all of them.
 */
import type { DeviceTensor, HostTensor, Values } from "../src/tensor/tensor.ts";
import type { Program } from "../src/program/types.ts";

/**
 * Thrown by a call whose device is lost, and by any later use of tensors on it: a GPU that was reset,
 * unplugged or taken over by another program, or a kernel that failed halfway. Data that was read from it
 * before is intact; tensors of `wasm` can still be read afterwards. The next call whose inputs are on the
 * host gets a new device.
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

/**
 * Thrown by a call for which a device has no memory left. The contents of the memory are kept, and other
 * calls go on.
 */
export class DeviceOutOfMemory extends RangeError {
  /** The name of the class, as for every error about a value out of range. */
  override readonly name: string = "RangeError";
}

/**
 * Thrown by `compile` of a backend whose device cannot be opened on this machine; `auto` then takes another
 * one.
 */
export class DeviceUnavailable extends RangeError {
  /** The name of the class, as for every error about a value out of range. */
  override readonly name: string = "RangeError";

  /**
   * @param device The name of the device.
   * @param why What is missing, which `auto` says too.
   */
  constructor(device: string, readonly why: string, options?: ErrorOptions) {
    super(`Cannot open the device ${device}: ${why}`, options);
  }
}

/** A tensor that a call can read: on the host, or in this backend's memory. */
export type Input = HostTensor | DeviceTensor;

/** How an executable treats the memory of its inputs and outputs. */
export interface BackendCompileOptions {
  /**
   * Per input of the Program: whether a call may overwrite it. A donated device tensor is disposed by the
   * call.
   */
  readonly donate: readonly boolean[];
  /**
   * Per output of the Program: whether it stays in the device's memory (`DeviceTensor`) or comes to the host.
   */
  readonly keep: readonly boolean[];
}

/** The inputs and outputs of a loop; inputs in neither list stay as first given. */
export interface LoopRoles {
  /** Outputs that become inputs of the next call; those inputs are given for the first call. */
  readonly carried: readonly { readonly input: number; readonly output: number }[];
  /** Inputs that are given for every call. */
  readonly fresh: readonly number[];
}

/** Consecutive synchronous calls that allocate nothing but their results. */
export interface Loop extends Disposable {
  /**
   * One call with the fresh inputs, whose specs are those given at first; returns the outputs that are not
   * carried.
   */
  run(fresh: readonly HostTensor[]): HostTensor[];
  /**
   * The same call from and into arrays of the fresh inputs' and the results' sizes and dtypes, which are not
   * checked. It allocates nothing.
   */
  runInto(fresh: readonly Values[], results: readonly Values[]): void;
  /** The carried values, in the order of the roles. */
  read(): HostTensor[];
  /** Sets the carried values. */
  write(carried: readonly HostTensor[]): void;
}

/** A kernel of an executable. */
export interface KernelReport {
  /** The kind, such as `fused`, `packedMatmul` or `scan`. */
  readonly kind: string;
  /** A line about it: its shapes, and what it computes. */
  readonly text: string;
  /** How often a call runs it: the product of the steps of all loops around it, for the sizes of the last call. */
  readonly runs: number;
  /**
   * About how many multiply-adds take as long as all its runs in a call, without those of the kernels inside: an
   * estimate.
   */
  readonly work: number;
  /**
   * Milliseconds of all its runs in all calls so far, without those of the kernels inside; absent unless the device
   * measures them, as wasm does with `profile`.
   */
  readonly milliseconds?: number;
  /** The kernels that it repeats, if it is a loop. */
  readonly body: readonly KernelReport[];
}

/** The kernels of an executable for the sizes of its last call, in the order in which they run. */
export interface ExecutableReport {
  /** How many calls were measured; absent unless the device measures its kernels. */
  readonly measuredCalls?: number;
  /** The kernels; none before the first call. */
  readonly kernels: readonly KernelReport[];
}

/** A compiled Program, which can be called repeatedly. */
export interface Executable extends Disposable {
  /**
   * Runs it. Inputs have the Program's dtypes and shapes; sizes that are symbols in the Program take their
   * values from the inputs. Outputs remain valid after later calls, until they are disposed or collected.
   */
  run(inputs: readonly Input[]): Promise<(HostTensor | DeviceTensor)[]>;
  /**
   * Loads what calls with inputs of these shapes need, so that they begin before anything is awaited and read their
   * inputs then; undefined if they already do. Absent if every call does.
   */
  prepare?(inputs: readonly Input[]): Promise<void> | undefined;
  /** Runs it synchronously; absent if blocking is impossible. */
  runSync?(inputs: readonly Input[]): (HostTensor | DeviceTensor)[];
  /**
   * Prepares a loop of calls on the given inputs; absent if calls cannot be synchronous. Carried outputs
   * become inputs of the next call in place.
   */
  loop?(inputs: readonly Input[], roles: LoopRoles): Promise<Loop>;
  /** What was compiled, for people to read. */
  describe(): string;
  /** Its kernels as data; absent if there are none, as on `reference`, which interprets the Program. */
  report?(): ExecutableReport;
}

/** One way to run Programs. */
export interface Backend {
  /** The name by which `device` chooses it. */
  readonly name: string;
  /** Whether this machine can run it, which is tried out. */
  available(): Promise<boolean>;
  /**
   * For a backend that needs the user's leave, such as a permission: whether it has that. `auto` passes over it
   * in silence otherwise.
   */
  isAllowed?(): boolean;
  /** What this machine lacks to run it, for people to read; undefined if it lacks nothing. */
  missing(): Promise<string | undefined>;
  /**
   * For a GPU backend, which `auto` chooses for large Programs only: whether this machine has a GPU, and not
   * just an adapter that computes on the CPU.
   */
  hasGpu?(): Promise<boolean>;
  /** Whether it supports every dtype that the Program computes in. */
  supports(program: Program): boolean;
  /** Compiles for any values of the Program's symbolic sizes. */
  compile(program: Program, options: BackendCompileOptions): Promise<Executable>;
  /** Copies a tensor into the device's memory. */
  upload(tensor: HostTensor): Promise<DeviceTensor>;
  /**
   * The same for a tensor whose data does not change as long as the result lives, so that it need not be copied
   * where the device needs it in another form alone; absent if there is no such thing.
   */
  share?(tensor: HostTensor): Promise<DeviceTensor>;
}

/** A device as its folder exports it to `kernels/mod.ts`. */
export interface DeviceEntry {
  /** The backend without options, by whose name `device` chooses it. */
  readonly backend: Backend;
  /** The options besides the name; others are rejected. */
  readonly optionNames: readonly string[];
  /** Checks options of any type; absent if there are none. */
  readonly configure?: (options: Readonly<Record<string, unknown>>) => Configured;
}

/** A device with options. */
export interface Configured {
  /** Its name with the options: the same for equivalent options. */
  readonly text: string;
  /** Makes the backend. */
  readonly create: (name: string) => Backend;
}
