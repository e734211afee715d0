/** Where the batch is in the inputs and outputs of a graph, and how they are given with the batch first. */
import { quoted } from "../../../src/quoted.ts";
import { wrongKind } from "../../../src/describe.ts";
import { expandDims, squeeze, transpose } from "../../../src/operations/structure.ts";
import { type Dim, printShape, type Shape } from "../../../src/tensor/dims.ts";
import { printSpec, type Spec, type Tensor } from "../../../src/tensor/tensor.ts";

/** The axis of the batch; null if there is none, as the graph takes a single sample. */
export type BatchAxis = number | null;

/** The axis of the batch in all inputs and outputs, or in those named; it is 0 in others. */
export type BatchAxes = BatchAxis | { readonly [name: string]: BatchAxis };

/** Throws unless an option is the axes of these inputs and outputs. */
export function checkBatchAxes(axes: unknown, names: readonly string[]): asserts axes is BatchAxes {
  const isAxis = (axis: unknown) =>
    axis === null || (typeof axis === "number" && Number.isInteger(axis) && axis >= 0);
  if (isAxis(axes)) return;
  if (typeof axes !== "object" || axes === null || Array.isArray(axes)) {
    throw wrongKind("use fromOnnx", axes, "batchAxis", "an axis from 0, null, or an object of them by name");
  }
  for (const [name, axis] of Object.entries(axes)) {
    if (!names.includes(name)) throw noSuch(name, names, "batchAxis");
    if (!isAxis(axis)) throw wrongKind("use fromOnnx", axis, `batchAxis.${name}`, "an axis from 0, or null");
  }
}

/** The error for an option that names an input or output that there is not. */
export function noSuch(name: string, names: readonly string[], option: string): RangeError {
  return new RangeError(
    `Cannot use fromOnnx: ${option} names ${quoted(name)}, expected one of ${names.map(quoted).join(", ")}`,
  );
}

/** The axis of the batch in an input or output. */
export function batchAxisOf(axes: BatchAxes | undefined, name: string): BatchAxis {
  if (typeof axes !== "object" || axes === null) return axes === undefined ? 0 : axes;
  return Object.hasOwn(axes, name) ? axes[name] : 0;
}

function refused(name: string, spec: Spec, expected: string): TypeError {
  return new TypeError(
    `Cannot run the ONNX model: ${quoted(name)} is ${printSpec(spec)}, expected ${expected}`,
  );
}

/** A tensor whose first axis is the batch, as the graph takes it. */
export function toGraph(name: string, x: Tensor, axis: BatchAxis): Tensor {
  if (axis === 0) return x;
  if (axis === null) {
    if (x.shape[0] === 1) return squeeze(x, { axes: 0 });
    throw refused(name, x, "a batch of 1, as its batchAxis is null");
  }
  const rest = x.shape.map((_, other) => other).slice(1);
  if (axis > rest.length) throw refused(name, x, `${axis + 1} axes or more, as its batchAxis is ${axis}`);
  return transpose(x, { permutation: rest.toSpliced(axis, 0, 0) });
}

/** A tensor of the graph with the batch as its first axis. */
export function fromGraph(name: string, x: Tensor, axis: BatchAxis): Tensor {
  if (axis === 0) return x;
  if (axis === null) return expandDims(x, 0);
  const all = x.shape.map((_, other) => other);
  if (axis >= all.length) throw refused(name, x, `${axis + 1} axes or more, as its batchAxis is ${axis}`);
  return transpose(x, { permutation: [axis, ...all.toSpliced(axis, 1)] });
}

/** The same for a shape. */
export function shapeFromGraph(shape: Shape, axis: BatchAxis): Shape {
  if (axis === null) return [1, ...shape];
  return axis < shape.length ? [shape[axis], ...shape.toSpliced(axis, 1)] : shape;
}

/**
 * The axis of the batch in a state whose axis is not given: that of the same size as the batch of the inputs, or the
 * only open one.
 *
 * @throws TypeError if that is not one axis.
 */
export function batchAxisOfState(name: string, shape: Shape, batch: Dim | undefined): number {
  const where = (fits: (dim: Dim) => boolean) => shape.flatMap((dim, axis) => fits(dim) ? [axis] : []);
  const [same, open] = [where((dim) => dim === batch), where((dim) => typeof dim !== "number")];
  for (const axes of [same, open]) if (axes.length === 1) return axes[0];
  throw new TypeError(
    `Cannot use fromOnnx: which axis of the state ${quoted(name)} ${
      printShape(shape)
    } is the batch is not known; ` +
      `give it, as in batchAxis: { ${name}: 1 }, or batchAxis: null for a graph of a single sample`,
  );
}
