/**
 * Operators that read or write at places of a tensor which indices give: GatherND, ScatterElements, ScatterND. The tensor is
 * seen as rows, and each place as the number of a row.
 */
import {
  add,
  cast,
  equal,
  greater,
  maximum,
  minimum,
  mul,
  select,
} from "../../../../src/operations/elementwise.ts";
import { gather, iota, scatterAdd } from "../../../../src/operations/indexing.ts";
import { sizeAsTensor } from "../../../../src/operations/reduction.ts";
import { foldFlat } from "../../../../src/operations/scan.ts";
import { at, reshape } from "../../../../src/operations/structure.ts";
import {
  type Dim,
  fixedDim,
  printShape,
  sameShape,
  type Shape,
  sizeOfShape,
} from "../../../../src/tensor/dims.ts";
import { printSpec, type Tensor } from "../../../../src/tensor/tensor.ts";
import { attribute, axisOf, type Node } from "../node.ts";
import { given, type Inputs, type Operators } from "../operator.ts";
import { indicesOf, type OnnxValue, tensorOf, valueOf } from "../values.ts";
import { wrapped } from "./indexing.ts";

const sizeTensor = (size: Dim) => sizeAsTensor(size, "int32");

/** The places in row-major order of indices along one axis; the other axes of both are equally long, or longer in the data. */
export function placesAlong(x: Tensor, indices: Tensor, axis: number): Tensor {
  const places = x.shape.map((_, other) =>
    other === axis
      ? wrapped(indices, x.shape[axis])
      : iota(indices.shape.map((dim, along) => along === other ? dim : 1), { axis: other })
  );
  return places.reduce((place, next, other) => add(mul(place, sizeTensor(x.shape[other])), next));
}

/** Rows of a tensor, and which of them indices mean. */
interface Rows {
  readonly rows: Tensor;
  readonly places: Tensor;
  /** What a row is. */
  readonly rest: Shape;
}

/** The rows that tuples of indices mean, along the last axis of `indices`, behind axes that both have in common. */
function rowsAt(x: Tensor, indices: Tensor, common: number): Rows {
  const rank = indices.shape.length;
  const fail = (why: string) =>
    new TypeError(
      `its indices are ${printSpec(indices)} for ${printSpec(x)} (batch_dims: ${common}): ${why}`,
    );
  if (rank === 0) throw fail("they need an axis");
  const depth = fixedDim(indices.shape[rank - 1], "The size of the last axis of its indices");
  if (common + depth > x.shape.length || common >= rank || !(common >= 0)) {
    throw fail("there are too few axes");
  }
  const batch = x.shape.slice(0, common);
  if (!sameShape(batch, indices.shape.slice(0, common))) throw fail("their first axes differ");
  const sizes = x.shape.slice(common, common + depth), rest = x.shape.slice(common + depth);
  const tuples = indices.shape.slice(0, -1);
  const start = reshape(iota([sizeOfShape(batch)]), tuples.map((dim, axis) => axis < common ? dim : 1));
  const places = sizes.reduce<Tensor>(
    (place, size, index) =>
      add(mul(place, sizeTensor(size)), wrapped(at(indices, index, { axis: rank - 1 }), size)),
    start,
  );
  return { rows: reshape(x, [sizeOfShape([...batch, ...sizes]), ...rest]), places, rest };
}

/** How updates are combined where several have the same place, and with what was there; `none` and `add` are sums. */
const COMBINATIONS: { readonly [reduction: string]: (a: Tensor, b: Tensor) => Tensor } = {
  mul,
  max: maximum,
  min: minimum,
};

