/** Device memory for the inputs and outputs of an executable that are on the host. */
import type { TensorMemory } from "./stored_tensor.ts";

interface StagedBlock {
  readonly address: number;
  /** Its size in elements. */
  readonly size: number;
}

/** The blocks, reused from call to call and each as large as the largest tensor so far. */
export class Staging implements Disposable {
  readonly #memory: Pick<TensorMemory, "allocate" | "free">;
  readonly #blocks: Readonly<Record<"input" | "output", (StagedBlock | undefined)[]>> = {
    input: [],
    output: [],
  };

  constructor(memory: Pick<TensorMemory, "allocate" | "free">) {
    this.#memory = memory;
  }

  /** The address of an input or output of `size` elements. */
  addressOf(kind: "input" | "output", index: number, size: number): number {
    const blocks = this.#blocks[kind], known = blocks[index];
    if (known && known.size >= size) return known.address;
    if (known) {
      blocks[index] = undefined;
      this.#memory.free(known.address);
    }
    const address = this.#memory.allocate(size * 4, () => `it was for ${kind} ${index}`);
    blocks[index] = { address, size };
    return address;
  }

  [Symbol.dispose](): void {
    for (const blocks of Object.values(this.#blocks)) {
      for (const block of blocks) if (block) this.#memory.free(block.address);
      blocks.length = 0;
    }
  }
}
