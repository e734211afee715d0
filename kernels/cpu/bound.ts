/**
 * What a Program's code needs for a set of sizes: a plan of memory, and the words of the code's table. Both
 * are arithmetic; nothing is compiled for new sizes.
 */
import type { Program } from "../../src/program/types.ts";
import { type Bindings, evaluateDim, evaluateShape } from "../../src/tensor/dims.ts";
import { sizesAt } from "../lowering/kinds/kind.ts";
import type { HostTensor } from "../../src/tensor/tensor.ts";
import { packFromHost, type StayingPack } from "./packed.ts";
import { bytesOfPlan, KeptPlans } from "../kept_plans.ts";
import { type Arena, placeBuffers } from "../lowering/arena.ts";
import type { Buffer } from "../lowering/views.ts";
import { sizeOf } from "../shapes.ts";
import type { Code, CpuDevice } from "./device.ts";
import { cpuFunctions } from "./kernels.ts";
import type { RowPart } from "../../src/tensor/rows.ts";
import { type InputReads, inputReads, readPart } from "./read_parts.ts";
import type { Attached } from "../stored_tensor.ts";

/** The code for a set of sizes. */
export interface Bound {
  readonly bindings: Bindings;
  readonly arena: Arena;
  /** Bytes of scratch for intermediate results. */
  readonly bytes: number;
  readonly isSingleThreaded: boolean;
  readonly outputs: readonly { readonly shape: readonly number[]; readonly size: number }[];
  /** For each input, what is copied of it if it comes from the host; all of it if undefined. */
  readonly parts: readonly (RowPart | undefined)[];
  /** What it needs memory for. */
  readonly describe: () => string;
  /** The words of the table, for intermediate results from this address on. */
  words: Int32Array | undefined;
  base: number;
}

function put(words: Int32Array, index: number | undefined, word: number): void {
  if (index !== undefined) words[index] = word;
}

function describeArena({ bytes, offsets }: Arena, bindings: Bindings): string {
  const sizes = [...offsets.keys()].map(({ name, size }) => ({
    name,
    bytes: evaluateDim(size, bindings) * 4,
  }));
  const largest = sizes.sort((a, b) => b.bytes - a.bytes).slice(0, 5);
  const named = largest.map(({ name, bytes }) => `${name} (${bytes} bytes)`).join(", ");
  return `the plan takes ${bytes} bytes${
    named && `, its largest buffers are ${named}`
  }; a scan with checkpointEvery keeps less, and so does a smaller batch`;
}

/** The code of a Program, with the plans of the sizes that were used last. */
export class Plans implements Disposable {
  readonly code: Code;
  readonly #device: CpuDevice;
  readonly #program: Program;
  readonly #bounds = new KeptPlans<Bound>();
  /** The addresses of constants, which keep their values. */
  readonly #constants = new Map<Buffer, number>();
  /** Constants that depend on open sizes, and the sizes that they are written for. */
  readonly #open: readonly Buffer[];
  #writtenFor: Bound | undefined;
  /** The indices of words in the table: of the addresses of inputs and outputs, and for each packed operand. */
  readonly #inputs: readonly (number | undefined)[];
  readonly #outputs: readonly (number | undefined)[];
  #table: Int32Array | undefined;
  #tableOf: ArrayBufferLike | undefined;
  /** What the table was written for last. */
  #entered: Bound | undefined;
  readonly #reads: InputReads;
  readonly #packs: readonly { readonly address: number | undefined; readonly stale: number | undefined }[];

