/** Ragged sequences as one rectangular batch, with the mask that says which steps are real. */
import { checkCount, checkList, describeValue, wrongKind } from "../describe.ts";
import { checkOptions } from "../option_names.ts";
import { quoted } from "../quoted.ts";
import { printShape, sameShape } from "../tensor/dims.ts";
import { type NestedNumbers, nestedShape } from "../tensor/nested.ts";
import { allocateValues, type DType, type HostTensor, hostTensor } from "../tensor/tensor.ts";

/** A sequence of numbers, or of feature vectors (nested arrays of one shape). */
export type RaggedSequence = ArrayLike<number> | readonly NestedNumbers[];

/** Options of {@linkcode padSequences}, named and defaulted as in Keras. */
export interface PadOptions {
  /** The number of timesteps of the result; default: the length of the longest sequence. */
  readonly length?: number;
  /** The side on which shorter sequences are padded, before or after their steps; default `"pre"`. */
  readonly padding?: "pre" | "post";
  /** The side on which longer sequences are truncated, their start or end; default `"pre"`. */
  readonly truncating?: "pre" | "post";
  /** The value of padded steps; default 0. */
  readonly value?: number;
  /** The type of the values; default `"int32"`, for tokens. Features are usually `"float32"`. */
  readonly dtype?: DType;
}

/** The result of {@linkcode padSequences}. */
export interface PaddedSequences {
  /** `[batch, time, ...features]`. */
  readonly values: HostTensor;
  /** `bool[batch, time]`: 1 where a step is real. */
  readonly mask: HostTensor;
  /** `int32[batch]`: how many steps of each sequence were kept. */
  readonly lengths: HostTensor;
}

/**
 * Pads or truncates sequences of different lengths to one length.
 *
 * @param sequences Arrays of numbers, or of feature vectors that all have one shape. A sequence may have no
 * steps.
 * @param options The length to reach, the sides at which to pad and truncate, the padding value and the
 * dtype.
 * @returns `values` of shape `[batch, time, ...features]`, the `mask` `[batch, time]` and the `lengths`
 *   `[batch]`. If no sequence has a step, the features are assumed to be plain numbers.
 * @throws TypeError if the steps differ in shape or are not numbers.
 * @throws RangeError if a value does not fit the dtype, or an option is out of range.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { padSequences } from "@cellfold/cellfold";
 * const { values, mask, lengths } = padSequences([[7], [1, 2, 3]], { padding: "post" });
 * assertEquals(values.shape, [2, 3]);
 * assertEquals(values.data.join(), "7,0,0,1,2,3");
 * assertEquals(mask.data.join(), "1,0,0,1,1,1");
 * assertEquals(lengths.data.join(), "1,3");
 * ```
 */
export function padSequences(
  sequences: readonly RaggedSequence[],
  options: PadOptions = {},
): PaddedSequences {
  checkOptions("padSequences", options, ["length", "padding", "truncating", "value", "dtype"]);
  const { padding = "pre", truncating = "pre", value = 0, dtype = "int32" } = options;
  checkSide("padding", padding);
  checkSide("truncating", truncating);
  checkList("pad sequences", sequences, "the first argument", "an array of sequences");
  sequences.forEach((sequence, index) => checkSequence(sequence, `sequences[${index}]`));
  const time = options.length ?? sequences.reduce((longest, { length }) => Math.max(longest, length), 0);
  checkCount("pad sequences", time, "length", 0);

  const features = featureShape(sequences);
  const stepSize = features.reduce((size, dim) => size * dim, 1);
  const values = allocateValues(dtype, sequences.length * time * stepSize);
  values.fill(convert(value, dtype, () => "value"));
  const mask = new Uint8Array(sequences.length * time);
  const lengths = new Int32Array(sequences.length);

  sequences.forEach((sequence, row) => {
    const kept = Math.min(sequence.length, time);
    const from = truncating === "pre" ? sequence.length - kept : 0;
    const to = row * time + (padding === "pre" ? time - kept : 0);
    for (let step = 0; step < sequence.length; step++) {
      const path = () => `sequences[${row}][${step}]`;
      checkStep(sequence[step], features, path);
      if (step < from || step >= from + kept) continue;
      let offset = (to + step - from) * stepSize;
      for (const number of flat(sequence[step])) values[offset++] = convert(number, dtype, path);
    }
    mask.fill(1, to, to + kept);
    lengths[row] = kept;
  });
  return {
    values: hostTensor(values, [sequences.length, time, ...features]),
    mask: hostTensor(mask, [sequences.length, time]),
    lengths: hostTensor(lengths, [sequences.length]),
  };
}

function checkSide(option: string, side: string): void {
  if (side !== "pre" && side !== "post") {
    throw new RangeError(
      `Cannot pad sequences: ${option} is ${quoted(side)}, expected "pre" or "post"`,
    );
  }
}

function checkSequence(sequence: unknown, path: string): void {
  if (Array.isArray(sequence) || (ArrayBuffer.isView(sequence) && "length" in sequence)) return;
  throw wrongKind("pad sequences", sequence, path, "an array of numbers or of feature vectors");
}

/** The shape of one step: that of the first step found. */
function featureShape(sequences: readonly RaggedSequence[]): number[] {
  return nestedShape("pad sequences", sequences.find(({ length }) => length > 0)?.[0]);
}

function checkStep(step: NestedNumbers, features: readonly number[], path: () => string): void {
  const check = (part: NestedNumbers, axis: number): boolean =>
    Array.isArray(part)
      ? part.length === features[axis] && part.every((inner) => check(inner, axis + 1))
      : axis === features.length && (typeof part === "number" || typeof part === "boolean");
  if (check(step, 0)) return;
  const expected = features.length === 0
    ? "a number, as in the first step"
    : `numbers nested to the shape ${printShape(features)}, as in the first step`;
  const shape = featureShape([[step]]);
  const given = Array.isArray(step) && !sameShape(shape, features)
    ? `an array of shape ${printShape(shape)}`
    : Array.isArray(step)
    ? "an array of uneven nesting"
    : describeValue(step);
  throw new TypeError(`Cannot pad sequences: ${path()} is ${given}, expected ${expected}`);
}

function flat(step: NestedNumbers): readonly number[] {
  return (Array.isArray(step) ? step.flat(Infinity) : [step]) as number[]; // checkStep found numbers or booleans
}

function convert(value: number, dtype: DType, path: () => string): number {
  if (typeof value !== "number" && typeof value !== "boolean") {
    throw wrongKind("pad sequences", value, path(), "a number");
  }
  if (dtype === "bool") return value ? 1 : 0;
  if (dtype === "int32" && Number(value) !== (value | 0)) {
    throw new RangeError(
      `Cannot pad sequences to int32: ${path()} holds ${value}, expected whole numbers from -2147483648 to ` +
        `2147483647 (or pass dtype: "float32")`,
    );
  }
  return value;
}
