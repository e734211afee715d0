/**
 * Ranges that lie within a tensor only for some sizes: refused at run time, when the sizes are known. Code that
 * is compiled for all sizes would read or write outside its memory.
 */
import { type Bindings, evaluateDim, evaluateShape, type Shape } from "../tensor/dims.ts";
import { type Equation, type EquationOf, isEquation } from "./types.ts";

/** Throws if a slice reaches outside of what it is taken from. */
export function requireRange(
  { inputs: [{ shape }], attributes: { start, size, stride } }: Pick<
    EquationOf<"slice">,
    "inputs" | "attributes"
  >,
  bindings: Bindings,
): void {
  shape.forEach((dim, axis) => {
    const [elements, first, count] = [dim, start[axis], size[axis]].map((each) =>
      evaluateDim(each, bindings)
    );
    const last = first + (count - 1) * stride[axis];
    if (count === 0 || count > 0 && first >= 0 && last < elements) return;
    throw new RangeError(
      `Cannot slice elements ${first} to ${last} of axis ${axis}: it has ${elements} here; give longer ` +
        "sequences, or take fewer elements",
    );
  });
}

/** Throws if a pad would take elements away. */
export function requireZeros(
  { low, high, interior }: EquationOf<"pad">["attributes"],
  bindings: Bindings,
): void {
  const zeros = [...evaluateShape(low, bindings), ...evaluateShape(high, bindings), ...interior];
  const negative = zeros.find((count) => count < 0);
  if (negative === undefined) return;
  throw new RangeError(`Cannot pad with ${negative} zeros: use slice to take elements away`);
}

/** Throws if a window reaches outside of its axis. */
export function requireWindows(
  { inputs: [{ shape }], attributes: { axis, size, window, stride, dilation } }: {
    readonly inputs: readonly { readonly shape: Shape }[];
    readonly attributes: EquationOf<"windows">["attributes"];
  },
  bindings: Bindings,
): void {
  const [elements, count] = [shape[axis], size].map((each) => evaluateDim(each, bindings));
  const span = (window - 1) * dilation + 1;
  if (count > 0 && (count - 1) * stride + span <= elements) return;
  throw new RangeError(
    `Cannot move a window of ${span} elements along axis ${axis}: it has ${elements} here; give longer ` +
      "sequences, or take a smaller window",
  );
}

/** The same for windows along all spatial axes. */
export function requireAllWindows(
  { inputs: [x], attributes: { sizes, window, strides, dilation } }: Pick<
    EquationOf<"convolve">,
    "inputs" | "attributes"
  >,
  bindings: Bindings,
): void {
  sizes.forEach((size, index) => {
    const along = { size, window: window[index], stride: strides[index], dilation: dilation[index] };
    requireWindows({ inputs: [x], attributes: { ...along, axis: index + 1 } }, bindings);
  });
}

const isOpen = (shape: Shape): boolean => shape.some((dim) => typeof dim !== "number");

/** What the sizes of a call must meet for an equation; undefined if it was seen to hold while tracing. */
export function rangeCheck(equation: Equation): ((bindings: Bindings) => void) | undefined {
  if (isEquation(equation, "slice")) {
    const { inputs: [{ shape }], attributes: { start, size } } = equation;
    if (![shape, start, size].some(isOpen)) return undefined;
    return (bindings) => requireRange(equation, bindings);
  }
  if (isEquation(equation, "pad")) {
    const { attributes } = equation;
    if (![attributes.low, attributes.high].some(isOpen)) return undefined;
    return (bindings) => requireZeros(attributes, bindings);
  }
  if (isEquation(equation, "windows")) {
    const { inputs: [{ shape }], attributes: { axis, size } } = equation;
    if (!isOpen([shape[axis], size])) return undefined;
    return (bindings) => requireWindows(equation, bindings);
  }
  if (isEquation(equation, "convolve")) {
    const { inputs: [{ shape }], attributes: { sizes } } = equation;
    if (![shape.slice(1, -1), sizes].some(isOpen)) return undefined;
    return (bindings) => requireAllWindows(equation, bindings);
  }
  return undefined;
}
