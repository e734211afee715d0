/**
 * The function `prepare(sizes…)` of a module of its own: it places the regions for these sizes, grows the memory,
 * and fills the table that the kernels read. It returns 1, or 0 where a size is less than 1 or the memory would be
 * larger than a module can have; then the sizes before stay prepared.
 */
import { type Dim, symbolsOf } from "../../../src/tensor/dims.ts";
import { quotientOf } from "../../../src/tensor/quotients.ts";
import type { DType } from "../../../src/tensor/tensor.ts";
import type { OpenValue } from "../../standalone/roles.ts";
import { sizeOf } from "../../shapes.ts";
import { f64, type FunctionBuilder, i32, type Local, type ModuleBuilder } from "../assembler.ts";
import { ALIGNMENT, type Region } from "./layout.ts";

const PAGE = 65536;
/** The last page stays free, so that every address is one of 32 bits. */
const LAST_END = 65535 * PAGE;
const ELEMENT = 4;

/** An address: fixed, or that of the region with a piece of this key. */
export type Place<Key> = { readonly address: number } | { readonly key: Key };

/** What is written to a word of memory. */
export interface WordAt<Key> {
  readonly address: number;
  readonly value: { readonly size: Dim } | Place<Key>;
}

/** A value that follows from sizes, and where it is written. */
export interface Filling<Key> {
  readonly value: OpenValue;
  readonly shape: readonly Dim[];
  readonly dtype: DType;
  readonly place: Place<Key>;
}

/** What `prepare` does. */
export interface Preparation<Key> {
  readonly sizes: readonly string[];
  /** Where the first region begins. */
  readonly begin: number;
  readonly regions: readonly Region<Key>[];
  readonly words: readonly WordAt<Key>[];
  readonly fillings: readonly Filling<Key>[];
}

/** Adds `prepare` to a module. */
export function addPrepare<Key>(
  module: ModuleBuilder,
  { sizes, begin, regions, words, fillings }: Preparation<Key>,
): FunctionBuilder {
  const f = module.addFunction("prepare", sizes.map(() => i32), [i32]);
  const refuse = () => f.i32(0).op("return");
  const exact = sizes.map(() => f.local(f64));
  sizes.forEach((_, size) => {
    f.get(size).i32(1).op("i32.lt_s").if(refuse);
    f.get(size).op("f64.convert_i32_s").set(exact[size]);
  });

  // Sizes are summed as f64, which holds them all exactly as long as they are addresses, and grows beyond.
  const places = new Map<Key, Local>();
  const end = f.local(f64);
  f.f64(begin).set(end);
  for (const region of regions) {
    const at = f.local(f64);
    f.get(end).set(at);
    for (const { key } of region) places.set(key, at);
    region.forEach(({ size }, index) => {
      pushExact(f, size, (name) => exact[sizes.indexOf(name)]);
      if (index > 0) f.op("f64.max");
    });
    const perUnit = ALIGNMENT / ELEMENT;
    f.f64(1 / perUnit).op("f64.mul").op("f64.ceil").f64(ALIGNMENT).op("f64.mul").get(end).op("f64.add").set(
      end,
    );
  }
  f.get(end).f64(LAST_END - ALIGNMENT).op("f64.gt").if(refuse);
  // Kernels may read a few elements past a buffer.
  const missing = f.local(i32);
  f.get(end).f64(ALIGNMENT).op("f64.add").f64(1 / PAGE).op("f64.mul").op("f64.ceil").op("i32.trunc_f64_u");
  f.op("memory.size").op("i32.sub").set(missing);
  f.get(missing).i32(0).op("i32.gt_s").if(() => {
    f.get(missing).op("memory.grow").i32(-1).op("i32.eq").if(refuse);
  });

  const pushSize = (size: Dim) => pushWhole(f, size, (name) => sizes.indexOf(name));
  const pushPlace = (place: Place<Key>) => {
    if ("address" in place) return f.i32(place.address);
    const at = places.get(place.key);
    if (at === undefined) throw new Error("A place has no region");
    return f.get(at).op("i32.trunc_f64_u");
  };
  for (const { address, value } of words) {
    f.i32(address);
    if ("size" in value) pushSize(value.size);
    else pushPlace(value);
    f.memory("i32.store");
  }
  for (const { value, shape, dtype, place } of fillings) {
    pushPlace(place);
    const to = f.local(i32);
    f.set(to);
    /** Stores the number that `push` pushes, and goes on to the next element. */
    const store = (push: () => void) => {
      f.get(to);
      push();
      if (dtype === "float32") f.op("f32.convert_i32_s").memory("f32.store");
      else {
        if (dtype === "bool") f.i32(0).op("i32.ne");
        f.memory("i32.store");
      }
      f.get(to).i32(ELEMENT).op("i32.add").set(to);
    };
    if (value.kind === "size") store(() => pushSize(value.size));
    else writeIota(f, shape, value.axis, pushSize, store);
  }
  return f.i32(1);
}

/** Stores 0, 1, 2… along an axis of a row-major tensor. */
function writeIota(
  f: FunctionBuilder,
  shape: readonly Dim[],
  axis: number,
  pushSize: (size: Dim) => void,
  store: (push: () => void) => void,
): void {
  const [outer, count, inner] = [shape.slice(0, axis), [shape[axis]], shape.slice(axis + 1)].map((dims) => {
    const local = f.local(i32);
    pushSize(sizeOf(dims));
    f.set(local);
    return local;
  });
  const loop = (end: Local, write: (counter: Local) => void) => {
    const counter = f.local(i32);
    f.i32(0).set(counter).count(counter, { local: end }, 1, () => write(counter));
  };
  loop(outer, () => loop(count, (index) => loop(inner, () => store(() => f.get(index)))));
}

/** The terms of a size: a coefficient, and the symbols that it is multiplied by. */
function termsOf(
  size: Dim,
): readonly { readonly coefficient: number; readonly symbols: readonly string[] }[] {
  if (typeof size === "number") return [{ coefficient: size, symbols: [] }];
  return Object.entries(size.terms).map(([monomial, coefficient]) => ({
    coefficient,
    symbols: symbolsOf(monomial),
  }));
}

/** Pushes a size as f64. */
function pushExact(f: FunctionBuilder, size: Dim, localOf: (symbol: string) => Local): void {
  termsOf(size).forEach(({ coefficient, symbols }, index) => {
    f.f64(coefficient);
    for (const symbol of symbols) {
      const quotient = quotientOf(symbol);
      if (quotient) {
        pushExact(f, quotient.dividend, localOf);
        f.f64(quotient.divisor).op("f64.div").op("f64.floor").op("f64.mul");
      } else f.get(localOf(symbol)).op("f64.mul");
    }
    if (index > 0) f.op("f64.add");
  });
}

/** Pushes a size as i32. */
function pushWhole(f: FunctionBuilder, size: Dim, localOf: (symbol: string) => Local): void {
  termsOf(size).forEach(({ coefficient, symbols }, index) => {
    f.i32(coefficient);
    for (const symbol of symbols) {
      const quotient = quotientOf(symbol);
      if (quotient) {
        pushWhole(f, quotient.dividend, localOf);
        f.i32(quotient.divisor).op("i32.div_s").op("i32.mul");
      } else f.get(localOf(symbol)).op("i32.mul");
    }
    if (index > 0) f.op("i32.add");
  });
}
