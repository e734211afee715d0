/**
 * The logits behind probabilities. A softmax or sigmoid remembers its input, and operations that only
 * rearrange elements pass that on, so that a crossentropy can compute with the logits, exactly and without
 * clipping, whatever lies between. Nothing is computed for it until {@linkcode logitsOf} is called.
 *
 * Tensors are plain objects with identity, so a WeakMap does what Keras does with an attribute
 * `_keras_logits`: no layer needs to know about it.
 */
import { isTracing } from "../program/trace.ts";
import type { Attributes, AxisMove, Operation, OperationName } from "../program/types.ts";
import { type Dim, sameShape, type Shape, sizeOfShape } from "../tensor/dims.ts";
import { printSpec, type Spec, type Tensor } from "../tensor/tensor.ts";
import { isFloat } from "./infer.ts";

/** The function that made probabilities from logits. */
export type LogitsKind = "softmax" | "sigmoid";

/** The origin of probabilities. */
export interface Origin {
  readonly kind: LogitsKind;
  /** Where the classes of a softmax lie; not used for a sigmoid. */
  readonly classes: Classes;
  /** The logits, in the shape of the probabilities; an origin is evaluated at most once per `asked`. */
  readonly logits: (asked: Map<Origin, Tensor>) => Tensor;
}

/**
 * Where the classes of an element lie among all elements in row-major order: their number and their distance.
 * A reshape does not change this, so the classes are found again after axes were merged and split.
 */
export interface Classes {
  readonly count: Dim;
  readonly stride: Dim;
}

const origins = new WeakMap<Tensor, Origin>();

/** The origin of `x`; undefined if it is not known. */
export function originOf(x: Tensor): Origin | undefined {
  return origins.get(x);
}

/**
 * Records the origin of `x`. Outside a trace the logits are computed immediately, or a chain of origins would
 * pile up.
 */
export function setOrigin(x: Tensor, origin: Origin): void {
  if (isTracing()) origins.set(x, origin);
  else {
    const logits = origin.logits(new Map());
    origins.set(x, { ...origin, logits: () => logits });
  }
}

/**
 * Records that `probabilities` are the `kind` of `logits`, so that a crossentropy computes with the logits,
 * exactly and without clipping. The operations `softmax` and `sigmoid` do this; call it in a custom
 * activation.
 *
 * The logits stay known through operations that only rearrange elements and keep the classes of an element
 * together: reshape, transpose, slice, concat, rows by index, repetition, reversal, and through the outputs
 * of a scan without a mask (a masked step outputs zeros, or the previous output). If they are not known, a
 * crossentropy uses the probabilities, clipped.
 *
 * @param axis The class axis of a softmax; default the last.
 * @returns The probabilities, the same object.
 * @throws TypeError if the shapes differ.
 */
export function withLogits(probabilities: Tensor, logits: Tensor, kind: LogitsKind, axis = -1): Tensor {
  if (!sameShape(probabilities.shape, logits.shape)) {
    throw new TypeError(
      `Cannot use ${printSpec(logits)} as the logits of ${printSpec(probabilities)}: expected one shape`,
    );
  }
  const { shape } = probabilities;
  const classes = classesAlong(shape, axis < 0 ? axis + shape.length : axis);
  origins.set(probabilities, { kind, classes, logits: () => logits });
  return probabilities;
}

/**
 * The logits whose softmax (over the last axis) or sigmoid, depending on `kind`, is `prediction`; undefined
 * if they are not known.
 */
export function logitsOf(prediction: Tensor, kind: LogitsKind): Tensor | undefined {
  const origin = origins.get(prediction);
  if (origin?.kind !== kind) return undefined;
  if (kind === "softmax" && axisOf(origin.classes, prediction.shape) !== prediction.shape.length - 1) {
    return undefined;
  }
  return origin.logits(new Map());
}

/** The classes along an axis. */
export function classesAlong(shape: Shape, axis: number): Classes {
  return { count: shape[axis] ?? 1, stride: sizeOfShape(shape.slice(axis + 1)) };
}

/** The class axis; undefined if it is merged with others, or split. */
export function axisOf({ count, stride }: Classes, shape: Shape): number | undefined {
  const found = shape.findLastIndex((dim, axis) =>
    dim === count && sizeOfShape(shape.slice(axis + 1)) === stride
  );
  return found < 0 ? undefined : found;
}

/** The inputs that the elements of an operation's output come from; default the first. */
const sources: { readonly [K in OperationName]?: (inputs: readonly Tensor[]) => readonly Tensor[] } = {
  concat: (inputs) => inputs,
  select: (inputs) => inputs.slice(1),
};

/**
 * Where the classes of the first source lie after an operation; undefined if the operation does not keep
 * them.
 */
function movedClasses<K extends OperationName>(
  { name, movedAxis }: Operation<K>,
  { kind, classes }: Origin,
  source: Spec,
  output: Spec,
  move: Omit<AxisMove<K>, "axis">,
): Classes | undefined {
  if (name === "reshape") return classes;
  if (!movedAxis) return undefined;
  if (kind === "sigmoid") return classes; // may be rearranged in any way
  const axis = axisOf(classes, source.shape);
  const moved = axis === undefined ? undefined : movedAxis({ ...move, axis });
  return moved === undefined ? undefined : classesAlong(output.shape, moved);
}

/**
 * Passes the origin of probabilities on to the result of an operation that rearranged them.
 *
 * @param again Applies the operation to other inputs.
 */
export function handOnLogits<K extends OperationName>(
  operation: Operation<K>,
  inputs: readonly Tensor[],
  attributes: Attributes[K],
  output: Tensor | undefined,
  again: (inputs: readonly Tensor[]) => Tensor,
): void {
  if (!output || !isFloat(output)) return; // a scan may have no output
  const from = sources[operation.name]?.(inputs) ?? inputs.slice(0, 1);
  const found = from.map((input) => origins.get(input));
  const [first] = found;
  if (!first || found.some((origin) => !origin || !isAlike(origin, first))) return;
  const classes = movedClasses(operation, first, from[0], output, { inputs, attributes });
  if (!classes) return;
  const origin: Origin = {
    kind: first.kind,
    classes,
    logits: (asked) => {
      let logits = asked.get(origin);
      if (!logits) {
        const moved = new Map(from.map((input, index) => [input, found[index]?.logits(asked) ?? input]));
        asked.set(origin, logits = again(inputs.map((input) => moved.get(input) ?? input)));
      }
      return logits;
    },
  };
  setOrigin(output, origin);
}

/** Whether the results of two origins may be combined. */
function isAlike(one: Origin, other: Origin): boolean {
  const { kind, classes: { count, stride } } = one;
  return kind === other.kind &&
    (kind === "sigmoid" || (count === other.classes.count && stride === other.classes.stride));
}

/**
 * Records that the logits of `output` are `change` of those of `input`, which has the same axes: for code
 * that replaces some of the probabilities.
 */
export function changeLogits(output: Tensor, input: Tensor, change: (logits: Tensor) => Tensor): Tensor {
  const origin = origins.get(input);
  if (origin) setOrigin(output, { ...origin, logits: (asked) => change(origin.logits(asked)) });
  return output;
}
