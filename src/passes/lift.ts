/**
 * Lifting: one operation of a scan's body applied to all steps at once. Values of one step `[batch, ...]`
 * become `[batch, time, ...]` (scalars `[time]`); operands that are the same at every step are repeated where
 * needed.
 */
import { applyOne } from "../operations/apply.ts";
import { matmul } from "../operations/matmul.ts";
import { broadcastOperation, reshape } from "../operations/structure.ts";
import {
  type Equation,
  type EquationOf,
  isElementwise,
  isEquation,
  type OperationName,
  stackedSpec,
} from "../program/types.ts";
import { type Dim, multiplyDims, type Shape } from "../tensor/dims.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** Whether `lift` can apply the equation to all steps, given which of its inputs change with time. */
export function canLift(equation: Equation, changes: readonly boolean[]): boolean {
  if (isElementwise(equation) || isEquation(equation, "reverse") || isEquation(equation, "cumsum")) {
    return true;
  }
  const [first] = equation.inputs;
  const [output] = equation.outputs;
  if (isEquation(equation, "slice") || isEquation(equation, "pad")) return first.shape.length > 0;
  if (isEquation(equation, "windows")) return equation.attributes.axis > 0;
  if (isEquation(equation, "concat")) return true;
  if (isEquation(equation, "broadcast")) return first.shape.length === 0 || equation.attributes.axes[0] === 0;
  if (isEquation(equation, "reshape")) {
    return first.shape.length > 0 && output.shape.length > 0 && first.shape[0] === output.shape[0];
  }
  if (isEquation(equation, "transpose")) return equation.attributes.permutation[0] === 0;
  if (isEquation(equation, "sum") || isEquation(equation, "max")) {
    return output.shape.length === 0 || !equation.attributes.axes.includes(0);
  }
  if (isEquation(equation, "convolve")) return changes[0] && !changes[1];
  if (isEquation(equation, "matmul")) {
    return first.shape.length === 2 && !equation.attributes.transposeLeft && changes[0] && !changes[1];
  }
  const { leading } = equation.operation;
  return leading !== undefined && equation.inputs[leading].shape.length > 0 &&
    changes.every((changes, index) => index === leading || !changes);
}

/** The axis of the stacked value that is `axis` of one step. */
function stackedAxis(axis: number): number {
  return axis === 0 ? 0 : axis + 1;
}

function insertTime<T>(list: readonly T[], entry: T): T[] {
  return [...list.slice(0, 1), entry, ...list.slice(1)];
}

function stackedShape(step: { readonly shape: Shape }, length: Dim): Shape {
  return stackedSpec({ shape: step.shape, dtype: "float32" }, length).shape;
}

/** A value that is the same at every step, repeated along time. */
function repeated(x: Tensor, length: Dim): Tensor {
  return applyOne(broadcastOperation, [x], {
    shape: stackedShape(x, length),
    axes: x.shape.map((_, axis) => stackedAxis(axis)),
  });
}

/** Applies the equation to all steps; time-dependent inputs are given stacked, the others unchanged. */
export function lift(
  equation: Equation,
  operands: readonly Tensor[],
  changes: readonly boolean[],
  length: Dim,
): Tensor {
  const again = <K extends OperationName>(
    found: EquationOf<K>,
    attributes: typeof found.attributes,
    inputs = operands,
  ) => applyOne(found.operation, inputs, attributes);
  const all = () => operands.map((x, index) => changes[index] ? x : repeated(x, length));
  const { shape } = equation.outputs[0];
  if (isEquation(equation, "slice")) {
    const { start, size, stride } = equation.attributes;
    return again<"slice">(equation, {
      start: insertTime(start, 0),
      size: insertTime(size, length),
      stride: insertTime(stride, 1),
    });
  }
  if (isEquation(equation, "pad")) {
    const { low, high, interior } = equation.attributes;
    return again<"pad">(equation, {
      low: insertTime(low, 0),
      high: insertTime(high, 0),
      interior: insertTime(interior, 0),
    });
  }
  if (isEquation(equation, "windows")) {
    return again<"windows">(equation, {
      ...equation.attributes,
      axis: stackedAxis(equation.attributes.axis),
    });
  }
  if (isEquation(equation, "concat")) {
    return again<"concat">(equation, { axis: stackedAxis(equation.attributes.axis) }, all());
  }
  if (isEquation(equation, "reverse")) {
    return again<"reverse">(equation, { axes: equation.attributes.axes.map(stackedAxis) });
  }
  if (isEquation(equation, "cumsum")) {
    return again<"cumsum">(equation, { ...equation.attributes, axis: stackedAxis(equation.attributes.axis) });
  }
  if (isEquation(equation, "broadcast")) {
    const axes = equation.attributes.axes.map(stackedAxis);
    return again<"broadcast">(equation, {
      shape: stackedShape({ shape }, length),
      axes: axes.length === 0 ? [Math.min(1, shape.length)] : insertTime(axes, 1),
    });
  }
  if (isEquation(equation, "reshape")) return reshape(operands[0], stackedShape({ shape }, length));
  if (isEquation(equation, "transpose")) {
    return again<"transpose">(equation, {
      permutation: insertTime(equation.attributes.permutation.map(stackedAxis), 1),
    });
  }
  if (isEquation(equation, "sum")) {
    return again<"sum">(equation, { axes: equation.attributes.axes.map(stackedAxis) });
  }
  if (isEquation(equation, "max")) {
    return again<"max">(equation, { axes: equation.attributes.axes.map(stackedAxis) });
  }
  if (isEquation(equation, "convolve")) {
    const [x, kernel] = operands, [batch, , ...image] = x.shape;
    const flat = reshape(x, [multiplyDims(batch, length), ...image]);
    const y = again<"convolve">(equation, equation.attributes, [flat, kernel]);
    return reshape(y, stackedShape({ shape }, length));
  }
  if (isEquation(equation, "matmul")) {
    return matmul(operands[0], operands[1], { transposeRight: equation.attributes.transposeRight });
  }
  if (!isElementwise(equation) && equation.operation.leading === undefined) {
    throw new Error(`Cannot apply ${equation.operation.name} to all steps at once`);
  }
  const inputs = isElementwise(equation) ? all() : operands;
  return applyOne(
    equation.operation as EquationOf<"add">["operation"],
    inputs,
    equation.attributes as object,
  ); // attributes of the same operation
}
