/**
 * What the library's cells share besides their equations: options, checks of their arguments, and dropout
 * masks. A custom cell needs none of it.
 */
import { isObject } from "../describe.ts";
import { checkRange } from "../options/checks.ts";
import { checkOptions } from "../option_names.ts";
import { type Activation, type ActivationLike, resolveActivation } from "../operations/activations.ts";
import { cast, mul } from "../operations/elementwise.ts";
import { isFloat } from "../operations/infer.ts";
import { dropoutMask, splitKey } from "../operations/random.ts";
import { type Initializer, type InitializerLike, resolveInitializer } from "../options/initializers.ts";
import type { JsonOptions } from "../options/json.ts";
import { made } from "../options/made.ts";
import { activationOption, initializerOption } from "../options/saved.ts";
import {
  weightOptionNames,
  type WeightOptions,
  type WeightRules,
  weightRules,
} from "../options/weight_rules.ts";
import type { Cell } from "../scan.ts";
import { printShape, type Shape } from "../tensor/dims.ts";
import { type HostTensor, hostTensor, isLeaf, printSpec, type Spec, type Tensor } from "../tensor/tensor.ts";
import { flattenTree, printPath, type Tree } from "../tree/tree.ts";
import type { RecurrentCell } from "./cell.ts";

/** The options shared by all cells with units, named as in Keras. */
export interface CellOptions extends WeightOptions<"kernel" | "recurrent" | "bias"> {
  /** The activation of the candidate; default `tanh`, null for none. */
  readonly activation?: ActivationLike;
  /** Whether a bias is added; default true. If not, its other options have no effect, as in Keras. */
  readonly useBias?: boolean;
  /** Default `glorotUniform`. */
  readonly kernelInitializer?: InitializerLike;
  /** Default `orthogonal`. */
  readonly recurrentInitializer?: InitializerLike;
  /** Default `zeros`. */
  readonly biasInitializer?: InitializerLike;
  /** The fraction of the input that is dropped while training, from 0 to below 1; default 0. */
  readonly dropout?: number;
  /** The fraction of the recurrent state that is dropped while training, from 0 to below 1; default 0. */
  readonly recurrentDropout?: number;
}

/** The options of a cell with gates. */
export interface GatedCellOptions extends CellOptions {
  /** The activation of the gates; default `sigmoid`. */
  readonly recurrentActivation?: ActivationLike;
}

/** The names of `CellOptions`. */
export const cellOptionNames = [
  "activation",
  "useBias",
  "kernelInitializer",
  "recurrentInitializer",
  "biasInitializer",
  "dropout",
  "recurrentDropout",
  ...weightOptionNames("kernel", "recurrent", "bias"),
] as const;

/** The names of `GatedCellOptions`. */
export const gatedCellOptionNames = [...cellOptionNames, "recurrentActivation"] as const;

/** Options with defaults: resolved to functions, and as they are saved. */
export interface ResolvedCellOptions {
  readonly activation: Activation;
  readonly recurrentActivation: Activation;
  readonly useBias: boolean;
  readonly kernelInitializer: Initializer;
  readonly recurrentInitializer: Initializer;
  readonly biasInitializer: Initializer;
  readonly dropout: number;
  readonly recurrentDropout: number;
  /** The penalties and constraints of `kernel`, `recurrentKernel` and `bias`. */
  readonly rules: WeightRules["functions"];
  /** `recurrentActivation` is among them only if the cell has it. */
  readonly json: JsonOptions;
}

/**
 * The shared options of the cell `type`, checked and with their defaults.
 *
 * @param known The names of all options that the cell has.
 * @throws RangeError for an option or name that is unknown, with the nearest known one, or a rate outside 0
 * to 1.
 */
export function resolveCellOptions(
  type: string,
  options: GatedCellOptions,
  known: readonly string[],
): ResolvedCellOptions {
  checkOptions(type, options, known);
  const {
    activation = "tanh",
    recurrentActivation = "sigmoid",
    useBias = true,
    kernelInitializer = "glorotUniform",
    recurrentInitializer = "orthogonal",
    biasInitializer = "zeros",
    dropout = 0,
    recurrentDropout = 0,
  } = options;
  checkRange(type, "dropout", dropout, { low: 0, below: 1 });
  checkRange(type, "recurrentDropout", recurrentDropout, { low: 0, below: 1 });
  const rules = weightRules(type, options, {
    kernel: ["kernel"],
    recurrent: ["recurrentKernel"],
    bias: ["bias"],
  });
  return {
    activation: resolveActivation(activation),
    recurrentActivation: resolveActivation(recurrentActivation),
    useBias,
    kernelInitializer: resolveInitializer(kernelInitializer),
    recurrentInitializer: resolveInitializer(recurrentInitializer),
    biasInitializer: resolveInitializer(biasInitializer),
    dropout,
    recurrentDropout,
    rules: rules.functions,
    json: {
      activation: activationOption(type, "activation", activation),
      ...(known.includes("recurrentActivation")
        ? { recurrentActivation: activationOption(type, "recurrentActivation", recurrentActivation) }
        : {}),
      useBias,
      kernelInitializer: initializerOption(type, "kernelInitializer", kernelInitializer),
      recurrentInitializer: initializerOption(type, "recurrentInitializer", recurrentInitializer),
      biasInitializer: initializerOption(type, "biasInitializer", biasInitializer),
      dropout,
      recurrentDropout,
      ...rules.saved,
    },
  };
}

/** The arguments of `step` for a cell of one tensor. */
export interface StepContext {
  readonly training: boolean;
  readonly key?: Tensor;
  readonly input: Spec;
}

