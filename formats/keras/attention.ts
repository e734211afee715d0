/**
 * The attention layers. In Keras their masking of later steps and the return of their weights are arguments of a
 * call, and those of several heads take their inputs one by one; here both are options, and the inputs a list.
 */
import type { Layer } from "../../src/layers/mod.ts";
import { fromJson, toJson } from "../../src/models/mod.ts";
import type { Json, JsonOptions } from "../../src/options/json.ts";
import { quoted } from "../../src/quoted.ts";
import type { Shape } from "../../src/tensor/dims.ts";
import type { ClassRow } from "./class_row.ts";
import { KerasFileError } from "./errors.ts";
import { isList, isObject, type JsonObject } from "./objects.ts";
import { count, last, param, type WeightRow } from "./weight_row.ts";

/** Our options that are arguments of a call in Keras. */
const callOptions = {
  use_causal_mask: "useCausalMask",
  return_attention_scores: "returnAttentionScores",
} as const;

/** Without arguments of a call. */
const asKeras = { useCausalMask: false, returnAttentionScores: false };

/** The classes of attention. */
export const attentionRows: readonly ClassRow[] = [
  {
    className: "Attention",
    type: "attention",
    options: { use_scale: "flag", score_mode: "scoreMode", dropout: "number" },
    asKeras,
    without: ["seed"],
  },
  {
    className: "AdditiveAttention",
    type: "additiveAttention",
    options: { use_scale: "flag", dropout: "number" },
    asKeras,
    without: ["seed"],
  },
  {
    className: "MultiHeadAttention",
    type: "multiHeadAttention",
    options: {
      num_heads: "count",
      key_dim: "count",
      value_dim: "count",
      output_shape: "noise",
      dropout: "number",
      use_bias: "flag",
      kernel_initializer: "initializer",
      bias_initializer: "initializer",
    },
    fixed: { attention_axes: [[1], null] },
    asKeras,
    without: ["seed"],
  },
];

/** Whether a layer is attention, which takes a list of a query, a value and perhaps a key. */
export function isAttention({ type }: Layer): boolean {
  return attentionRows.some((row) => row.type === type);
}

/** Whether Keras's class takes its inputs one by one. */
const takesApart = ({ type }: Layer) => type === "multiHeadAttention";

const roles = ["query", "value", "key"] as const;

/**
 * The layer with the options that are arguments of its calls, and the calls with the inputs as one list, without
 * these arguments.
 *
 * @throws KerasFileError if its calls differ in these arguments.
 */
export function readAttentionCalls(
  layer: Layer,
  calls: readonly JsonObject[],
  place: string,
): { readonly layer: Layer; readonly calls: readonly JsonObject[] } {
  const read = calls.map((json) => {
    const { args = [], kwargs = {} } = json;
    if (!isList(args) || !isObject(kwargs)) {
      throw new KerasFileError(place, `one of its calls is ${quoted(json)}, expected { args, kwargs }`);
    }
    const names = Object.entries(callOptions);
    const options = Object.fromEntries(names.map(([name, ours]) => [ours, kwargs[name] ?? false]));
    const named: readonly string[] = takesApart(layer) ? roles : ["inputs"];
    const others = Object.entries(kwargs).filter(([name]) =>
      !Object.hasOwn(callOptions, name) && !named.includes(name)
    );
    const inputs = named.map((name, index) => args[index] ?? kwargs[name] ?? null).filter((input) =>
      input !== null
    );
    const whole: Json = takesApart(layer) ? inputs : inputs[0];
    const call: JsonObject = {
      args: [whole, ...args.slice(named.length)],
      kwargs: Object.fromEntries(others),
    };
    return { options, call };
  });
  const [first] = read;
  const different = read.find(({ options }) => JSON.stringify(options) !== JSON.stringify(first.options));
  if (different) {
    throw new KerasFileError(
      place,
      `its calls have the arguments ${quoted(first.options)} and ${
        quoted(different.options)
      }, expected the same, ` +
        `which are options of the layer here`,
    );
  }
  if (first === undefined) return { layer, calls };
  const json = toJson(layer) as JsonOptions; // a layer is an object
  const options = { ...json.options as JsonOptions, ...first.options };
  return { layer: fromJson({ ...json, options }), calls: read.map(({ call }) => call) };
}

/** The arguments of a call in Keras, of the inputs as one list. */
export function attentionArguments(
  layer: Layer,
  inputs: Json,
): { readonly args: Json[]; readonly kwargs: JsonOptions } {
  const set = Object.entries(callOptions).filter(([, ours]) => layer.options[ours] === true);
  return {
    args: takesApart(layer) && isList(inputs) ? [...inputs] : [inputs],
    kwargs: Object.fromEntries(set.map(([name]) => [name, true])),
  };
}

/** A group of weights of an attention layer: Keras's name, ours, and what its shapes depend on. */
export interface AttentionPart {
  /** The group below that of the layer; empty for the layer's own. */
  readonly group: string;
  readonly name: string;
  /** Our name in the params. */
  readonly variables: readonly string[];
  readonly rows: readonly WeightRow[];
  /** Which input its shapes follow. */
  readonly role: typeof roles[number];
}

/** The groups of the weights of an attention layer. */
export function attentionParts({ type, name = type, options }: Layer): readonly AttentionPart[] {
  const own = (rows: readonly WeightRow[]): AttentionPart => ({
    group: "",
    name,
    variables: [],
    rows,
    role: "query",
  });
  if (type === "attention") {
    return [own([
      ...(options.useScale ? [param("scale", () => [])] : []),
      ...(options.scoreMode === "concat" ? [param("concatScoreWeight", () => [])] : []),
    ])];
  }
  if (type === "additiveAttention") {
    return [own(options.useScale ? [param("scale", (input) => [last(input)])] : [])];
  }
  const [heads, keyDim, valueDim] = ["numHeads", "keyDim", "valueDim"].map((name) => count(options, name));
  const part = (
    name: string,
    group: string,
    { role, kernel, bias }: {
      readonly role: AttentionPart["role"];
      readonly kernel: (input: Shape) => Shape;
      readonly bias: (input: Shape) => Shape;
    },
  ): AttentionPart => ({
    group: `${name}_dense`,
    name: group,
    variables: [name],
    rows: [param("kernel", kernel), ...(options.useBias ? [param("bias", bias)] : [])],
    role,
  });
  const projection = (role: AttentionPart["role"], size: number) =>
    part(role, role, { role, kernel: (input) => [last(input), heads, size], bias: () => [heads, size] });
  const outputSize = (input: Shape) =>
    isList(options.outputShape) ? Number(options.outputShape[0]) : last(input);
  return [
    projection("query", keyDim),
    projection("key", keyDim),
    projection("value", valueDim),
    part("output", "attention_output", {
      role: "query",
      kernel: (input) => [heads, valueDim, outputSize(input)],
      bias: (input) => [outputSize(input)],
    }),
    own([]),
  ];
}

/** The shape of an input by its role, from those of all of them. */
export function shapeOfRole(shapes: readonly Shape[], role: AttentionPart["role"]): Shape {
  return shapes[roles.indexOf(role)] ?? shapes[1]; // without a key, it is the value
}