/** Updates (`[count, ...rest]`) put at places (`[count]`) of rows (`[rows, ...rest]`). */
function put(rows: Tensor, places: Tensor, updates: Tensor, reduction: string): Tensor {
  const [count] = rows.shape;
  const column = rows.shape.map((dim, axis) => axis === 0 ? dim : 1);
  if (reduction === "add") return add(rows, scatterAdd(places, updates, { rows: count }));
  if (reduction === "none") {
    // Of places that are given twice, which the operator leaves undefined, the sum is taken.
    const ones = cast(equal(places, places), "int32");
    const isPut = reshape(greater(scatterAdd(places, ones, { rows: count }), 0), column);
    const isBool = updates.dtype === "bool";
    const sums = scatterAdd(places, isBool ? cast(updates, "int32") : updates, { rows: count });
    return select(isPut, isBool ? cast(sums, "bool") : sums, rows);
  }
  if (!Object.hasOwn(COMBINATIONS, reduction)) {
    throw new RangeError(
      `its reduction is ${JSON.stringify(reduction)}, expected none, add, ${
        Object.keys(COMBINATIONS).join(", ")
      }`,
    );
  }
  const combine = COMBINATIONS[reduction];
  const row = reshape(iota([count]), column);
  const [length] = places.shape;
  return foldFlat(
    [rows],
    [iota([length])],
    ([before], [step]) => {
      const isHere = equal(row, gather(places, step));
      return {
        carries: [select(isHere, combine(before, gather(updates, step)), before)],
        outputs: [],
        result: undefined,
      };
    },
    { length, reverse: false, recompute: true },
  ).carries[0];
}

function reductionOf(node: Node): string {
  return attribute(node, "reduction", "string") ?? "none";
}

function scatteredElements(node: Node, inputs: Inputs): OnnxValue {
  const x = tensorOf(given(inputs, 0)),
    indices = indicesOf(given(inputs, 1)),
    updates = tensorOf(given(inputs, 2));
  const rank = x.shape.length;
  if (rank === 0 || indices.shape.length !== rank || !sameShape(indices.shape, updates.shape)) {
    throw new TypeError(
      `its indices are ${printSpec(indices)} and its updates ${printSpec(updates)} for ${
        printSpec(x)
      }, expected one shape ` +
        `with as many axes, from 1`,
    );
  }
  const axis = axisOf(attribute(node, "axis", "int") ?? 0, rank);
  const count = [sizeOfShape(indices.shape)];
  const places = reshape(placesAlong(x, indices, axis), count);
  const flat = put(reshape(x, [sizeOfShape(x.shape)]), places, reshape(updates, count), reductionOf(node));
  return valueOf(reshape(flat, x.shape));
}

function scatteredRows(node: Node, inputs: Inputs): OnnxValue {
  const x = tensorOf(given(inputs, 0)), updates = tensorOf(given(inputs, 2));
  const { rows, places, rest } = rowsAt(x, indicesOf(given(inputs, 1)), 0);
  if (!sameShape(updates.shape, [...places.shape, ...rest])) {
    throw new TypeError(
      `its updates are ${printSpec(updates)}, expected ${printShape([...places.shape, ...rest])}`,
    );
  }
  const count = sizeOfShape(places.shape);
  const whole = put(rows, reshape(places, [count]), reshape(updates, [count, ...rest]), reductionOf(node));
  return valueOf(reshape(whole, x.shape));
}

function gatheredRows(node: Node, inputs: Inputs): OnnxValue {
  const common = attribute(node, "batch_dims", "int") ?? 0;
  const { rows, places } = rowsAt(tensorOf(given(inputs, 0)), indicesOf(given(inputs, 1)), common);
  return valueOf(gather(rows, places));
}

const scatterElements = {
  attributes: ["axis", "reduction"],
  inputs: [3, 3],
  compute: (node: Node, inputs: Inputs) => [scatteredElements(node, inputs)],
} as const;

/** The operators of this file. */
export const scatteringOperators: Operators = {
  GatherND: {
    attributes: ["batch_dims"],
    inputs: [2, 2],
    compute: (node, inputs) => [gatheredRows(node, inputs)],
  },
  Scatter: scatterElements, // its name up to version 10
  ScatterElements: scatterElements,
  ScatterND: {
    attributes: ["reduction"],
    inputs: [3, 3],
    compute: (node, inputs) => [scatteredRows(node, inputs)],
  },
};
