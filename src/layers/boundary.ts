/**
 * The boundary between the data of users and what a model computes with: inputs of another dtype (float64,
 * integers where floats are expected) are converted on the host, with checks that no value is lost.
 */
import { isFloat } from "../operations/infer.ts";
import { checkFilled, isFilled } from "../tensor/filled.ts";
import {
  allocateValues,
  type DType,
  type HostTensor,
  printSpec,
  type Spec,
  type Tensor,
} from "../tensor/tensor.ts";
import { printable } from "../tensor/print.ts";
import { outputSpecs } from "../program/functions.ts";
import { flattenTree, printPath, type Tree, unflattenTree } from "../tree/tree.ts";
import type { Layer, Variables } from "./layer.ts";

/** The dtype that a layer computes in: that of its first float parameter. */
export function floatDType({ params }: Variables): DType {
  return flattenTree<Spec>(params).leaves.find(isFloat)?.dtype ?? "float32";
}

/**
 * Whether every leaf already has its values, of a dtype that a model certainly accepts, so that no tracing is
 * needed.
 *
 * @param float The dtype in which it computes.
 */
export function isPlainInput(float: DType, input: Tree<Tensor>): boolean {
  return flattenTree<Tensor>(input).leaves.every((leaf) =>
    (leaf.dtype === float || leaf.dtype === "bool") && (leaf.kind !== "host" || isFilled(leaf))
  );
}

/**
 * The dtype in which a layer accepts each leaf of an input of these specs, found by tracing: floats in the
 * dtype of the parameters; integers unchanged, or as floats if integers are not accepted.
 *
 * @param name What the input is called in errors.
 * @throws The layer's error for the unchanged input, if it accepts none of these.
 */
export function inputDTypes(layer: Layer, variables: Variables, input: Tree<Spec>, name: string): DType[] {
  const { leaves, structure, paths } = flattenTree<Spec>(input, name);
  const float = floatDType(variables);
  const floats = leaves.map((leaf) => isFloat(leaf) ? float : leaf.dtype);
  const numbers = floats.map((dtype) => dtype === "int32" ? float : dtype);
  const attempt = (dtypes: readonly DType[]): unknown => {
    const x = unflattenTree<Tree<Spec>>(
      structure,
      leaves.map(({ shape }, i) => ({ shape, dtype: dtypes[i] })),
    );
    try {
      outputSpecs(
        (variables: Variables, x: Tree<Tensor>) => layer.apply(variables, x, { training: false }).output,
        variables,
        x,
      );
      return undefined;
    } catch (error) {
      return error;
    }
  };
  for (const dtypes of [floats, numbers]) if (attempt(dtypes) === undefined) return dtypes;
  const given = leaves.map(({ dtype }) => dtype);
  const refusal = attempt(given);
  if (refusal === undefined) return given;
  if (refusal instanceof Error) {
    const parts = leaves.map((leaf, index) => `${printPath(paths[index], name)} ${printSpec(leaf)}`);
    refusal.message += `, given ${parts.join(", ")}`;
  }
  throw refusal;
}

/**
 * A tree on the host with leaves of these dtypes; leaves that already have them are not copied.
 *
 * @param name What the tree is called in errors.
 * @throws RangeError naming the path and the first value that the dtype cannot hold, or a leaf without a value for
 *   each element.
 */
export function convertTree<T>(name: string, tree: T, dtypes: readonly DType[]): T {
  const { leaves, structure, paths } = flattenTree<HostTensor>(tree, name);
  leaves.forEach((leaf, index) =>
    leaf.kind === "host" && checkFilled(leaf, () => printPath(paths[index], name))
  );
  if (leaves.every(({ dtype }, index) => dtype === dtypes[index])) return tree;
  return unflattenTree<T>(
    structure,
    leaves.map((leaf, index) =>
      leaf.dtype === dtypes[index] || leaf.kind !== "host"
        ? leaf
        : converted(leaf, dtypes[index], () => printPath(paths[index], name))
    ),
  );
}

/** Converts the floats of a tree to one dtype. */
export function convertFloats<T>(name: string, tree: T, float: DType): T {
  const { leaves } = flattenTree<Spec>(tree, name);
  return convertTree(name, tree, leaves.map((leaf) => isFloat(leaf) ? float : leaf.dtype));
}

function converted(tensor: HostTensor, dtype: DType, where: () => string): HostTensor {
  const data = allocateValues(dtype, tensor.data.length);
  const whole = tensor.dtype === "int32";
  for (let index = 0; index < data.length; index++) {
    const value = tensor.data[index];
    data[index] = value;
    // Floats may be rounded; a value is lost if it becomes infinite or another integer.
    if (data[index] === value || (!whole && (Number.isFinite(data[index]) || !Number.isFinite(value)))) {
      continue;
    }
    throw new RangeError(
      `Cannot convert ${where()} from ${tensor.dtype} to ${dtype}: it has the value ${value}, ` +
        `which ${dtype} cannot hold`,
    );
  }
  return printable<HostTensor>({ kind: "host", shape: tensor.shape, dtype, data });
}
