/** Device memory for the inputs and outputs of an executable that are on the host. */
import type { TensorMemory } from "./stored_tensor.ts";

interface Place {
  readonly address: number;
  /** Its size in elements. */
  readonly size: number;
}

/** The places, reused from call to call and each as large as the largest tensor so far. */
export class Staging implements Disposable {
  readonly #memory: Pick<TensorMemory, "allocate" | "free">;
  readonly #places: Readonly<Record<"input" | "output", (Place | undefined)[]>> = { input: [], output: [] };

  constructor(memory: Pick<TensorMemory, "allocate" | "free">) {
    this.#memory = memory;
  }

  /** The address of an input or output of `size` elements. */
  place(kind: "input" | "output", index: number, size: number): number {
    const places = this.#places[kind], known = places[index];
    if (known && known.size >= size) return known.address;
    if (known) {
      places[index] = undefined;
      this.#memory.free(known.address);
    }
    const address = this.#memory.allocate(size * 4, () => `it was for ${kind} ${index}`);
    places[index] = { address, size };
    return address;
  }

  [Symbol.dispose](): void {
    for (const places of Object.values(this.#places)) {
      for (const place of places) if (place) this.#memory.free(place.address);
      places.length = 0;
    }
  }
}
