/**
 * Loops of calls on the wasm backend: a carried value has two places, which swap roles from call to call, so a
 * call only copies its fresh inputs in, runs, and copies its results out. Fresh inputs and results are in
 * scratch; inputs that stay the same and lie on the device are read where they lie.
 */
import { allocateValues, type HostTensor, type Spec, type Values } from "../../src/tensor/tensor.ts";
import type { Input, Loop, LoopRoles } from "../backend.ts";
import { sizeOf } from "../shapes.ts";
import { type Attached, StoredTensor } from "../stored_tensor.ts";
import type { Bound, Plans } from "./bound.ts";
import type { WasmDevice } from "./device.ts";
import type { DeviceMemory } from "./memory.ts";
import { packedInput, packedOf } from "./packed.ts";

/** A place for a tensor, with a view of it that is renewed when the memory grows. */
interface Slot {
  readonly spec: Spec & { readonly shape: readonly number[] };
  /** Of a place in scratch, relative to its beginning. */
  readonly address: number;
  readonly inScratch: boolean;
  readonly size: number;
  view: Float32Array | Int32Array;
}

/** Places in scratch begin at multiples of this many bytes. */
const ALIGNMENT = 64;

/** The view of a place in scratch before the first call. */
const NOTHING = new Int32Array(0);

/** The memory of loops that were dropped without being disposed of is freed when they are collected. */
const dropped = new FinalizationRegistry<Disposable>((held) => held[Symbol.dispose]());

/** What a loop runs. */
export interface LoopCode {
  readonly device: WasmDevice;
  readonly plans: Plans;
  readonly bound: Bound;
  /** Held, as its plans are freed when it is collected. */
  readonly executable: object;
}

