/**
 * The table of a module: words in memory that its code reads, for everything that may differ from call to
 * call. These are the addresses of buffers, and what depends on open sizes: the sizes themselves, strides,
 * numbers such as 1 / batch, and how the work is divided. So code is emitted once for all sizes.
 */
import type { Bindings, Dim } from "../../src/tensor/dims.ts";
import type { DType } from "../../src/tensor/tensor.ts";
import { evaluateDim } from "../../src/tensor/dims.ts";
import type { Buffer, OpenNumber } from "../lowering/views.ts";

/** What the words of a table depend on. */
export interface Filling {
  /** The values of the open sizes. */
  readonly bindings: Bindings;
  /** The byte address of a buffer. */
  readonly addressOf: (buffer: Buffer) => number;
}

/** What a word of a table holds. */
export type Word =
  | { readonly kind: "address"; readonly buffer: Buffer }
  | { readonly kind: "size"; readonly size: Dim }
  /** What only a computation in the library gives; 0 where each call sets the word itself. */
  | { readonly kind: "computed"; readonly value: (bindings: Bindings) => number };

/** The value of a word, in a table that counts addresses in as many bytes. */
function valueOf(word: Word, unit: number, { bindings, addressOf }: Filling): number {
  switch (word.kind) {
    case "address":
      return addressOf(word.buffer) / unit;
    case "size":
      return evaluateDim(word.size, bindings);
    case "computed":
      return word.value(bindings);
  }
}

/** Thrown when a table is full. */
export class TableFull extends Error {}

/** The words of a table while code is emitted, and how each is computed. */
export class Slots {
  readonly #words: Word[] = [];
  /** The indices of words. */
  readonly #known = new Map<unknown, number>();

  /**
   * @param address Of the first word.
   * @param capacity How many words there is memory for.
   * @param unit In how many bytes the table counts addresses.
   */
  constructor(readonly address: number, readonly capacity: number, readonly unit = 1) {}

  /** The same words in a table at another address. */
  movedTo(address: number): Slots {
    const moved = new Slots(address, this.length, this.unit);
    moved.#words.push(...this.#words);
    for (const [key, index] of this.#known) moved.#known.set(key, index);
    return moved;
  }

  /** The index of the word for an input or output (by its name), a buffer or a flag; undefined if none is read. */
  indexOf(key: unknown): number | undefined {
    return this.#known.get(key);
  }

  /** The address of a word that each call sets, for what `key` identifies. */
  ofFlag(key: object): number {
    return this.#of(key, { kind: "computed", value: () => 0 });
  }

  /** The address of the word for what `key` identifies. */
  #of(key: unknown, word: Word): number {
    let index = this.#known.get(key);
    if (index === undefined) {
      if (this.#words.length === this.capacity) throw new TableFull();
      index = this.#words.push(word) - 1;
      this.#known.set(key, index);
    }
    return this.address + 4 * index;
  }

  /** The address of the word that holds a buffer's address. */
  ofBuffer(buffer: Buffer): number {
    const { storage } = buffer;
    // All views of an input or output share its word.
    const key = storage.kind === "input" || storage.kind === "output"
      ? `${storage.kind} ${storage.index}`
      : buffer;
    return this.#of(key, { kind: "address", buffer });
  }

  /** The address of the word that holds a size. */
  ofSize(size: Dim): number {
    return this.#of(size, { kind: "size", size });
  }

  /** The address of the word that holds a number of this type, as tensors hold it; a bool has all bits alike. */
  ofNumber(number: OpenNumber, dtype: DType): number {
    const value = (bindings: Bindings) => {
      const value = number(bindings);
      if (dtype === "float32") return new Int32Array(Float32Array.of(value).buffer)[0];
      return dtype === "bool" ? (value ? -1 : 0) : value;
    };
    return this.#of(number, { kind: "computed", value });
  }

  /** The address of a word for anything else; equal keys share it. */
  of(key: string, value: (bindings: Bindings) => number): number {
    return this.#of(`of ${key}`, { kind: "computed", value });
  }

  /** What the words hold, in the order of their addresses. */
  get words(): readonly Word[] {
    return this.#words;
  }

  /** How many words there are. */
  get length(): number {
    return this.#words.length;
  }

  /** All words, in the order of their addresses. */
  fill(filling: Filling): Int32Array {
    return Int32Array.from(this.#words, (word) => valueOf(word, this.unit, filling));
  }
}
