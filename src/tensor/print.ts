/**
 * Tensors as text, and the hook by which `console.log` prints them so. A large tensor is shown by the first and
 * last entries of its axes.
 */
import { hookOf, INSPECT } from "../inspect.ts";
import { printShape } from "./dims.ts";

/** What is printed of a host tensor. */
interface Printed {
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly data: ArrayLike<number>;
}

/** How many entries are shown at each end of the last axis, of the one before it, and of those around. */
type Ends = readonly [last: number, rows: number, outer: number];

const ON_A_LINE = 72;
const ALONE: Ends = [4, 3, 1];
const NESTED: Ends = [1, 1, 1];

function formatValue(value: number, dtype: string): string {
  if (dtype === "bool") return value === 0 ? "false" : "true";
  if (Object.is(value, -0)) return "-0";
  return String(Number.isInteger(value) && Math.abs(value) < 1e6 ? value : Number(value?.toPrecision(4)));
}

/**
 * A tensor as text: `float32[2, 3] [[1, 2, 3], [4, 5, 6]]`, and in lines if it is longer. Floats are rounded to
 * four digits.
 *
 * @param nested Whether it is part of something printed, so that it has to fit on a line.
 */
export function printHostTensor({ shape, dtype, data }: Printed, nested = false): string {
  const rank = shape.length;
  const sizes = shape.map((_, axis) => shape.slice(axis + 1).reduce((size, dim) => size * dim, 1));
  const endsOf = (axis: number, [last, rows, outer]: Ends) => [last, rows][rank - 1 - axis] ?? outer;
  const render = (ends: Ends, gap: (axis: number) => string, pad = 0): string => {
    const from = (axis: number, offset: number): string => {
      if (axis === rank) return formatValue(data[offset], dtype).padStart(pad);
      const shown = endsOf(axis, ends);
      const size = shape[axis];
      const entry = (index: number) => from(axis + 1, offset + index * sizes[axis]);
      const run = (start: number, count: number) =>
        Array.from({ length: count }, (_, index) => entry(start + index));
      const entries = size <= 2 * shown + 1
        ? run(0, size)
        : [...run(0, shown), "…".padStart(axis === rank - 1 ? pad : 0), ...run(size - shown, shown)];
      return `[${entries.join(gap(axis))}]`;
    };
    return from(0, 0);
  };
  const head = `${dtype}${printShape(shape)}`;
  const line = render(nested ? NESTED : ALONE, () => ", ");
  if (nested) return line.length <= ON_A_LINE ? `${head} ${line}` : head;
  if (line.length <= ON_A_LINE) return `${head} ${line}`;
  const width = Math.max(...line.split(/[[\], ]+/).map((text) => text.length));
  const inLines = (axis: number) => axis === rank - 1 ? ", " : ",\n" + " ".repeat(axis + 1);
  return `${head}\n${render(ALONE, inLines, width)}`;
}

const HOOK: PropertyDescriptor = {
  value: hookOf<Printed>((tensor, depth) => printHostTensor(tensor, depth < 2)),
  enumerable: false,
};

/**
 * The same host tensor, printed short by `console.log`. The hook is no part of its data: it is not enumerable, so
 * that it is neither compared nor copied nor cloned.
 */
export function printable<T extends Printed>(tensor: T): T {
  return Object.defineProperty(tensor, INSPECT, HOOK);
}