  constructor(device: CpuDevice, program: Program, code: Code) {
    this.code = code;
    this.#device = device;
    this.#program = program;
    const { slots } = code;
    this.#inputs = program.inputs.map((_, index) => slots.indexOf(`input ${index}`));
    this.#outputs = program.outputs.map((_, index) => slots.indexOf(`output ${index}`));
    this.#packs = code.packs.map((kernel) => ({
      address: slots.indexOf(kernel.packed),
      stale: slots.indexOf(kernel),
    }));
    this.#reads = inputReads(code.kernels);
    const constants = new Set(
      code.kernels.flatMap(cpuFunctions.buffersOf).filter(({ storage }) => storage.kind === "constant"),
    );
    this.#open = [...constants].filter(({ storage }) =>
      storage.kind === "constant" && typeof storage.value === "function"
    );
    for (const buffer of constants) {
      if (buffer.storage.kind !== "constant" || typeof buffer.storage.value === "function") continue;
      this.#write(buffer, buffer.storage.value);
    }
  }

  #write(buffer: Buffer, value: Parameters<CpuDevice["memory"]["write"]>[1]): void {
    const { memory } = this.#device;
    const before = this.#constants.get(buffer);
    if (before !== undefined) memory.free(before);
    this.#constants.delete(buffer);
    const address = memory.allocate(value.data.length * 4, () => "it was for a constant", "constants");
    memory.write(address, value);
    this.#constants.set(buffer, address);
  }

  /**
   * The plan for these sizes.
   *
   * @throws RangeError if the Program has no result for them.
   */
  for(bindings: Bindings, key: string): Bound {
    const known = this.#bounds.get(key);
    if (known) return known;
    const bound = this.#plan(bindings);
    return this.#bounds.add(key, bound, bytesOfPlan([bound.arena], this.code.slots.length));
  }

  #plan(bindings: Bindings): Bound {
    const { lifetimes, check, isSingleThreaded, planned } = this.code;
    check(bindings);
    planned?.(sizesAt(bindings));
    const arena = placeBuffers(lifetimes, { bindings });
    const describe = () => describeArena(arena, bindings);
    return {
      bindings,
      describe,
      arena,
      bytes: arena.bytes,
      isSingleThreaded: isSingleThreaded(sizesAt(bindings)),
      outputs: this.#program.outputs.map(({ shape }) => {
        const concrete = evaluateShape(shape, bindings);
        return { shape: concrete, size: sizeOf(concrete) };
      }),
      parts: this.#program.inputs.map(({ shape }, index) => {
        const reads = this.#reads.get(index);
        return reads && readPart(reads, evaluateShape(shape, bindings), bindings);
      }),
      words: undefined,
      base: 0,
    };
  }

  /** All plans, with the text of their sizes. */
  get kept(): Pick<KeptPlans<Bound>, "entries" | "describe"> {
    return this.#bounds;
  }

  /** How many threads took part in the last call that was shared. */
  get threadsNow(): number {
    return this.code.threadsNow();
  }

  /**
   * Runs the code on inputs, outputs and packed operands at these addresses; scratch has its bytes. Of the
   * table, what depends on sizes is written only if the last call had others.
   */
  run(
    bound: Bound,
    inputs: readonly number[],
    outputs: readonly number[],
    packed: readonly Attached[],
  ): void {
    const device = this.#device;
    const base = device.scratch.take(this, bound.bytes, bound.describe);
    if (this.#entered !== bound || bound.base !== base) this.#enter(bound, base);
    const { slots, alone, together = alone } = this.code, { unit } = slots;
    const words = this.#words(slots.length);
    for (let index = 0; index < inputs.length; index++) put(words, this.#inputs[index], inputs[index] / unit);
    for (let index = 0; index < outputs.length; index++) {
      put(words, this.#outputs[index], outputs[index] / unit);
    }
    for (let index = 0; index < packed.length; index++) {
      put(words, this.#packs[index].address, packed[index].address / unit);
      put(words, this.#packs[index].stale, packed[index].isReady ? 0 : 1);
    }
    device.guard(bound.isSingleThreaded ? alone : together);
    for (let index = 0; index < packed.length; index++) packed[index].isReady = true;
  }

  /** Packs an operand that nothing else reads from the host. */
  packFromHost(kernel: StayingPack, source: HostTensor, form: Attached): void {
    const { memory, panelColumns } = this.#device;
    const { pack } = this.code;
    if (!pack) throw new Error("A module without operands that stay packed has nothing to pack");
    const places: number[] = [];
    const place = (bytes: number): number => {
      const address = memory.allocate(bytes, () => "it was for a piece of an operand", "packed operands");
      places.push(address);
      return address;
    };
    try {
      this.#device.guard(() =>
        packFromHost(kernel, source, form.address, { pack, memory, panelColumns, place })
      );
      form.isReady = true;
    } finally {
      for (const address of places) memory.free(address);
    }
  }

  /** Writes what depends on sizes to the table. */
  #enter(bound: Bound, base: number): void {
    if (this.#open.length > 0 && this.#writtenFor !== bound) this.#writeOpen(bound);
    const words = bound.words !== undefined && bound.base === base ? bound.words : this.#fill(bound, base);
    this.#words(words.length).set(words);
    this.#entered = bound;
  }

  /** The words of the table. */
  #words(count: number): Int32Array {
    const { memory } = this.#device;
    if (this.#table === undefined || this.#tableOf !== memory.buffer) {
      this.#tableOf = memory.buffer;
      this.#table = memory.words(this.code.slots.address, count);
    }
    return this.#table;
  }

  /** The words for intermediate results from `base` on. */
  #fill(bound: Bound, base: number): Int32Array {
    bound.base = base;
    return bound.words = this.code.slots.fill({
      bindings: bound.bindings,
      addressOf: (buffer) => {
        const constant = this.#constants.get(buffer);
        if (constant !== undefined) return constant;
        const offset = bound.arena.offsets.get(buffer);
        return offset === undefined ? 0 : base + offset; // inputs, outputs and packed operands follow at the call
      },
    });
  }

  /** Writes the constants that depend on open sizes. */
  #writeOpen(bound: Bound): void {
    for (const buffer of this.#open) {
      if (buffer.storage.kind !== "constant" || typeof buffer.storage.value !== "function") continue;
      this.#write(buffer, buffer.storage.value(bound.bindings));
    }
    this.#writtenFor = bound;
    bound.words = undefined; // the addresses may be others
  }

  [Symbol.dispose](): void {
    this.#device.scratch.leave(this);
    for (const address of this.#constants.values()) this.#device.memory.free(address);
    this.#constants.clear();
    this.#bounds.clear();
    this.code.unload();
  }
}
