/**
 * The table of a Program: words that its code reads from a uniform, for everything that may differ from call to
 * call. These are the places of buffers, and what depends on open sizes: the sizes themselves, strides, and
 * numbers such as 1 / batch. So code is written once for all sizes.
 */
import { type Bindings, type Dim, evaluateDim } from "../../../src/tensor/dims.ts";
import type { DType } from "../../../src/tensor/tensor.ts";
import type { Buffer, OpenNumber } from "../../lowering/views.ts";

/** What the words depend on. */
export interface Filling {
  /** The values of the open sizes. */
  readonly bindings: Bindings;
  /** The element of its array at which a buffer begins. */
  readonly placeOf: (buffer: Buffer) => number;
}

/** A word: how it is computed, and what it is, for people to read. */
interface Word {
  readonly text: string;
  readonly value: (filling: Filling) => number;
}

/** The names of words. */
const NAMES = /\b(?:at|size|number)_\d+\b/g;

/** The most words that a function declares. */
const MOST_DECLARED = 16;

/** A word with the place of an input or output, which each call sets. */
export interface OutsideWord {
  readonly index: number;
  readonly kind: "input" | "output";
  /** Which input or output. */
  readonly at: number;
  /** What is added to the place. */
  readonly offset: Dim;
}

/** A size rounded up to whole groups of `unit`, as the number of groups. */
export function groupsOf(size: number, unit: number): number {
  return Math.ceil(size / unit);
}

/** The words that code reads, each added when it is first needed. */
export class Table {
  readonly #words: Word[] = [];
  readonly #known = new Map<string, number>();
  readonly #buffers = new Map<Buffer, number>();
  readonly #numbers = new Map<OpenNumber, number>();
  readonly #outside: OutsideWord[] = [];

  /** How many words there are. */
  get length(): number {
    return this.#words.length;
  }

  /** The index of the word for `key`. */
  #indexOf(key: string, word: () => Word): number {
    let index = this.#known.get(key);
    if (index === undefined) this.#known.set(key, index = this.#words.push(word()) - 1);
    return index;
  }

  /** An expression for the element at which a buffer begins, plus an offset if that depends on open sizes. */
  at(buffer: Buffer, offset: Dim = 0): string {
    const { kind } = buffer.storage;
    // All views of an input or output share its words.
    const key = "index" in buffer.storage
      ? `${kind} ${buffer.storage.index}`
      : `buffer ${this.#numberOf(buffer)}`;
    const index = this.#indexOf(`${key} + ${offset}`, () => ({
      text: offset === 0 ? buffer.name : `${buffer.name} + ${offset}`,
      value: ({ placeOf, bindings }) => placeOf(buffer) + evaluateDim(offset, bindings),
    }));
    if ("index" in buffer.storage && !this.#outside.some((word) => word.index === index)) {
      this.#outside.push({ index, kind: buffer.storage.kind, at: buffer.storage.index, offset });
    }
    return `at_${index}`;
  }

  #numberOf(buffer: Buffer): number {
    const known = this.#buffers.get(buffer) ?? this.#buffers.size;
    this.#buffers.set(buffer, known);
    return known;
  }

  /** An expression for a size: a literal, or a word. */
  size(dim: Dim): string {
    return typeof dim === "number" ? `${dim}` : this.of(`${dim}`, (bindings) => evaluateDim(dim, bindings));
  }

  /** An expression for what depends on open sizes; equal texts mean the same. */
  of(text: string, value: (bindings: Bindings) => number): string {
    return `size_${this.#indexOf(text, () => ({ text, value: ({ bindings }) => value(bindings) }))}`;
  }

  /** How many groups of `unit` a size has, the last of which may not be whole. */
  groups(dim: Dim, unit: number): string {
    if (typeof dim === "number") return `${groupsOf(dim, unit)}`;
    if (unit === 1) return this.size(dim);
    return this.of(`groups of ${unit} in ${dim}`, (bindings) => groupsOf(evaluateDim(dim, bindings), unit));
  }

  /** An expression for the bits of a number that depends on open sizes, as tensors of the dtype have it. */
  number(number: OpenNumber, dtype: DType): string {
    const known = this.#numbers.get(number) ?? this.#numbers.size;
    this.#numbers.set(number, known);
    const index = this.#indexOf(`number ${known} as ${dtype}`, () => ({
      text: `a number of ${dtype}`,
      value: ({ bindings }) => {
        const value = number(bindings);
        return dtype === "float32" ? new Int32Array(Float32Array.of(value).buffer)[0] : value;
      },
    }));
    return `number_${index}`;
  }

  /**
   * The text of a function with the words that it uses: declared at its beginning, or if these are many read where
   * they are used, as compilers take long over many values that live throughout a function.
   */
  resolve(text: string): string {
    const names = [...new Set(text.match(NAMES))];
    const place = (name: string) => {
      const index = indexIn(name);
      return { word: `table[${Math.floor(index / 4)}][${index % 4}]`, what: this.#words[index].text };
    };
    if (names.length > MOST_DECLARED) return text.replace(NAMES, (name) => place(name).word);
    const declared = names.map(place).map(({ word, what }, at) =>
      `  let ${names[at]} = ${word}; // ${what}\n`
    );
    return declared.join("") + text;
  }

  /** The words for inputs and outputs. */
  get outside(): readonly OutsideWord[] {
    return this.#outside;
  }

  /** Bytes of all words. */
  get bytes(): number {
    return 16 * Math.max(1, groupsOf(this.#words.length, 4));
  }

  /** All words; those of inputs and outputs are zero. */
  fill(filling: Filling): Int32Array<ArrayBuffer> {
    const words = new Int32Array(this.bytes / 4);
    this.#words.forEach(({ value }, index) => words[index] = value(filling));
    for (const { index } of this.#outside) words[index] = 0;
    return words;
  }
}

function indexIn(name: string): number {
  return Number(name.slice(name.indexOf("_") + 1));
}

/** Declares as much of the table as a text reads. */
export function declareTable(text: string): string {
  const indices = [...text.matchAll(/\btable\[(\d+)\]/g)].map(([, index]) => Number(index));
  return `var<uniform> table: array<vec4<i32>, ${Math.max(0, ...indices) + 1}>;`;
}
