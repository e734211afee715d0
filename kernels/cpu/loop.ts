/**
 * Loops of calls on a processor. A carried value has one place in each loop, and there is one spare place
 * for it: a call writes the spare one, which the loop then keeps, and leaves its former one as the spare. So a
 * call only copies its fresh inputs in, runs, and copies its results out. Inputs that stay the same and lie on
 * the device are read where they lie; all else that is not a loop's own is in loop_places.ts.
 */
import { printable } from "../../src/tensor/print.ts";
import { allocateValues, type HostTensor, type Values } from "../../src/tensor/tensor.ts";
import type { Input, Loop, LoopRoles } from "../backend.ts";
import { sizeOf } from "../shapes.ts";
import { type Attached, StoredTensor } from "../stored_tensor.ts";
import { type LoopCode, type LoopPlaces, placesFor, type SizedSpec, viewAt, WHAT } from "./loop_places.ts";
import { packedInput, packedOf } from "./packed.ts";

/** The memory of loops that were dropped without being disposed of is freed when they are collected. */
const dropped = new FinalizationRegistry<Held>(free);

/** What a loop has for itself alone; it does not refer to the loop. */
interface Held {
  readonly places: LoopPlaces;
  /** The addresses of all inputs; those of carried values change with every call. */
  readonly inputs: number[];
  /** The inputs whose places are its own. */
  readonly own: number[];
  /** The packed forms of operands that change from call to call, or came from the host. */
  readonly forms: Attached[];
  readonly retained: Disposable[];
}

function free({ places, inputs, own, forms, retained }: Held): void {
  for (const input of own.splice(0)) places.memory.free(inputs[input]);
  for (const { address } of forms.splice(0)) places.memory.free(address);
  for (const tensor of retained.splice(0)) tensor[Symbol.dispose]();
  places.leave();
}

/** A loop; it cannot run once its executable is disposed of. */
export class CpuLoop implements Loop {
  readonly #code: LoopCode;
  readonly #held: Held;
  readonly #packed: readonly Attached[];
  #disposed = false;

  constructor(code: LoopCode, inputs: readonly Input[], outputs: readonly SizedSpec[], roles: LoopRoles) {
    this.#code = code;
    const { device: { memory }, plans } = code;
    const places = placesFor(code, inputs, outputs, roles);
    const held: Held = { places, inputs: new Array(inputs.length).fill(0), own: [], forms: [], retained: [] };
    const changes = new Set([...roles.fresh, ...roles.carried.map(({ input }) => input)]);
    const staysOnDevice = (index: number): StoredTensor | undefined => {
      const input = inputs[index];
      return input instanceof StoredTensor && !changes.has(index) ? input : undefined;
    };
    try {
      places.enter();
      inputs.forEach((input, index) => {
        if (roles.fresh.includes(index)) return; // in scratch, and written by every call
        const stored = staysOnDevice(index);
        if (stored) {
          held.retained.push(stored.retain());
          if (!plans.code.onlyPacked.has(index) || !stored.source) held.inputs[index] = stored.address;
          return;
        }
        const bytes = sizeOf(input.shape) * 4;
        held.inputs[index] = memory.allocate(bytes, WHAT, "loops");
        held.own.push(index);
        if (input.kind === "host") memory.write(held.inputs[index], input);
        else if (input instanceof StoredTensor) memory.copy(input.address, held.inputs[index], bytes);
        else throw new TypeError("Cannot begin a loop with a tensor of another device");
      });
      this.#packed = plans.code.packs.map((kernel): Attached => {
        const index = packedInput(kernel), stored = staysOnDevice(index);
        if (!stored) {
          const form = { address: memory.allocate(kernel.packed.size * 4, WHAT, "loops"), isReady: false };
          held.forms.push(form);
          return form;
        }
        const form = packedOf(stored, kernel), { source } = stored;
        if (source && !form.isReady && plans.code.onlyPacked.has(index)) {
          plans.packFromHost(kernel, source, form);
        }
        return form;
      });
    } catch (error) {
      free(held);
      throw error;
    }
    this.#held = held;
    dropped.register(this, held, this);
  }

  run(fresh: readonly HostTensor[]): HostTensor[] {
    const { fresh: from, results: to } = this.#begin();
    for (let i = 0; i < from.length; i++) from[i].view.set(fresh[i].data);
    this.#call();
    const results: HostTensor[] = new Array(to.length);
    for (let i = 0; i < results.length; i++) results[i] = taken(to[i].spec, to[i].view);
    return results;
  }

  runInto(fresh: readonly Values[], results: readonly Values[]): void {
    const { fresh: from, results: to } = this.#begin();
    for (let i = 0; i < from.length; i++) copy(fresh[i], from[i].view);
    this.#call();
    for (let i = 0; i < to.length; i++) copy(to[i].view, results[i]);
  }

  #begin(): LoopPlaces {
    if (this.#disposed) throw new Error("Cannot run a loop: it was disposed");
    const { places } = this.#held;
    places.refresh();
    return places;
  }

  /** Runs the code on what lies in the places of fresh inputs. */
  #call(): void {
    const { plans, bound } = this.#code;
    const { places: { fresh, outputs, carried, repacked }, inputs } = this.#held;
    for (let i = 0; i < fresh.length; i++) inputs[fresh[i].index] = fresh[i].address;
    for (let i = 0; i < repacked.length; i++) this.#packed[repacked[i]].isReady = false;
    plans.run(bound, inputs, outputs, this.#packed);
    for (let i = 0; i < carried.length; i++) {
      const { input, output } = carried[i];
      const spare = inputs[input];
      inputs[input] = outputs[output];
      outputs[output] = spare;
    }
  }

  read(): HostTensor[] {
    const { places: { carried, memory }, inputs } = this.#held;
    return carried.map(({ input, spec }) => taken(spec, viewAt(memory, spec, inputs[input])));
  }

  write(values: readonly HostTensor[]): void {
    const { places: { carried, memory }, inputs } = this.#held;
    carried.forEach(({ input }, index) => memory.write(inputs[input], values[index]));
  }

  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    dropped.unregister(this);
    free(this.#held);
  }
}

/** Elements up to which a loop copies faster than the call of `set` or `slice`. */
const FEW = 16;

function copy(from: Values, to: Values): void {
  if (from.length > FEW) to.set(from);
  else for (let i = 0; i < from.length; i++) to[i] = from[i];
}

function taken({ shape, dtype }: SizedSpec, view: Float32Array | Int32Array): HostTensor {
  if (view.length > FEW && dtype !== "bool") {
    return printable<HostTensor>({ kind: "host", shape, dtype, data: view.slice() });
  }
  const data = allocateValues(dtype, view.length);
  for (let i = 0; i < data.length; i++) data[i] = view[i];
  return printable<HostTensor>({ kind: "host", shape, dtype, data });
}
