/**
 * An Executable whose first inputs are often those of the call before, such as the weights of a model: after some calls
 * in a row with the same tensors on a device, what only moves their elements is not computed again, and its results stay
 * on the device until others are given.
 */
import {
  type Backend,
  type BackendCompileOptions,
  DeviceOutOfMemory,
  type Executable,
  type ExecutableReport,
  type Input,
} from "../../kernels/backend.ts";
import type { Program } from "../program/types.ts";
import type { DeviceTensor, HostTensor } from "../tensor/tensor.ts";
import { type FixedLayouts, takeFixedLayouts } from "./fixed_layouts.ts";

/**
 * How many calls in a row compute all before one makes layouts for those that follow. To make and keep them costs about as much as they take in
 * three calls: measured for a detector of voices on wasm, 0.7 ms and 0.27 ms. So whoever stops then has paid twice at most.
 */
const CALLS_BEFORE = 3;

/**
 * Compiles a Program.
 *
 * @param fixed How many of its first inputs are often the same as in the call before; none of them is donated.
 */
export async function compileLaidOut(
  backend: Backend,
  program: Program,
  fixed: number,
  options: BackendCompileOptions,
): Promise<Executable> {
  const whole = await backend.compile(program, options);
  const { layouts, ...rest } = takeFixedLayouts(program, fixed);
  if (!layouts) return whole;
  return new LaidOutExecutable(whole, {
    reads: layouts.reads,
    inputsOf: (inputs, laidOut) => [
      ...rest.kept.map((index) => inputs[index]),
      ...laidOut,
      ...inputs.slice(fixed),
    ],
    compile: () => compileParts(backend, { ...rest, layouts }, fixed, options),
  });
}

/** The layouts, and what follows. */
interface Parts {
  readonly layouts: Executable;
  readonly rest: Executable;
}

async function compileParts(
  backend: Backend,
  { program, count, layouts }: FixedLayouts & Required<Pick<FixedLayouts, "layouts">>,
  fixed: number,
  { donate, keep }: BackendCompileOptions,
): Promise<Parts> {
  const before = await backend.compile(layouts.program, {
    donate: layouts.reads.map(() => false),
    keep: layouts.program.outputs.map(() => true),
  });
  try {
    const ofFixed = Array.from({ length: count }, () => false);
    const rest = await backend.compile(program, { donate: [...ofFixed, ...donate.slice(fixed)], keep });
    return { layouts: before, rest };
  } catch (error) {
    before[Symbol.dispose]();
    throw error;
  }
}

/** How a Program falls into parts. */
interface Division {
  /** Which inputs are laid out. */
  readonly reads: readonly number[];
  /** The inputs of what follows. */
  readonly inputsOf: (inputs: readonly Input[], laidOut: readonly Input[]) => readonly Input[];
  readonly compile: () => Promise<Parts>;
}

/** What was laid out, and what reads it. */
interface LaidOut {
  readonly tensors: readonly Input[];
  readonly rest: Executable;
  /** How many calls are reading it. */
  users: number;
}

type Results = (HostTensor | DeviceTensor)[];

class LaidOutExecutable implements Executable {
  readonly runSync?: (inputs: readonly Input[]) => Results;
  readonly report?: () => ExecutableReport;
  readonly #whole: Executable;
  readonly #division: Division;
  /** What the last call read of what can be laid out; weakly, as what is kept here must not keep it. */
  #last: readonly WeakRef<Input>[] = [];
  /** How many calls in a row have read that. */
  #calls = 0;
  /** That, laid out, once calls with it begin at once. */
  #laidOut: LaidOut | undefined;
  /** Until it is. */
  #layingOut: Promise<void> | undefined;
  #parts: Parts | undefined;
  #compiling: Promise<Parts> | undefined;
  #isDisposed = false;

  constructor(whole: Executable, division: Division) {
    this.#whole = whole;
    this.#division = division;
    const now = whole.runSync?.bind(whole), report = whole.report?.bind(whole);
    if (now) this.runSync = (inputs) => this.#runSync(inputs, now);
    if (report) this.report = () => this.#laidOut?.rest.report?.() ?? report();
  }

