/**
 * Weights of classes: each sample or step is weighted by the class of its target, times its own weight. They
 * become sample weights on the host, before a batch is used.
 */
import { quoted } from "../quoted.ts";
import { isObject, wrongKind } from "../describe.ts";
import { fixedDim } from "../tensor/dims.ts";
import {
  type HostTensor,
  hostTensor,
  isTensor,
  printSpec,
  type Spec,
  type Tensor,
} from "../tensor/tensor.ts";
import { flattenTree, printPath, type Tree } from "../tree/tree.ts";
import type { Data, Head } from "./objective.ts";
import { type PerOutput, spread } from "./per_output.ts";
import type { Session } from "./steps.ts";

/** The weights of classes by their index, from 0; classes that are not in it have the weight 1. */
export interface ClassWeight {
  /** A finite number. */
  readonly [label: number]: number;
}

/**
 * Throws unless class weights are numbers by class index, for all outputs or in a tree like them.
 *
 * @throws TypeError or RangeError naming the first wrong one.
 */
export function checkClassWeight(given: unknown, path = "classWeight"): void {
  if (given === undefined || given === null) return;
  if (!isObject(given) || isTensor(given)) {
    const expected = "weights by class index, such as { 0: 1, 1: 5 }, or a tree like the outputs with them";
    if (!Array.isArray(given)) throw wrongKind("weight classes", given, path, expected);
  }
  for (const [key, value] of Object.entries(given)) {
    const at = `${path}[${quoted(key)}]`;
    if (Array.isArray(given) || !/^(0|[1-9]\d*)$/.test(key)) checkClassWeight(value, at);
    else if (typeof value !== "number" || !Number.isFinite(value)) {
      throw new RangeError(`Cannot weight classes: ${at} is ${quoted(value)}, expected a finite number`);
    }
  }
}

function isClassWeight(value: unknown): value is ClassWeight {
  return isObject(value) && !Array.isArray(value) && Object.keys(value).every((key) => /^\d+$/.test(key));
}

/**
 * Data with its sample weights multiplied by the weights of the classes of its targets. All is on the host.
 *
 * @throws RangeError naming a target that is no class, or a weight for a class that does not exist.
 */
export function weightedByClass(
  data: Data,
  classWeight: PerOutput<ClassWeight>,
  { objective, output }: Pick<Session, "objective" | "output">,
): Data {
  const option = { what: "classWeight", value: "weights by class index", missing: undefined };
  const weights = spread(classWeight, output, isClassWeight, option);
  const given = spread(data.sampleWeight, output, isTensor, {
    what: "sampleWeight",
    value: "a tensor",
    missing: undefined,
    mayEnd: true,
  });
  const outputs = flattenTree<Spec>(output).leaves;
  const targets = objective.targets(data.y as Tree<HostTensor>); // checkData has checked where they are
  const weighted = objective.heads.map((head, index) => {
    const own = given[index] as HostTensor | undefined; // as above
    const [byClass, target] = [weights[index], targets[index]];
    if (!byClass || !target || (!head.loss && head.weightedMetrics.length === 0)) return own;
    const ofTargets = weightsOf(target, byClass, head, outputs[index]);
    return own ? product(own, ofTargets) : ofTargets;
  });
  return { ...data, sampleWeight: treeOf(objective.heads, weighted) };
}

