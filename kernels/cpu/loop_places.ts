/**
 * The places that loops of the same code on inputs of the same sizes have in common, as calls follow one
 * another: those of fresh inputs and results, which are in scratch, and a spare place for each carried value.
 */
import type { Spec } from "../../src/tensor/tensor.ts";
import type { Input, LoopRoles } from "../backend.ts";
import { sizeOf } from "../shapes.ts";
import type { Bound, Plans } from "./bound.ts";
import type { CpuDevice, CpuMemory } from "./device.ts";
import { packedInput } from "./packed.ts";

/** What a loop runs. */
export interface LoopCode {
  readonly device: CpuDevice;
  readonly plans: Plans;
  readonly bound: Bound;
  /** Held, as its plans are freed when it is collected. */
  readonly executable: object;
}

/** A spec without open sizes. */
export type SizedSpec = Spec & { readonly shape: readonly number[] };

/** A place in scratch, with a view of it that is renewed when the memory grows or scratch moves. */
interface Slot {
  /** Of the input or output that is there. */
  readonly index: number;
  readonly spec: SizedSpec;
  /** Relative to the beginning of scratch. */
  readonly offset: number;
  address: number;
  view: Float32Array | Int32Array;
}

/** Places in scratch begin at multiples of this many bytes. */
const ALIGNMENT = 64;

/** The view of a place before the first call. */
const NOTHING = new Int32Array(0);

/** By the sizes and roles. */
const known = new WeakMap<Bound, Map<string, LoopPlaces>>();

/** The places for loops of these roles; the same for all whose inputs have the same sizes. */
export function placesFor(
  code: LoopCode,
  inputs: readonly Input[],
  outputs: readonly SizedSpec[],
  roles: LoopRoles,
): LoopPlaces {
  const ofSizes = known.get(code.bound) ?? new Map<string, LoopPlaces>();
  known.set(code.bound, ofSizes);
  const key = `${roles.fresh};${roles.carried.map(({ input, output }) => `${input}-${output}`)}`;
  const places = ofSizes.get(key) ?? new LoopPlaces(code, inputs, outputs, roles);
  ofSizes.set(key, places);
  return places;
}

/** What loops have in common; spare places are there as long as there is a loop. */
export class LoopPlaces {
  readonly memory: CpuMemory;
  readonly fresh: readonly Slot[];
  readonly results: readonly Slot[];
  readonly carried: readonly { readonly input: number; readonly output: number; readonly spec: SizedSpec }[];
  /** The addresses of all outputs; those of carried values are the spare places. */
  readonly outputs: number[];
  /** The packed operands that change from call to call. */
  readonly repacked: readonly number[];
  readonly #code: Omit<LoopCode, "executable">;
  /** Bytes of scratch, for intermediate results and then fresh inputs and results. */
  readonly #bytes: number;
  #base = -1;
  #buffer: ArrayBufferLike | undefined;
  #users = 0;

  constructor(
    { device, plans, bound }: LoopCode,
    inputs: readonly Input[],
    outputs: readonly SizedSpec[],
    { fresh, carried }: LoopRoles,
  ) {
    this.memory = device.memory;
    this.#code = { device, plans, bound }; // without the executable, which is collected when its loops are
    let bytes = bound.bytes;
    const slotFor = (index: number, { shape, dtype }: SizedSpec): Slot => {
      const offset = bytes;
      bytes += Math.ceil(sizeOf(shape) * 4 / ALIGNMENT) * ALIGNMENT;
      return { index, spec: { shape, dtype }, offset, address: 0, view: NOTHING };
    };
    this.fresh = fresh.map((index) => slotFor(index, inputs[index]));
    this.results = outputs.flatMap((spec, index) =>
      carried.some(({ output }) => output === index) ? [] : [slotFor(index, spec)]
    );
    this.#bytes = bytes;
    this.carried = carried.map(({ input, output }) => {
      const { shape, dtype } = inputs[input];
      return { input, output, spec: { shape, dtype } };
    });
    this.outputs = outputs.map(() => 0);
    const changes = new Set([...fresh, ...carried.map(({ input }) => input)]);
    this.repacked = plans.code.packs.flatMap((kernel, index) =>
      changes.has(packedInput(kernel)) ? [index] : []
    );
  }

  /** Counts one more loop. */
  enter(): void {
    this.#users++;
    for (const { output, spec } of this.carried) {
      if (this.outputs[output] !== 0) continue;
      this.outputs[output] = this.memory.allocate(sizeOf(spec.shape) * 4, () => "it was for a loop of calls");
    }
  }

  /** Counts one less; the last one frees the spare places. */
  leave(): void {
    if (--this.#users > 0) return;
    for (const { output } of this.carried) {
      if (this.outputs[output] !== 0) this.memory.free(this.outputs[output]);
      this.outputs[output] = 0;
    }
  }

  /** Sees to it that the views are on the present buffer, and scratch where it is now. */
  refresh(): void {
    const { device: { memory, scratch }, plans, bound } = this.#code;
    const base = scratch.take(plans, this.#bytes, bound.describe);
    if (memory.buffer !== this.#buffer || base !== this.#base) this.#renew(base);
  }

  /**
   * Makes the views anew, as growing the memory creates another buffer, and scratch may move. Apart from what
   * every call does, which must not even make the context of a function in it.
   */
  #renew(base: number): void {
    this.#buffer = this.memory.buffer;
    this.#base = base;
    for (const slot of [...this.fresh, ...this.results]) {
      slot.address = base + slot.offset;
      slot.view = viewAt(this.memory, slot.spec, slot.address);
    }
    for (const { index, address } of this.results) this.outputs[index] = address;
  }
}

/** A view of the elements at an address. */
export function viewAt(memory: CpuMemory, { shape, dtype }: SizedSpec, address: number): Slot["view"] {
  const size = sizeOf(shape);
  return dtype === "float32" ? new Float32Array(memory.buffer, address, size) : memory.words(address, size);
}