  async run(inputs: readonly Input[]): Promise<Results> {
    if (!this.#isWorth(inputs)) return await this.#whole.run(inputs);
    const laidOut = this.#laidOut;
    // A call reads its inputs before anything is awaited, so what must be awaited is for later calls.
    if (!laidOut) {
      const results = this.#whole.run(inputs);
      return (await Promise.all([results, this.#layingOut ??= this.#layOut(inputs)]))[0];
    }
    const given = this.#division.inputsOf(inputs, laidOut.tensors);
    const preparing = laidOut.rest.prepare?.(given);
    if (preparing) return (await Promise.all([this.#whole.run(inputs), preparing]))[0];
    laidOut.users++;
    try {
      return await laidOut.rest.run(given);
    } catch (error) {
      this.#goOnWithout(laidOut, error);
    } finally {
      laidOut.users--;
      if (laidOut !== this.#laidOut) letGoUnused(laidOut);
    }
    return await this.#whole.run(inputs);
  }

  #runSync(inputs: readonly Input[], whole: (inputs: readonly Input[]) => Results): Results {
    const laidOut = this.#isWorth(inputs) ? this.#laidOut : undefined;
    if (!laidOut?.rest.runSync) return whole(inputs);
    try {
      return laidOut.rest.runSync(this.#division.inputsOf(inputs, laidOut.tensors));
    } catch (error) {
      this.#goOnWithout(laidOut, error);
    }
    return whole(inputs);
  }

  /** Counts a call; whether what it can lay out was that of enough calls before. */
  #isWorth(inputs: readonly Input[]): boolean {
    const given = this.#division.reads.map((index) => inputs[index]);
    const isSame = this.#last.length > 0 &&
      given.every((input, index) => input === this.#last[index].deref() && isThere(input));
    if (isSame) return ++this.#calls > CALLS_BEFORE;
    this.#forget();
    this.#last = given.map((input) => new WeakRef(input));
    this.#calls = 1;
    return false;
  }

  /** Gets ready for calls like this one. */
  async #layOut(inputs: readonly Input[]): Promise<void> {
    const last = this.#last;
    const given = this.#division.reads.map((index) => inputs[index]);
    const isWanted = () => this.#last === last && !this.#isDisposed && given.every(isThere);
    let tensors: readonly Input[] = [];
    try {
      const { layouts, rest } = this.#parts ?? await this.#compile();
      if (!isWanted()) return;
      await layouts.prepare?.(given);
      if (!isWanted()) return;
      tensors = await layouts.run(given);
      await rest.prepare?.(this.#division.inputsOf(inputs, tensors));
      if (isWanted()) this.#laidOut = { tensors, rest, users: 0 };
    } catch (error) {
      if (!isWanted()) return; // what others do meanwhile, such as disposing of an input, is no error of the call
      if (!(error instanceof DeviceOutOfMemory)) throw error;
      this.#calls = -Infinity; // not again for these
    } finally {
      if (this.#laidOut?.tensors !== tensors) dispose(tensors);
      if (this.#last === last) this.#layingOut = undefined;
    }
  }

  /** After a call that had no memory left; throws what else it threw. */
  #goOnWithout(laidOut: LaidOut, error: unknown): void {
    if (!(error instanceof DeviceOutOfMemory)) throw error;
    if (this.#laidOut !== laidOut) return;
    this.#calls = -Infinity; // not again for these
    this.#forget();
  }

  /** Both parts, compiled once. */
  #compile(): Promise<Parts> {
    return this.#compiling ??= this.#division.compile().then((parts) => {
      if (this.#isDisposed) disposeParts(parts);
      return this.#parts = parts;
    }).finally(() => this.#compiling = undefined);
  }

  #forget(): void {
    if (this.#laidOut) letGoUnused(this.#laidOut);
    this.#laidOut = this.#layingOut = undefined;
  }

  describe(): string {
    const { layouts, rest } = this.#parts ?? {};
    const again = layouts && rest
      ? ["where the first inputs are those of calls before, once", layouts, "and in each call", rest]
      : [];
    return [this.#whole, ...again].map((part) => typeof part === "string" ? part : part.describe()).join(
      "\n\n",
    );
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    this.#forget();
    this.#whole[Symbol.dispose]();
    if (this.#parts) disposeParts(this.#parts);
  }
}

function disposeParts({ layouts, rest }: Parts): void {
  layouts[Symbol.dispose]();
  rest[Symbol.dispose]();
}

/** Frees what was laid out once no call reads it. */
function letGoUnused({ tensors, users }: LaidOut): void {
  if (users === 0) dispose(tensors);
}

function dispose(tensors: readonly Input[]): void {
  for (const tensor of tensors) if (tensor.kind === "device") tensor[Symbol.dispose]();
}

/** Whether it lies on a device, where nothing writes to it. */
function isThere(input: Input): boolean {
  return input.kind === "device" && !input.disposed;
}
