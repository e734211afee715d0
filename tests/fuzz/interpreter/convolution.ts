/** The convolution of one sample, as a sum over the window at every position. */
import { at, fill, type Nested, rounded, shapeOf } from "./nested.ts";

/** How the window goes over the input; one number per spatial axis. */
export interface Window {
  readonly strides: readonly number[];
  readonly dilation: readonly number[];
  readonly padding: "valid" | "same";
}

/** Sizes of the output and zeros before the input, per spatial axis. */
export function placed(
  input: readonly number[],
  kernel: readonly number[],
  { strides, dilation, padding }: Window,
) {
  return input.map((size, axis) => {
    const reach = (kernel[axis] - 1) * dilation[axis] + 1;
    if (padding === "valid") return { size: Math.floor((size - reach) / strides[axis]) + 1, before: 0 };
    const out = Math.ceil(size / strides[axis]);
    return { size: out, before: Math.floor(Math.max(0, (out - 1) * strides[axis] + reach - size) / 2) };
  });
}

/** `[...space, channels]` and `[...window, channels, filters]` to `[...space, filters]`. */
export function convolve(x: Nested, kernel: Nested, window: Window): Nested {
  const inputShape = shapeOf(x), kernelShape = shapeOf(kernel);
  const axes = inputShape.length - 1;
  const [channels, filters] = kernelShape.slice(axes);
  const out = placed(inputShape.slice(0, axes), kernelShape.slice(0, axes), window);
  const offsets: number[][] = [];
  fill(kernelShape.slice(0, axes), (index) => offsets.push([...index]));
  return fill([...out.map(({ size }) => size), filters], (index) => {
    let total = 0;
    for (const offset of offsets) {
      const place = offset.map((k, axis) =>
        index[axis] * window.strides[axis] + k * window.dilation[axis] - out[axis].before
      );
      if (place.some((i, axis) => i < 0 || i >= inputShape[axis])) continue;
      for (let c = 0; c < channels; c++) {
        total = rounded(total + rounded(at(x, [...place, c]) * at(kernel, [...offset, c, index[axes]])));
      }
    }
    return total;
  });
}
