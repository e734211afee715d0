/**
 * Rows of a host tensor in some order, such as a batch of shuffled samples, that are copied when their values are read.
 * A device whose memory lies in this process copies them there instead, and only the part of each row that it needs.
 */
import { printable } from "./print.ts";
import type { HostTensor, Values } from "./tensor.ts";

/** Which rows of which tensor another one has. */
export interface Rows {
  readonly source: HostTensor;
  /** The index of each row in the source, in order. */
  readonly indices: ArrayLike<number>;
}

/** Where a tensor of rows says which they are; no part of its data, which is neither compared nor copied with it. */
const ROWS = Symbol("rows");

interface RowsTensor extends HostTensor {
  readonly [ROWS]?: Rows;
}

/**
 * A tensor of rows of another one, which must not change before it is used.
 *
 * @param allocate Where they are copied to, if anything reads their values.
 */
export function rowsTensor(rows: Rows, allocate: () => Values): HostTensor {
  const { source: { dtype, shape }, indices } = rows;
  let data: Values | undefined;
  const tensor = printable<RowsTensor>({
    kind: "host",
    shape: [indices.length, ...shape.slice(1)],
    dtype,
    get data() {
      return data ??= copied(rows, allocate());
    },
  });
  // Once its values have been read, they may have been changed as well.
  return Object.defineProperty(tensor, ROWS, { get: () => data === undefined ? rows : undefined });
}

/** Which rows a tensor has, if it was made by `rowsTensor` and its values have not been read. */
export function rowsOf(tensor: RowsTensor): Rows | undefined {
  return tensor[ROWS];
}

function copied(rows: Rows, to: Values): Values {
  copyRows(rows, to);
  return to;
}

/** Of each row of so many elements, those from `first` on. */
export interface RowPart {
  readonly row: number;
  readonly first: number;
  readonly count: number;
}

/** Up to so many elements are copied one by one, which takes less than a view of them. */
const FEW = 8;

/**
 * Copies rows to an array, one after the other.
 *
 * @param part What of each row is copied, to where it lies in whole rows; default all.
 */
export function copyRows(
  { source: { data, shape }, indices }: Rows,
  to: Values,
  part: RowPart | undefined = undefined,
): void {
  const row = rowSize(shape), { first, count } = part ?? { first: 0, count: row };
  for (let i = 0; i < indices.length; i++) {
    const from = indices[i] * row + first, at = i * row + first;
    if (count > FEW) to.set(data.subarray(from, from + count), at);
    else for (let j = 0; j < count; j++) to[at + j] = data[from + j];
  }
}

/** The elements of a row of a tensor, whose first axis are the rows. */
export function rowSize(shape: readonly number[]): number {
  return shape.slice(1).reduce((size, dim) => size * dim, 1);
}
