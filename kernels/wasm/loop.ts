/**
 * Loops of calls on the wasm backend: every input and output has a permanent place. A carried value has two,
 * which swap roles from call to call, so a call only copies its fresh inputs in, runs, and copies its results
 * out.
 */
import { allocateValues, type HostTensor, type Spec, type Values } from "../../src/tensor/tensor.ts";
import type { Input, Loop, LoopRoles } from "../backend.ts";
import { StoredTensor } from "../stored_tensor.ts";
import type { DeviceMemory } from "./memory.ts";
import { sizeOf } from "../shapes.ts";

/** A place for a tensor, with a view of it that is renewed when the memory grows. */
interface Slot {
  readonly spec: Spec & { readonly shape: readonly number[] };
  readonly address: number;
  readonly size: number;
  view: Float32Array | Int32Array;
}

/** What a loop needs of a compiled Program. */
interface Runnable {
  readonly run: (changed: boolean) => void;
  /** The inputs that are packed once, and what is packed now. */
  readonly packedOnce: readonly number[];
  lastPacked: unknown;
  readonly tableAddress: number;
}

/** A loop; the executable that created it must outlive it. */
export class WasmLoop implements Loop {
  readonly #memory: DeviceMemory;
  readonly #runnable: Runnable;
  /** Whether what is packed once changes with every call of this loop. */
  readonly #packsEveryTime: boolean;
  readonly #fresh: readonly Slot[];
  readonly #results: readonly Slot[];
  /** The two places of each carried value: the one that is read next, and the other. */
  readonly #carried: readonly {
    readonly input: number;
    readonly output: number;
    readonly slots: readonly [Slot, Slot];
  }[];
  readonly #addresses: Uint32Array;
  readonly #tableAddress: number;
  #table: Int32Array;
  #buffer: ArrayBufferLike;
  #turn = 0;
  #disposed = false;

  constructor(
    memory: DeviceMemory,
    runnable: Runnable,
    inputs: readonly Input[],
    outputs: readonly (Spec & { readonly shape: readonly number[] })[],
    { carried, fresh }: LoopRoles,
  ) {
    this.#memory = memory;
    const { tableAddress } = runnable;
    this.#runnable = runnable;
    this.#packsEveryTime = runnable.packedOnce.some((index) =>
      fresh.includes(index) || carried.some(({ input }) => input === index)
    );
    this.#tableAddress = tableAddress;
    const slotFor = (spec: Spec & { readonly shape: readonly number[] }): Slot => {
      const size = sizeOf(spec.shape);
      const address = memory.allocate(size * 4, () => "it was for a loop of calls");
      return {
        spec: { shape: spec.shape, dtype: spec.dtype },
        address,
        size,
        view: viewAt(memory, spec, address, size),
      };
    };
    const places = inputs.map(slotFor);
    inputs.forEach((input, index) => {
      if (input.kind === "host") memory.write(places[index].address, input);
      else if (input instanceof StoredTensor) {
        memory.copy(input.address, places[index].address, places[index].size * 4);
      } else throw new TypeError("Cannot begin a loop with a tensor of another device");
    });
    this.#fresh = fresh.map((index) => places[index]);
    this.#carried = carried.map(({ input, output }) => ({
      input,
      output: inputs.length + output,
      slots: [places[input], slotFor(inputs[input])],
    }));
    const results = outputs.map((spec, index) =>
      carried.some(({ output }) => output === index) ? undefined : slotFor(spec)
    );
    this.#results = results.filter((slot) => slot !== undefined);
    this.#addresses = Uint32Array.from([
      ...places.map(({ address }) => address),
      ...results.map((slot) => slot?.address ?? 0),
    ]);
    this.#buffer = memory.memory.buffer;
    this.#table = memory.words(tableAddress, this.#addresses.length);
  }

  /** Views are on the old buffer; growing the memory creates a new one. */
  #refresh(): void {
    const { buffer } = this.#memory.memory;
    if (buffer === this.#buffer) return;
    this.#buffer = buffer;
    this.#table = this.#memory.words(this.#tableAddress, this.#addresses.length);
    const all = [...this.#fresh, ...this.#results, ...this.#carried.flatMap(({ slots }) => slots)];
    for (const slot of all) slot.view = viewAt(this.#memory, slot.spec, slot.address, slot.size);
  }

  run(fresh: readonly HostTensor[]): HostTensor[] {
    if (this.#disposed) throw new Error("Cannot run a loop: it was disposed");
    this.#refresh();
    for (let i = 0; i < this.#fresh.length; i++) this.#fresh[i].view.set(fresh[i].data);
    for (const { input, output, slots } of this.#carried) {
      this.#addresses[input] = slots[this.#turn].address;
      this.#addresses[output] = slots[1 - this.#turn].address;
    }
    this.#table.set(this.#addresses);
    const changed = this.#packsEveryTime || this.#runnable.lastPacked !== this;
    this.#runnable.lastPacked = undefined; // in case the call fails
    this.#runnable.run(changed);
    this.#runnable.lastPacked = this;
    this.#turn = 1 - this.#turn;
    const results: HostTensor[] = new Array(this.#results.length);
    for (let i = 0; i < results.length; i++) results[i] = take(this.#results[i]);
    return results;
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
    const addresses = new Set([
      ...[...this.#addresses].filter((address) => address !== 0).map((address) => address >>> 0),
      ...this.#carried.flatMap(({ slots }) => slots.map(({ address }) => address)),
    ]);
    for (const address of addresses) this.#memory.free(address);
  }
}

function viewAt(
  memory: DeviceMemory,
  { dtype }: Spec,
  address: number,
  size: number,
): Float32Array | Int32Array {
  return dtype === "float32"
    ? new Float32Array(memory.memory.buffer, address, size)
    : memory.words(address, size);
}

function take({ spec: { shape, dtype }, size, view }: Slot): HostTensor {
  const data: Values = allocateValues(dtype, size);
  data.set(view);
  return { kind: "host", shape, dtype, data };
}
