/** Programs and equations by hand, with operation records that only have a name, and tensors by their indices. */
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import type { Shape } from "../../../src/tensor/dims.ts";
import { allocateValues, type DType, type HostTensor, hostTensor } from "../../../src/tensor/tensor.ts";
import type { Attributes, Equation, OperationName, Value } from "../../../src/program/types.ts";
import { prepare } from "../../../kernels/reference/execute.ts";
import { kernels } from "../../../kernels/reference/kernels.ts";
import { evaluate } from "../../../kernels/reference/mod.ts";

/** A value of a Program. */
export function value(shape: Shape, dtype: DType = "float32"): Value {
  return { shape, dtype };
}

/** An equation whose operation is a name and nothing else. */
export function equation<K extends OperationName>(
  name: K,
  inputs: readonly Value[],
  outputs: readonly Value[],
  attributes: Attributes[K],
): Equation {
  const operation = { name, infer: () => [] };
  return { operation, inputs, outputs, attributes } as unknown as Equation; // K is one name: TypeScript cannot pick the member of the union
}

/**
 * Applies a primitive with one output. Its kernel is also run twice over memory that holds other values, as in an
 * arena, and must give the same.
 */
export function apply<K extends OperationName>(
  name: K,
  inputs: readonly HostTensor[],
  shape: readonly number[],
  dtype: DType,
  attributes: Attributes[K],
): HostTensor {
  const [output] = evaluate({ operation: { name }, attributes }, inputs, [{ shape, dtype }]);
  const kernel = kernels[name]({ attributes, inputs, outputs: [output], bindings: {}, prepare });
  const dirty = allocateValues(dtype, output.data.length).fill(77);
  for (let run = 0; run < 2; run++) kernel(inputs.map(({ data }) => data), [dirty]);
  assertEquals(dirty, output.data, `${name} over memory that held other values`);
  return output;
}

/** A tensor from a flat list. */
export function flat(
  values: readonly number[],
  shape: readonly number[],
  dtype: DType = "float32",
): HostTensor {
  const data = allocateValues(dtype, values.length);
  data.set(values);
  return hostTensor(data, shape);
}

/** The values as a plain list. */
export function list(tensor: HostTensor): number[] {
  return Array.from(tensor.data);
}

/** 1, 2, 3… of a shape. */
export function counting(shape: readonly number[], dtype: DType = "float32"): HostTensor {
  return fromIndices(shape, dtype, (_, flatIndex) => flatIndex + 1);
}

/** The tensor whose element at each index is `element(index)`: the definition that kernels are compared with. */
export function fromIndices(
  shape: readonly number[],
  dtype: DType,
  element: (index: number[], flatIndex: number) => number,
): HostTensor {
  const data = allocateValues(dtype, shape.reduce((size, dim) => size * dim, 1));
  for (let i = 0; i < data.length; i++) {
    const index: number[] = [];
    let rest = i;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index.unshift(rest % shape[axis]);
      rest = Math.floor(rest / shape[axis]);
    }
    data[i] = element(index, i);
  }
  return hostTensor(data, shape);
}

/** The element at an index. */
export function at(tensor: HostTensor, index: readonly number[]): number {
  return tensor.data[index.reduce((offset, i, axis) => offset * tensor.shape[axis] + i, 0)];
}

/** Shapes of up to four axes, sizes 0 and 1 included. */
export const shapes: fc.Arbitrary<number[]> = fc.array(
  fc.oneof({ weight: 6, arbitrary: fc.integer({ min: 1, max: 4 }) }, {
    weight: 1,
    arbitrary: fc.constant(0),
  }),
  { maxLength: 4 },
);