/** A loop; it cannot run once its executable is disposed of. */
export class WasmLoop implements Loop {
  readonly #code: LoopCode;
  readonly #fresh: readonly Slot[];
  readonly #results: readonly Slot[];
  /** Which inputs and outputs those are. */
  readonly #freshInputs: readonly number[];
  readonly #resultOutputs: readonly number[];
  /** The two places of each carried value: the one that is read next, and the other. */
  readonly #carried: readonly {
    readonly input: number;
    readonly output: number;
    readonly slots: readonly [Slot, Slot];
  }[];
  readonly #inputs: number[];
  readonly #outputs: number[];
  readonly #packed: Attached[];
  /** Those of operands that change from call to call. */
  readonly #repacked: readonly Attached[];
  readonly #held: Disposable;
  /** Bytes of scratch, for intermediate results and then fresh inputs and results. */
  readonly #bytes: number;
  #base = -1;
  #buffer: ArrayBufferLike | undefined;
  #turn = 0;
  #disposed = false;

  constructor(
    code: LoopCode,
    inputs: readonly Input[],
    outputs: readonly (Spec & { readonly shape: readonly number[] })[],
    { carried, fresh }: LoopRoles,
  ) {
    this.#code = code;
    const { device: { memory }, plans, bound } = code;
    const held = new DisposableStack();
    const allocate = (bytes: number): number => {
      const address = memory.allocate(bytes, () => "it was for a loop of calls");
      held.defer(() => memory.free(address));
      return address;
    };
    let bytes = bound.bytes;
    const slotFor = (spec: Spec & { readonly shape: readonly number[] }, inScratch = false): Slot => {
      const size = sizeOf(spec.shape), address = inScratch ? bytes : allocate(size * 4);
      if (inScratch) bytes += Math.ceil(size * 4 / ALIGNMENT) * ALIGNMENT;
      return {
        spec: { shape: spec.shape, dtype: spec.dtype },
        address,
        inScratch,
        size,
        view: inScratch ? NOTHING : viewAt(memory, spec, address, size),
      };
    };
    try {
      const changes = new Set([...fresh, ...carried.map(({ input }) => input)]);
      const places = inputs.map((input, index): Slot | number => {
        if (input instanceof StoredTensor && !changes.has(index)) {
          held.use(input.retain());
          return plans.code.onlyPacked.has(index) && input.source ? 0 : input.address;
        }
        const slot = slotFor(input, fresh.includes(index));
        if (slot.inScratch) return slot; // written by every call
        if (input.kind === "host") memory.write(slot.address, input);
        else if (input instanceof StoredTensor) memory.copy(input.address, slot.address, slot.size * 4);
        else throw new TypeError("Cannot begin a loop with a tensor of another device");
        return slot;
      });
      const slotOf = (index: number) => places[index] as Slot; // as those that change have
      this.#fresh = fresh.map(slotOf);
      this.#freshInputs = fresh;
      this.#carried = carried.map(({ input, output }) => ({
        input,
        output,
        slots: [slotOf(input), slotFor(inputs[input])],
      }));
      const results = outputs.map((spec, index) =>
        carried.some(({ output }) => output === index) ? undefined : slotFor(spec, true)
      );
      this.#results = results.filter((slot) => slot !== undefined);
      this.#resultOutputs = results.flatMap((slot, index) => slot ? [index] : []);
      this.#inputs = places.map((place) => typeof place === "number" ? place : place.address);
      this.#outputs = results.map((slot) => slot?.address ?? 0);
      const { packs } = plans.code;
      this.#packed = packs.map((kernel): Attached => {
        const index = packedInput(kernel), input = inputs[index];
        if (input instanceof StoredTensor && !changes.has(index)) {
          const form = packedOf(input, kernel);
          const { source } = input;
          if (source && !form.isReady && plans.code.onlyPacked.has(index)) {
            plans.packFromHost(kernel, source, form);
          }
          return form;
        }
        return { address: allocate(kernel.packed.size * 4), isReady: false };
      });
      this.#repacked = this.#packed.filter((_, index) => changes.has(packedInput(packs[index])));
    } catch (error) {
      held.dispose();
      throw error;
    }
    this.#held = held;
    this.#bytes = bytes;
    dropped.register(this, held, this);
  }

  /** Sees to it that the views are on the present buffer, and scratch where it is now. */
  #refresh(): void {
    const { device: { memory, scratch }, plans, bound } = this.#code;
    const base = scratch.take(plans, this.#bytes, bound.describe);
    if (memory.buffer !== this.#buffer || base !== this.#base) this.#renew(base);
  }

  /**
   * Makes the views anew, as growing the memory creates another buffer, and scratch may move. Apart from what
   * every call does, which must not even make the context of a function in it.
   */
  #renew(base: number): void {
    const { memory } = this.#code.device;
    this.#buffer = memory.buffer;
    this.#base = base;
    const all = [...this.#fresh, ...this.#results, ...this.#carried.flatMap(({ slots }) => slots)];
    for (const slot of all) slot.view = viewAt(memory, slot.spec, this.#addressOf(slot), slot.size);
    this.#freshInputs.forEach((input, index) => {
      this.#inputs[input] = this.#addressOf(this.#fresh[index]);
    });
    this.#resultOutputs.forEach((output, index) => {
      this.#outputs[output] = this.#addressOf(this.#results[index]);
    });
  }

  #addressOf({ address, inScratch }: Slot): number {
    return inScratch ? this.#base + address : address;
  }

  run(fresh: readonly HostTensor[]): HostTensor[] {
    this.#begin();
    for (let i = 0; i < this.#fresh.length; i++) this.#fresh[i].view.set(fresh[i].data);
    this.#call();
    const results: HostTensor[] = new Array(this.#results.length);
    for (let i = 0; i < results.length; i++) results[i] = take(this.#results[i]);
    return results;
  }

  runInto(fresh: readonly Values[], results: readonly Values[]): void {
    this.#begin();
    for (let i = 0; i < this.#fresh.length; i++) copy(fresh[i], this.#fresh[i].view);
    this.#call();
    for (let i = 0; i < this.#results.length; i++) copy(this.#results[i].view, results[i]);
  }

  #begin(): void {
    if (this.#disposed) throw new Error("Cannot run a loop: it was disposed");
    this.#refresh();
  }

  /** Runs the code on what lies in the places of fresh inputs. */
  #call(): void {
    for (let i = 0; i < this.#carried.length; i++) {
      const { input, output, slots } = this.#carried[i];
      this.#inputs[input] = slots[this.#turn].address;
      this.#outputs[output] = slots[1 - this.#turn].address;
    }
    for (let i = 0; i < this.#repacked.length; i++) this.#repacked[i].isReady = false;
    const { plans, bound } = this.#code;
    plans.run(bound, this.#inputs, this.#outputs, this.#packed, this);
    this.#turn = 1 - this.#turn;
  }

  read(): HostTensor[] {
    this.#refresh();
    return this.#carried.map(({ slots }) => take(slots[this.#turn]));
  }

  write(carried: readonly HostTensor[]): void {
    this.#refresh();
    this.#carried.forEach(({ slots }, index) => slots[this.#turn].view.set(carried[index].data));
  }

  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    dropped.unregister(this);
    this.#held[Symbol.dispose]();
  }
}

function viewAt(
  memory: DeviceMemory,
  { dtype }: Spec,
  address: number,
  size: number,
): Float32Array | Int32Array {
  return dtype === "float32" ? new Float32Array(memory.buffer, address, size) : memory.words(address, size);
}

/** Elements up to which a loop copies faster than the call of `set`. */
const FEW = 16;

function copy(from: Values, to: Values): void {
  if (from.length > FEW) to.set(from);
  else for (let i = 0; i < from.length; i++) to[i] = from[i];
}

function take({ spec: { shape, dtype }, size, view }: Slot): HostTensor {
  const data: Values = allocateValues(dtype, size);
  data.set(view);
  return { kind: "host", shape, dtype, data };
}
