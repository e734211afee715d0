/** Rows of a left operand, laid out from a view of more axes: see `kernels/cpu/gathered.ts`. */
import { i32, type Local } from "../assembler.ts";
import { axesOf, type Gathered } from "../../cpu/gathered.ts";
import { loopOver } from "./address.ts";
import { ELEMENT, type KernelCode } from "./code.ts";

/** Runs of up to so many vectors are copied without a loop. */
const FEW_VECTORS = 8;

/** Where rows are laid out from and to. */
export interface LaidOut {
  readonly gathered: Gathered;
  /** The address of the view's first element. */
  readonly base: Local;
  /** The address of the first row to write. */
  readonly to: Local;
}

/** Writes `count` rows from row `first` on, one after the other. Up to three elements behind the last one change. */
export function writeRows(f: KernelCode, { gathered, base, to }: LaidOut, first: Local, count: Local): void {
  const { rows, terms } = axesOf(gathered);
  const [row, end, from, rest, at, some, index, put] = Array.from({ length: 8 }, () => f.local(i32));
  const outer = rows.slice(0, -1), inner = rows.at(-1) ?? { size: 1, stride: 0 };
  f.get(first).set(row).get(first).get(count).op("i32.add").set(end).get(to).set(put);
  f.block(() => {
    f.get(row).get(end).op("i32.ge_u").brIf(0);
    f.loop(() => {
      f.get(row).size(inner.size).op("i32.rem_u").set(at).get(row).size(inner.size).op("i32.div_u").set(rest);
      f.get(base).get(at).bytes(inner.stride).op("i32.mul").op("i32.add").set(from);
      for (const { size, stride } of outer.toReversed()) {
        f.get(from).get(rest).size(size).op("i32.rem_u").bytes(stride).op("i32.mul").op("i32.add").set(from);
        f.get(rest).size(size).op("i32.div_u").set(rest);
      }
      // The rows up to the end of the innermost axis are evenly apart.
      f.size(inner.size).get(at).op("i32.sub").tee(some).get(end).get(row).op("i32.sub").tee(rest);
      f.get(some).get(rest).op("i32.lt_u").op("select").set(some);
      f.i32(0).set(index).count(index, { local: some }, 1, () => {
        writeRow(f, terms, from, put);
        f.move(from, inner.stride);
      });
      f.get(row).get(some).op("i32.add").tee(row).get(end).op("i32.lt_u").brIf(0);
    });
  });
}

/** Copies a row and moves `put` behind it. */
function writeRow(f: KernelCode, terms: ReturnType<typeof axesOf>["terms"], from: Local, put: Local): void {
  const { size, stride } = terms.at(-1) ?? { size: 1, stride: 1 };
  const outer = terms.slice(0, -1);
  const moving = [{ local: from, strides: outer.map(({ stride }) => stride) }];
  loopOver(f, outer.map(({ size }) => size), moving, () => {
    if (stride === 1) {
      const vectors = Math.ceil(size / 4);
      if (vectors <= FEW_VECTORS) {
        for (let vector = 0; vector < vectors; vector++) {
          f.get(put).get(from).memory("v128.load", 16 * vector).memory("v128.store", 16 * vector);
        }
      } else {
        const offset = f.local(i32);
        f.i32(0).set(offset).count(offset, 16 * vectors, 16, () => {
          f.get(put).get(offset).op("i32.add").get(from).get(offset).op("i32.add");
          f.memory("v128.load").memory("v128.store");
        });
      }
    } else {
      const place = f.local(i32), offset = f.local(i32);
      f.get(from).set(place).i32(0).set(offset).count(offset, size * ELEMENT, ELEMENT, () => {
        f.get(put).get(offset).op("i32.add").get(place).memory("f32.load").memory("f32.store");
        f.move(place, stride);
      });
    }
    f.move(put, size);
  });
}
