/**
 * What options say about weights besides their first values: regularizers, which add a penalty to the loss, and
 * constraints, which act after each update. Layers and cells take both from here.
 */
import { add } from "../operations/elementwise.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Tree } from "../tree/tree.ts";
import { type ConstraintLike, constraintOption, resolveConstraint } from "./constraints.ts";
import type { Json, JsonOptions } from "./json.ts";
import { type RegularizerLike, regularizerOption, resolveRegularizer } from "./regularizers.ts";

/**
 * The options of weights, named as in Keras: `kernelRegularizer` is a penalty of the kernel, and
 * `kernelConstraint` what it is replaced by after each update; default null: none. As in Keras, options of a weight
 * that a layer goes without, such as the bias with `useBias: false`, are accepted and have no effect.
 *
 * @typeParam Name What the weights are called in options, such as `kernel` or `recurrent`.
 */
export type WeightOptions<Name extends string> =
  & { readonly [Option in `${Name}Regularizer`]?: RegularizerLike | null }
  & { readonly [Option in `${Name}Constraint`]?: ConstraintLike | null };

/** The names of {@linkcode WeightOptions}. */
export function weightOptionNames(...names: readonly string[]): string[] {
  return names.flatMap((name) => [`${name}Regularizer`, `${name}Constraint`]);
}

/** The rules of the weights of a layer or a cell. */
export interface WeightRules {
  /** The options that are given, as they are saved. */
  readonly saved: JsonOptions;
  /** The functions of the rules, to be spread into a definition; those without a rule are absent. */
  readonly functions: {
    /** The penalty of these params, a float scalar. */
    readonly penalty?: (params: Tree<Tensor>) => Tensor | undefined;
    /** The params with constraints applied. */
    readonly constrain?: (params: Tree<Tensor>) => Tree<Tensor>;
  };
}

/** A function of one weight, at a path in the params. */
interface Rule {
  readonly path: readonly string[];
  readonly apply: (weight: Tensor) => Tensor;
}

/**
 * The rules that options make for weights.
 *
 * @param owner The layer or cell, for errors.
 * @param options The options as they were given.
 * @param weights For each name in options, where in the params its weights are: keys joined by dots. Those that
 *   are not there, such as a bias, have no penalty.
 * @throws RangeError or TypeError for a value that is no regularizer or constraint.
 */
export function weightRules(
  owner: string,
  options: object,
  weights: Readonly<Record<string, readonly string[]>>,
): WeightRules {
  const given = options as Readonly<Record<string, unknown>>; // each value is checked where it is resolved
  const saved: Record<string, Json> = {};
  const penalties: Rule[] = [];
  const constraints: Rule[] = [];
  for (const [name, paths] of Object.entries(weights)) {
    const put = (rules: Rule[], apply: Rule["apply"]) =>
      rules.push(...paths.map((path) => ({ path: path.split("."), apply })));
    const regularizer = given[`${name}Regularizer`] as RegularizerLike | null | undefined;
    if (regularizer !== undefined && regularizer !== null) {
      const option = `${name}Regularizer`;
      put(penalties, resolveRegularizer(owner, option, regularizer));
      saved[option] = regularizerOption(owner, option, regularizer);
    }
    const constraint = given[`${name}Constraint`] as ConstraintLike | null | undefined;
    if (constraint !== undefined && constraint !== null) {
      const option = `${name}Constraint`;
      put(constraints, resolveConstraint(owner, option, constraint));
      saved[option] = constraintOption(owner, option, constraint);
    }
  }
  return {
    saved,
    functions: {
      ...(penalties.length > 0 && {
        penalty: (params) =>
          sumOf(penalties.map(({ path, apply }) => {
            const weight = weightAt(params, path);
            return weight && apply(weight);
          })),
      }),
      ...(constraints.length > 0 && {
        constrain: (params) =>
          constraints.reduce((params, { path, apply }) => changedAt(params, path, apply), params),
      }),
    },
  };
}

/** The sum of what there is; undefined if there is nothing. */
export function sumOf(penalties: readonly (Tensor | undefined)[]): Tensor | undefined {
  const present = penalties.filter((penalty) => penalty !== undefined);
  return present.length === 0 ? undefined : present.reduce((a, b) => add(a, b));
}

type Params = { readonly [key: string]: Tree<Tensor> | undefined };

function weightAt(params: Tree<Tensor>, path: readonly string[]): Tensor | undefined {
  let part: Tree<Tensor> | undefined = params;
  for (const key of path) part = (part as Params | undefined)?.[key]; // the layer made them so
  return part as Tensor | undefined;
}

function changedAt(
  params: Tree<Tensor>,
  [key, ...rest]: readonly string[],
  apply: Rule["apply"],
): Tree<Tensor> {
  if (key === undefined) return apply(params as Tensor); // the path ends at a weight
  const part = (params as Params)[key];
  return part === undefined
    ? params
    : { ...params as Params, [key]: changedAt(part, rest, apply) } as Tree<Tensor>;
}
