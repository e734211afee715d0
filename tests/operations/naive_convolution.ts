/** Convolution, its adjoint and pooling as loops over numbers, to compare the library with. */

/** Where a window lies along each spatial axis, and how many groups of channels there are. */
export interface Sliding {
  readonly spatial: readonly number[];
  readonly window: readonly number[];
  readonly strides: readonly number[];
  readonly dilation: readonly number[];
  readonly low: readonly number[];
  readonly high: readonly number[];
}

/** All indices of a shape. */
function* indices(shape: readonly number[]): Generator<number[]> {
  if (shape.length === 0) yield [];
  else for (let i = 0; i < shape[0]; i++) for (const rest of indices(shape.slice(1))) yield [i, ...rest];
}

/** The place of an index in a row-major array. */
const place = (index: readonly number[], shape: readonly number[]) =>
  index.reduce((sum, i, axis) => sum * shape[axis] + i, 0);

/** The spatial sizes of the result of a convolution. */
export function sizesOf({ spatial, window, strides, dilation, low, high }: Sliding): number[] {
  return spatial.map((size, axis) =>
    Math.floor((size + low[axis] + high[axis] - (window[axis] - 1) * dilation[axis] - 1) / strides[axis]) + 1
  );
}

/** Calls `visit` for each place of the window and each position in it; `at` is undefined outside of the input. */
export function slide(
  sliding: Sliding,
  visit: (out: number, position: number, at: number | undefined) => void,
): void {
  const { spatial, window, strides, dilation, low } = sliding;
  const sizes = sizesOf(sliding);
  for (const out of indices(sizes)) {
    for (const position of indices(window)) {
      const at = out.map((i, axis) => i * strides[axis] + position[axis] * dilation[axis] - low[axis]);
      const isInside = at.every((i, axis) => i >= 0 && i < spatial[axis]);
      visit(place(out, sizes), place(position, window), isInside ? place(at, spatial) : undefined);
    }
  }
}

const count = (shape: readonly number[]) => shape.reduce((product, size) => product * size, 1);

/** `[batch, ...spatial, in]` and `[...window, in / groups, out]` to `[batch, ...sizes, out]`, flat. */
export function convolved(
  x: ArrayLike<number>,
  kernel: ArrayLike<number>,
  { batch, inner, outer, groups, ...sliding }: Sliding & {
    readonly batch: number;
    readonly inner: number;
    readonly outer: number;
    readonly groups: number;
  },
): number[] {
  const places = count(sizesOf(sliding)), elements = count(sliding.spatial);
  const result = new Array(batch * places * outer).fill(0);
  for (let b = 0; b < batch; b++) {
    slide(sliding, (out, position, at) => {
      if (at === undefined) return;
      for (let o = 0; o < outer; o++) {
        const group = Math.floor(o / (outer / groups));
        for (let i = 0; i < inner / groups; i++) {
          const seen = x[(b * elements + at) * inner + group * inner / groups + i];
          result[(b * places + out) * outer + o] += seen *
            kernel[(position * inner / groups + i) * outer + o];
        }
      }
    });
  }
  return result;
}