/** The weight of the class of each target, in the shape of the values of its loss. */
function weightsOf(target: HostTensor, byClass: ClassWeight, { path, loss }: Head, output: Spec): HostTensor {
  const { data, shape } = target;
  const last = shape[shape.length - 1];
  const isWhole = shape.length === output.shape.length; // with the axis of the classes, or an axis of size 1
  const isOneHot = loss?.labels !== "sparse" && isWhole && last > 1;
  const classes = loss?.labels === "sparse"
    ? fixedDim(output.shape[output.shape.length - 1], "The axis of the classes")
    : isOneHot
    ? last
    : 2;
  const where = path.length === 0 ? "" : ` for the output ${printPath(path)}`;
  if (loss?.ofSequences) {
    throw new TypeError(
      `Cannot weight classes${where}: ${loss.type} has one value for each sequence, not one for each label; give ` +
        `sequences a sampleWeight instead`,
    );
  }
  const stray = Object.keys(byClass).find((label) => Number(label) >= classes);
  if (stray !== undefined) {
    throw new RangeError(
      `Cannot weight classes${where}: classWeight has the class ${stray}, but they are 0 … ${classes - 1}`,
    );
  }
  const valueShape = isOneHot || isWhole && last === 1 ? shape.slice(0, -1) : shape;
  const perValue = isOneHot ? last : 1;
  const weights = new Float32Array(data.length / perValue);
  const perSample = weights.length / shape[0];
  for (let place = 0; place < weights.length; place++) {
    const label = isOneHot ? largestAt(data, place * perValue, perValue) : data[place];
    // What does not count may be anything, such as NaN or -1 at a padded step.
    if (Number.isFinite(label) && !Number.isInteger(label)) {
      throw new RangeError(
        `Cannot weight classes${where}: the target at sample ${Math.floor(place / perSample)} is ${label}, ` +
          `expected the number of a class`,
      );
    }
    weights[place] = byClass[label] ?? 1;
  }
  return hostTensor(weights, valueShape);
}

/** The place of the largest of `count` values, the first of equal ones. */
function largestAt(data: ArrayLike<number>, from: number, count: number): number {
  let best = 0;
  for (let index = 1; index < count; index++) if (data[from + index] > data[from + best]) best = index;
  return best;
}

/** Weights of samples times weights of their steps, or both of either. */
function product(own: HostTensor, byClass: HostTensor): HostTensor {
  const wide = own.shape.at(-1) === 1 && own.shape.length > 1 && byClass.shape.at(-1) !== 1;
  const shape = wide ? own.shape.slice(0, -1) : own.shape;
  const [long, short] = shape.length > byClass.shape.length
    ? [{ shape, data: own.data }, byClass]
    : [byClass, { shape, data: own.data }];
  if (!short.shape.every((dim, axis) => dim === long.shape[axis])) {
    throw new TypeError(
      `Cannot weight classes: sampleWeight is ${
        printSpec(own)
      }, expected a shape that begins or continues that ` +
        `of the targets' weights, ${printSpec(byClass)}`,
    );
  }
  const each = long.data.length / Math.max(short.data.length, 1);
  return hostTensor(
    Float32Array.from(long.data, (weight, place) => weight * short.data[Math.floor(place / each)]),
    long.shape,
  );
}

/** Weights as a tree like the outputs, without those that have none. */
function treeOf(
  heads: readonly Head[],
  weights: readonly (HostTensor | undefined)[],
): Tree<Tensor> | undefined {
  const ones = weights.find((weight) => weight)?.shape[0];
  if (ones === undefined) return undefined;
  const build = (depth: number, members: readonly number[]): Tree<Tensor> | undefined => {
    const [first] = members;
    if (heads[first].path.length === depth) return weights[first];
    const keys = [...new Set(members.map((index) => heads[index].path[depth]))];
    const parts = keys.map((key) =>
      build(depth + 1, members.filter((index) => heads[index].path[depth] === key))
    );
    if (typeof keys[0] === "number") { // in a list only the last ones can be left out
      const end = parts.findLastIndex((part) => part !== undefined) + 1;
      return end === 0
        ? undefined
        : parts.slice(0, end).map((part) => part ?? hostTensor(new Float32Array(ones).fill(1), [ones]));
    }
    const kept = keys.flatMap((key, index) => parts[index] === undefined ? [] : [[key, parts[index]]]);
    return kept.length === 0 ? undefined : Object.fromEntries(kept);
  };
  return build(0, heads.map((_, index) => index));
}
