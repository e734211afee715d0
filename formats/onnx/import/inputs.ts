/** What an imported model takes: its inputs as the file describes them, and what a call gives for them. */
import { quoted } from "../../../src/quoted.ts";
import { type Dim, printShape, type Shape, symbol } from "../../../src/tensor/dims.ts";
import { type DType, isLeaf, printSpec, type Spec, type Tensor } from "../../../src/tensor/tensor.ts";
import type { Tree } from "../../../src/tree/tree.ts";
import { OnnxError } from "../errors.ts";
import type { ValueInfoProto } from "../protos.ts";
import { dtypeOf, sizesOf } from "../tensors.ts";

/** An input of an imported model. */
export interface OnnxInput {
  /** Its name in the graph. */
  readonly name: string;
  /** The dtype in which it is given; integers of any width are int32. */
  readonly dtype: DType;
  /** Sizes that the file leaves open are symbols; undefined if the file does not give a shape. */
  readonly shape: Shape | undefined;
}

/** An open size of an input; names that are not identifiers are rewritten. */
export function openDim(name: string, axis: number, param = ""): Dim {
  const text = (param === "" ? `${name}_${axis}` : param).replaceAll(/\W/g, "_");
  return symbol(/^[A-Za-z_]/.test(text) ? text : `_${text}`);
}

/** A size of an input as ours; a negative one, which some exporters write, is open, as in onnxruntime. */
function dimOf(name: string, axis: number, value: bigint | undefined, param: string): Dim {
  return value === undefined || value < 0n
    ? openDim(name, axis, param)
    : sizesOf(`input ${quoted(name)}`, [value])[0];
}

/** An input as the file describes it. */
export function readInput({ name, type }: ValueInfoProto): OnnxInput {
  const place = `input ${quoted(name)}`;
  const tensor = type?.tensorType;
  if (!tensor) throw new OnnxError(place, "it is no tensor");
  const shape = tensor.shape?.dim.map((dim, axis) =>
    dimOf(name, axis, Object.hasOwn(dim, "dimValue") ? dim.dimValue : undefined, dim.dimParam)
  );
  return { name, dtype: dtypeOf(place, tensor.elemType), shape };
}

/** Throws unless a tensor can be this input. */
export function checkInput({ name, dtype, shape }: OnnxInput, given: Spec): void {
  const hasRank = !shape || shape.length === given.shape.length;
  const isOther = (dim: Dim, axis: number) =>
    typeof dim === "number" && typeof given.shape[axis] === "number" && dim !== given.shape[axis];
  if (given.dtype === dtype && hasRank && !shape?.some(isOther)) return;
  const fixed = given.dtype === dtype && hasRank && shape
    ? shape.map((dim, axis) => typeof dim !== "number" || isOther(dim, axis) ? "null" : `${dim}`)
    : undefined;
  throw new TypeError(
    `Cannot run the ONNX model with ${printSpec(given)} for its input ${quoted(name)}: expected ${dtype}${
      shape ? printShape(shape) : " of any shape"
    }` + (fixed
      ? `; fromOnnx opens sizes of a file, as in shapes: { ${quoted(name)}: [${fixed.join(", ")}] }`
      : ""),
  );
}

/** The tensors of a call in the order of the inputs: a single one, or those of an object by name. */
export function inputsOf(names: readonly string[], tree: Tree<Tensor>): Tensor[] {
  const byName = isLeaf(tree) ? undefined : tree as { readonly [name: string]: Tensor }; // checked below
  const given = names.length === 1 && !byName ? [tree] : names.map((name) => byName?.[name]);
  const strange = byName ? Object.keys(byName).find((name) => !names.includes(name)) : undefined;
  if (strange !== undefined || !given.every(isLeaf)) {
    const found = byName ? `{${Object.keys(byName).join(", ")}}` : "one tensor";
    throw new TypeError(
      `Cannot run the ONNX model with ${found}: expected ${
        names.length === 1 ? "one tensor" : "the inputs by name"
      }, {${names.join(", ")}}`,
    );
  }
  return given as Tensor[]; // all are leaves, as just checked
}

/** Tensors by name, or the tensor itself if it is the only one. */
export function treeOf(names: readonly string[], tensors: readonly Tensor[]): Tree<Tensor> {
  return tensors.length === 1
    ? tensors[0]
    : Object.fromEntries(names.map((name, index) => [name, tensors[index]]));
}