/** A cell whose input is one tensor, with typed parameters and state. */
export interface CellDefinition<Params, State> extends Pick<RecurrentCell, "penalty" | "constrain"> {
  readonly type: string;
  readonly options: JsonOptions;
  /** The names of the parameters. */
  readonly params: readonly (keyof Params & string)[];
  /** The shape of one step as text, for errors, and its rank. */
  readonly step: { readonly text: string; readonly rank: number };
  /** The number of input features that these parameters are made for. */
  features(params: Params): number;
  /** Any further check of the input. */
  refuses?(input: Spec): string | undefined;
  initParams(key: Tensor, input: Spec): Params;
  initState(params: Params, input: Spec): State;
  build(params: Params, context: StepContext): Cell<State, Tensor, Tensor>;
}

/** The cell of a definition; its arguments are checked and typed here, once. */
export function defineCell<Params, State>(
  definition: CellDefinition<Params, State>,
): RecurrentCell<Tree<Tensor>, State, Tensor, Tensor> {
  const { type, step, params: names } = definition;
  const typedParams = (params: Tree<Tensor>): Params => {
    const found = isObject(params) && !isLeaf(params) ? Object.keys(params).sort() : [];
    if (found.join() !== [...names].sort().join()) {
      throw new TypeError(
        `Cannot use ${type} with the params {${found.join(", ")}}: expected {${names.join(", ")}}`,
      );
    }
    return params as Params; // its names were just checked
  };
  const refuses = (input: Tree<Spec>, params?: Tree<Tensor>): string | undefined => {
    if (!isLeaf(input)) return `one step is a tree of tensors, expected one tensor ${step.text}`;
    if (input.shape.length !== step.rank) {
      return `one step has the shape ${printShape(input.shape)}, expected ${step.text}`;
    }
    const features = input.shape[step.rank - 1];
    if (typeof features !== "number") {
      return `one step has the shape ${printShape(input.shape)}, expected a fixed number of features`;
    }
    if (!isFloat(input)) return `its dtype is ${input.dtype}, expected float32; use cast(x, "float32")`;
    const wanted = params === undefined ? features : definition.features(typedParams(params));
    if (features !== wanted) {
      const expected: Shape = [...input.shape.slice(0, -1), wanted];
      return `one step has the shape ${printShape(input.shape)}, ` +
        `expected ${printShape(expected)} as the kernel is for ${wanted} features`;
    }
    return definition.refuses?.(input);
  };
  const checked = (input: Tree<Spec>, params?: Tree<Tensor>): Spec => {
    const reason = refuses(input, params);
    if (reason !== undefined) {
      throw new TypeError(`Cannot use ${type} with an input of shape ${printShapes(input)}: ${reason}`);
    }
    return input as Spec; // refused unless it is a leaf
  };
  return made<RecurrentCell<Tree<Tensor>, State, Tensor, Tensor>>({
    type,
    options: definition.options,
    refuses,
    // The interface of Params is a tree of tensors, but has no index signature to say so.
    initParams: (key, input) => definition.initParams(key, checked(input)) as Tree<Tensor>,
    initState: (params, input) => definition.initState(typedParams(params), checked(input, params)),
    step: (params, context) =>
      definition.build(typedParams(params), {
        ...context,
        input: checked(context?.input, params),
      }),
    ...(definition.penalty && { penalty: definition.penalty }),
    ...(definition.constrain && { constrain: definition.constrain }),
  }, { main: "step" });
}

/** The shapes of a tree of tensors, for errors: `[batch, 5]`, or each with its path. */
export function printShapes(tree: Tree<Spec>): string {
  if (isLeaf(tree)) return printShape(tree.shape);
  const { leaves, paths } = flattenTree<Spec>(tree);
  return `{${leaves.map((leaf, i) => `${printPath(paths[i])}: ${printSpec(leaf)}`).join(", ")}}`;
}

/** What dropout does to the input of the cell and to its recurrent state. */
export interface Dropouts {
  readonly onInput: (x: Tensor) => Tensor;
  readonly onState: (h: Tensor) => Tensor;
}

/**
 * One mask for the input and one for the recurrent state, drawn once and the same at every step (Gal and
 * Ghahramani, 2016), if the context is training and the rates are above 0; otherwise both are unchanged.
 *
 * @throws TypeError if a mask must be drawn and there is no key.
 */
export function drawDropouts(
  type: string,
  rates: { readonly dropout: number; readonly recurrentDropout: number },
  context: StepContext,
  state: Shape,
): Dropouts {
  const { dropout, recurrentDropout } = rates;
  const keep = (x: Tensor) => x;
  if (!context.training || (dropout === 0 && recurrentDropout === 0)) return { onInput: keep, onState: keep };
  if (!context.key) {
    throw new TypeError(
      `Cannot train ${type} with dropout: the context has no key; give { training: true, key: key(0) }`,
    );
  }
  const [forInput, forState] = splitKey(context.key, 2);
  const times = (key: Tensor, rate: number, shape: Shape) => {
    if (rate === 0) return keep;
    const mask = dropoutMask(key, shape, { rate });
    return (x: Tensor) => mul(x, cast(mask, x.dtype));
  };
  return {
    onInput: times(forInput, dropout, context.input.shape),
    onState: times(forState, recurrentDropout, state),
  };
}

/** A bias of four gates i, f, c, o; with `unitForgetBias` the second is 1 (Jozefowicz et al., 2015). */
export function lstmBias(
  initializer: Initializer,
  key: Tensor,
  units: number,
  unitForgetBias: boolean,
): HostTensor {
  const bias = initializer(key, [4 * units]);
  if (!unitForgetBias) return bias;
  const data = bias.data.slice();
  data.fill(1, units, 2 * units);
  return hostTensor(data, bias.shape);
}
