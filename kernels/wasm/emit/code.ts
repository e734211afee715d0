/** The code of a kernel: a function that knows the table of its module. */
import { type Bindings, type Dim, multiplyDims } from "../../../src/tensor/dims.ts";
import type { DType } from "../../../src/tensor/tensor.ts";
import { FunctionBuilder, i32, type Local, type ModuleBuilder, type ValueType } from "../assembler.ts";
import type { Buffer, OpenNumber } from "../../lowering/views.ts";
import type { Slots } from "../../cpu/slots.ts";

/** Bytes of an element in every arena. */
export const ELEMENT = 4;

/** How often something happens: a size, or what a local holds. */
export type Extent = Dim | { readonly local: Local };

function isLocal(extent: Extent): extent is { readonly local: Local } {
  return typeof extent === "object" && "local" in extent;
}

/** A function in the making that reads sizes and addresses from a table. */
export class KernelCode extends FunctionBuilder {
  readonly #slots: Slots;

  /** Adds one to a module. */
  static add(
    module: ModuleBuilder,
    slots: Slots,
    name: string,
    params: readonly ValueType[],
    results: readonly ValueType[] = [],
  ): KernelCode {
    return module.add((index) => new KernelCode(slots, name, index, params, results));
  }

  private constructor(
    slots: Slots,
    name: string,
    index: number,
    params: readonly ValueType[],
    results: readonly ValueType[],
  ) {
    super(name, index, params, results);
    this.#slots = slots;
  }

  /** Pushes a size. */
  size(extent: Extent): this {
    if (typeof extent === "number") return this.i32(extent);
    return this.get(isLocal(extent) ? extent.local : this.word(this.#slots.ofSize(extent)));
  }

  /** Pushes the bytes of this many elements. */
  bytes(extent: Extent): this {
    return isLocal(extent)
      ? this.get(extent.local).i32(2).op("i32.shl")
      : this.size(multiplyDims(extent, ELEMENT));
  }

  /** Pushes the bytes of as many elements as are in whole groups of `unit`, a power of two. */
  wholeBytes(extent: Extent, unit: number): this {
    if (typeof extent === "number") return this.i32(Math.floor(extent / unit) * unit * ELEMENT);
    return this.bytes(extent).i32(-unit * ELEMENT).op("i32.and");
  }

  /** Pushes the address of a buffer. */
  address(buffer: Buffer): this {
    return this.i32(this.#slots.ofBuffer(buffer)).memory("i32.load");
  }

  /** Pushes a number in all lanes. */
  openNumber(number: OpenNumber, dtype: DType): this {
    return this.i32(this.#slots.ofNumber(number, dtype)).memory("v128.load32_splat");
  }

  /** Pushes what depends on the sizes of a call; equal keys mean the same. */
  at(key: string, word: (bindings: Bindings) => number): this {
    return this.get(this.word(this.#slots.of(key, word)));
  }

  /** Adds as many bytes as this many elements have to a local. */
  move(local: Local, elements: Dim): this {
    return elements === 0 ? this : this.get(local).bytes(elements).op("i32.add").set(local);
  }

  /** A new local with what `push` pushes. */
  hold(push: () => void): Local {
    push();
    const local = this.local(i32);
    this.set(local);
    return local;
  }

  /** Counts `counter` from its current value up to below `end` by `step`, unsigned. */
  override count(counter: Local, end: Extent, step: number, write: () => void): this {
    const fixed = typeof end === "number" || isLocal(end)
      ? end
      : { local: this.word(this.#slots.ofSize(end)) };
    return super.count(counter, fixed, step, write);
  }

  /** The same with bytes: those of `extent` elements, in steps of `lanes` elements, as long as these are whole. */
  countBytes(counter: Local, extent: Extent, lanes: number, write: () => void): this {
    if (typeof extent === "number") {
      return this.count(counter, Math.floor(extent / lanes) * lanes * ELEMENT, lanes * ELEMENT, write);
    }
    const local = this.hold(() => this.wholeBytes(extent, lanes));
    return this.count(counter, { local }, lanes * ELEMENT, write);
  }
}
