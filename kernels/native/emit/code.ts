/** The C of a kernel in the making: its lines, and the names of what it reads from the table of its Program. */
import { addDims, type Bindings, type Dim, multiplyDims } from "../../../src/tensor/dims.ts";
import { quotientOf } from "../../../src/tensor/quotients.ts";
import type { DType } from "../../../src/tensor/tensor.ts";
import type { Slots } from "../../cpu/slots.ts";
import type { Buffer, OpenNumber, View } from "../../lowering/views.ts";
import type { MathName } from "../../math/mod.ts";
import { identifierOf } from "./identifiers.ts";

/** The C type of an element in memory; a bool is an integer. */
export function elementType(dtype: DType): "float" | "int32_t" {
  return dtype === "float32" ? "float" : "int32_t";
}

/** Texts that are sizes already, and need no parentheses. */
function isSimple(text: string): boolean {
  return /^-?\w+$/.test(text);
}

/** A factor of a product. */
export function factor(text: string): string {
  return isSimple(text) ? text : `(${text})`;
}

/** A product of two sizes as text. */
export function times(a: string, b: string): string {
  if (a === "0" || b === "0") return "0";
  if (a === "1") return b;
  if (b === "1") return a;
  return `${factor(a)} * ${factor(b)}`;
}

/** A sum as text, without zeros. */
export function plus(...terms: readonly string[]): string {
  const kept = terms.filter((term) => term !== "0");
  if (kept.length === 0) return "0";
  return kept.reduce((sum, term) => term.startsWith("-") ? `${sum} - ${term.slice(1)}` : `${sum} + ${term}`);
}

/** Where the kernels of a Program find what they read, in C. */
export interface Names {
  /** The type of indices and sizes. */
  readonly indexType: "int64_t" | "int32_t";
  /** The value of an open size. */
  symbol(symbol: string): string;
  /** A number that depends on the sizes of a call; equal keys mean the same. */
  at(key: string, word: (bindings: Bindings) => number): string;
  /** A word that each call sets, for what `key` identifies. */
  flag(key: object): string;
  /** The bits of a number that depends on the sizes of a call. */
  openNumber(number: OpenNumber, dtype: DType): string;
  /** The address of a buffer of these elements; equal texts mean the same one. */
  buffer(buffer: Buffer, type: "float" | "int32_t"): string;
  /** Whether a buffer is never written. */
  isConstant(buffer: Buffer): boolean;
  /** Whether memory that is needed soon is asked for: not where all of it is equally near. */
  readonly asksAhead: boolean;
}

/** Everything is read from the table of a call. */
export function tableNames(slots: Slots): Names {
  const index = (address: number) => (address - slots.address) / 4;
  const word = (address: number) => `c->table[${index(address)}]`;
  return {
    indexType: "int64_t",
    symbol: (symbol) => word(slots.of(`the size ${symbol}`, (bindings) => bindings[symbol])),
    at: (key, value) => word(slots.of(key, value)),
    flag: (key) => word(slots.ofFlag(key)),
    openNumber: (number, dtype) => word(slots.ofNumber(number, dtype)),
    buffer: (buffer) => `at(c, ${index(slots.ofBuffer(buffer))})`,
    isConstant: () => false,
    asksAhead: true,
  };
}

/** A function of this type and name, with a body that says what parameters it does not use. */
export function functionText(head: string, parameters: string, body: string): string {
  const names = parameters.split(", ").map((parameter) => parameter.match(/\w+$/)?.[0] ?? "");
  const unused = names.filter((each) => !new RegExp(`\\b${each}\\b`).test(body));
  const marks = unused.length > 0 ? `  ${unused.map((each) => `(void)${each}`).join(", ")};\n` : "";
  return `${head}(${parameters}) {\n${marks}${body}\n}\n`;
}

/** A size: a number, or a polynomial of open sizes and quotients of them. */
export function printSize(dim: Dim, symbolText: (symbol: string) => string): string {
  if (typeof dim === "number") return `${dim}`;
  return plus(
    ...Object.entries(dim.terms).map(([monomial, coefficient]) => {
      if (monomial === "") return `${coefficient}`;
      const symbols = monomial.split("*").map((name) => {
        const quotient = quotientOf(name);
        return quotient
          ? `((${printSize(quotient.dividend, symbolText)}) / ${quotient.divisor})`
          : symbolText(name);
      });
      return coefficient === 1
        ? symbols.join(" * ")
        : `${coefficient < 0 ? "-" : ""}${Math.abs(coefficient) === 1 ? "" : `${Math.abs(coefficient)} * `}${
          symbols.join(" * ")
        }`;
    }),
  );
}

/** What the kernels of a Program share while they are written. */
export interface Shared {
  readonly names: Names;
  /** The mathematical functions that are called. */
  readonly functions: Set<MathName>;
}

/** The body of a function. */
export class KernelSource {
  readonly #shared: Shared;
  /** Declarations of what is read from the table. */
  readonly #declared: string[] = [];
  readonly #lines: string[] = [];
  readonly #names = new Map<string, number>();
  readonly #known = new Map<unknown, string>();
  #depth = 1;

