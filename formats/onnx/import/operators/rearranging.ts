/** Operators that move blocks of elements or keep a part of a matrix: DepthToSpace, SpaceToDepth, Trilu, EyeLike. */
import {
  and,
  cast,
  equal,
  greaterEqual,
  lessEqual,
  select,
  sub,
} from "../../../../src/operations/elementwise.ts";
import { iota } from "../../../../src/operations/indexing.ts";
import { broadcastTo, reshape, transpose } from "../../../../src/operations/structure.ts";
import { type Dim, divideDims, multiplyDims } from "../../../../src/tensor/dims.ts";
import { printSpec, type Tensor } from "../../../../src/tensor/tensor.ts";
import { dtypeOf } from "../../tensors.ts";
import { attribute, flag, type Node } from "../node.ts";
import { given, type Inputs, type Operators } from "../operator.ts";
import { indicesOf, type OnnxValue, tensorOf, valueOf } from "../values.ts";

/** The axes of an image and the size of its blocks. */
function imageOf(node: Node, inputs: Inputs): { readonly x: Tensor; readonly size: number } {
  const x = tensorOf(given(inputs, 0));
  const size = attribute(node, "blocksize", "int");
  if (x.shape.length !== 4) {
    throw new TypeError(`it takes ${printSpec(x)}, expected batch, channels, height and width`);
  }
  if (size === undefined || size < 1) {
    throw new RangeError(`its blocksize is ${size ?? "absent"}, expected 1 or more`);
  }
  return { x, size };
}

function part(size: Dim, by: number, what: string): Dim {
  const each = divideDims(size, by);
  if (each !== undefined && !(typeof each === "number" && !Number.isInteger(each))) return each;
  throw new RangeError(`it cuts ${what} of size ${size} into blocks of ${by}`);
}

/** Channels as blocks of space. */
function toSpace(node: Node, inputs: Inputs): OnnxValue {
  const { x, size } = imageOf(node, inputs);
  const [batch, channels, height, width] = x.shape;
  const depth = part(channels, size * size, "channels");
  const mode = attribute(node, "mode", "string") ?? "DCR";
  if (mode !== "DCR" && mode !== "CRD") {
    throw new RangeError(`its mode is ${JSON.stringify(mode)}, expected DCR or CRD`);
  }
  const blocks = reshape(
    x,
    mode === "DCR" ? [batch, size, size, depth, height, width] : [batch, depth, size, size, height, width],
  );
  const permutation = mode === "DCR" ? [0, 3, 4, 1, 5, 2] : [0, 1, 4, 2, 5, 3];
  return valueOf(
    reshape(transpose(blocks, { permutation }), [
      batch,
      depth,
      multiplyDims(height, size),
      multiplyDims(width, size),
    ]),
  );
}

/** Blocks of space as channels. */
function toDepth(node: Node, inputs: Inputs): OnnxValue {
  const { x, size } = imageOf(node, inputs);
  const [batch, channels, height, width] = x.shape;
  const [rows, columns] = [part(height, size, "the height"), part(width, size, "the width")];
  const mode = attribute(node, "mode", "string") ?? "DCR";
  if (mode !== "DCR" && mode !== "CRD") {
    throw new RangeError(`its mode is ${JSON.stringify(mode)}, expected DCR or CRD`);
  }
  const blocks = reshape(x, [batch, channels, rows, size, columns, size]);
  const permutation = mode === "DCR" ? [0, 3, 5, 1, 2, 4] : [0, 1, 3, 5, 2, 4];
  const depth = multiplyDims(channels, size * size);
  return valueOf(reshape(transpose(blocks, { permutation }), [batch, depth, rows, columns]));
}

/** How far each element of the last two axes is right of the diagonal. */
function rightOfDiagonal(shape: readonly Dim[]): Tensor {
  const rank = shape.length;
  const along = (axis: number) => iota(shape.map((dim, other) => other === axis ? dim : 1), { axis });
  return sub(along(rank - 1), along(rank - 2));
}

function triangle(node: Node, inputs: Inputs): OnnxValue {
  const x = tensorOf(given(inputs, 0));
  if (x.shape.length < 2) throw new TypeError(`it takes ${printSpec(x)}, expected matrices`);
  const limit = inputs[1] ? reshape(indicesOf(inputs[1]), []) : 0;
  const right = rightOfDiagonal(x.shape);
  const isKept = flag(node, "upper", true) ? greaterEqual(right, limit) : lessEqual(right, limit);
  return valueOf(x.dtype === "bool" ? and(x, broadcastTo(isKept, x.shape)) : select(isKept, x, 0));
}

function identity(node: Node, inputs: Inputs): OnnxValue {
  const x = tensorOf(given(inputs, 0));
  if (x.shape.length !== 2) throw new TypeError(`it takes ${printSpec(x)}, expected a matrix`);
  const type = attribute(node, "dtype", "int");
  const dtype = type === undefined ? x.dtype : dtypeOf(node.place, type);
  const isOne = equal(rightOfDiagonal(x.shape), attribute(node, "k", "int") ?? 0);
  return valueOf(cast(isOne, dtype)); // its axes are those of x
}

/** The operators of this file. */
export const rearrangingOperators: Operators = {
  DepthToSpace: {
    attributes: ["blocksize", "mode"],
    inputs: [1, 1],
    compute: (node, inputs) => [toSpace(node, inputs)],
  },
  SpaceToDepth: {
    attributes: ["blocksize", "mode"],
    inputs: [1, 1],
    compute: (node, inputs) => [toDepth(node, inputs)],
  },
  Trilu: { attributes: ["upper"], inputs: [1, 2], compute: (node, inputs) => [triangle(node, inputs)] },
  EyeLike: {
    attributes: ["dtype", "k"],
    inputs: [1, 1],
    compute: (node, inputs) => [identity(node, inputs)],
  },
};