  constructor(shared: Shared) {
    this.#shared = shared;
  }

  /** The functions that are called. */
  get functions(): Set<MathName> {
    return this.#shared.functions;
  }

  /** The type of indices and sizes. */
  get indexType(): Names["indexType"] {
    return this.#shared.names.indexType;
  }

  /** Whether memory that is needed soon is asked for. */
  get asksAhead(): boolean {
    return this.#shared.names.asksAhead;
  }

  /** A name that nothing else has here. */
  name(wish: string): string {
    const plain = identifierOf(wish);
    const count = this.#names.get(plain) ?? 0;
    this.#names.set(plain, count + 1);
    return count === 0 ? plain : this.name(`${plain}_${count}`);
  }

  /** Adds a line. */
  line(text: string): this {
    this.#lines.push(`${"  ".repeat(this.#depth)}${text}`);
    return this;
  }

  /** Adds a block: what stands before the brace, and what is within. */
  block(head: string, write: () => void): this {
    this.line(`${head} {`);
    this.#depth++;
    write();
    this.#depth--;
    return this.line("}");
  }

  /** A loop of an index of this name, from 0 or `from` to below `to`; an axis of one element needs none. */
  loop(
    wish: string,
    to: string,
    write: (index: string) => void,
    { from = "0", step = "1" }: { readonly from?: string; readonly step?: string } = {},
  ): this {
    if (to === "1" && from === "0" && step === "1") {
      write("0");
      return this;
    }
    const index = this.name(wish);
    const next = step === "1" ? `${index}++` : `${index} += ${step}`;
    return this.block(
      `for (${this.indexType} ${index} = ${from}; ${index} < ${to}; ${next})`,
      () => write(index),
    );
  }

  /** Loops over axes, from the outermost. */
  loops(wish: string, dims: readonly Dim[], write: (indices: readonly string[]) => void): this {
    const [dim, ...rest] = dims;
    if (dim === undefined) {
      write([]);
      return this;
    }
    return this.loop(wish, this.size(dim), (index) => {
      this.loops(wish, rest, (others) => write([index, ...others]));
    });
  }

  #once(key: unknown, wish: string, declare: (name: string) => string): string {
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const name = this.name(wish);
    this.#known.set(key, name);
    this.#declared.push(`  ${declare(name)}`);
    return name;
  }

  /** A size: a number, or a polynomial of the sizes that the table has. */
  size(dim: Dim): string {
    return printSize(dim, (symbol) => this.#symbol(symbol));
  }

  #symbol(symbol: string): string {
    return this.#once(
      `size ${symbol}`,
      symbol,
      (name) => `const ${this.indexType} ${name} = ${this.#shared.names.symbol(symbol)};`,
    );
  }

  /** A number that depends on the sizes of a call; equal keys mean the same. */
  at(key: string, word: (bindings: Bindings) => number): string {
    return this.#shared.names.at(key, word);
  }

  /** A word that each call sets, for what `key` identifies. */
  flag(key: object): string {
    return this.#shared.names.flag(key);
  }

  /** The bits of a number that depends on the sizes of a call. */
  openNumber(number: OpenNumber, dtype: DType): string {
    return this.#shared.names.openNumber(number, dtype);
  }

  /** A pointer to the beginning of a buffer. */
  buffer(buffer: Buffer, type: "float" | "int32_t"): string {
    const address = this.#shared.names.buffer(buffer, type);
    return this.#once(
      `${type} at ${address}`,
      buffer.name,
      (name) => `${this.pointerType(buffer, type)} *const ${name} = ${address};`,
    );
  }

  /** The type of a buffer's elements, which is constant if they are never written. */
  pointerType(buffer: Buffer, type: "float" | "int32_t"): string {
    return this.#shared.names.isConstant(buffer) ? `const ${type}` : type;
  }

  /** A pointer to a view's element at an offset; default: its first. */
  pointer(view: View, offset = view.offset): string {
    const type = elementType(view.dtype);
    const base = this.buffer(view.buffer, type);
    const moved = plus(
      this.size(offset),
      ...view.loops.map(({ loop, stride }) => times(`t${loop}`, this.size(stride))),
      ...(view.share === undefined ? [] : [times("c->share", this.size(view.share))]),
    );
    if (moved === "0") return base;
    return this.#once(
      `${base} + ${moved}`,
      `${base}_at`,
      (name) =>
        `${this.pointerType(view.buffer, type)} *const ${name} = ${base} + ${moved};`.replace("+ -", "- "),
    );
  }

  /** The distance of an element from the first, for the indices of axes. */
  distance(indices: readonly string[], strides: readonly Dim[]): string {
    return plus(...indices.map((index, axis) => times(index, this.size(strides[axis]))));
  }

  /** The whole body. */
  get text(): string {
    return [...this.#declared, ...this.#lines].join("\n");
  }
}

/** The last index along an axis of this size. */
export function lastOf(size: Dim): Dim {
  return addDims(size, -1);
}

/** The offset of the last element along an axis. */
export function lastAlong({ offset, strides, shape }: View, axis: number): Dim {
  return addDims(offset, multiplyDims(lastOf(shape[axis]), strides[axis]));
}
