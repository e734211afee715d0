/**
 * What a case is run with: numbers by seed, as nested arrays for the interpreter and as tensors for the library.
 * Ordinary numbers are sixteenths, which float32 has exactly.
 */
import * as cf from "@cellfold/cellfold";
import type * as internal from "@cellfold/cellfold/internal";
import type { Case, HeadDescription, InputDescription, LayerDescription, Places } from "./description.ts";
import { leavesOf, type Run, type Sample } from "./interpreter/samples.ts";
import { runLayer } from "./interpreter/layers.ts";
import { countsAt } from "./interpreter/counts.ts";
import {
  at,
  type Counts,
  fill,
  flat,
  list,
  nest,
  type Nested,
  type NestedTree,
  shapeOf,
} from "./interpreter/nested.ts";
import { type Params, Value } from "./interpreter/types.ts";
import { graphFunctions } from "./graph_functions.ts";
import { ownCells } from "./own_cells.ts";
import { type Random, randomFrom } from "./random.ts";
import { weightPenalty } from "./regularizers.ts";
import { modelText, objectiveText, treeText } from "./source.ts";

/** Inputs of some samples: per leaf and sample. */
export type Inputs = readonly (readonly Nested[])[];

/** A weight by path. */
export interface Weight {
  readonly path: string;
  readonly shape: readonly number[];
  readonly values: Nested;
}

/** A case with its numbers and the library's model. */
export interface Realized {
  readonly one: Case;
  readonly model: cf.Layer;
  readonly variables: cf.Variables;
  readonly weights: readonly Weight[];
  readonly inputs: Inputs;
  /** Per head and sample. */
  readonly targets: readonly (readonly Nested[])[];
  /** Per head and sample; absent where the head has none. */
  readonly sampleWeights: readonly (readonly Nested[] | undefined)[];
  /** Loss, weights and metrics. */
  readonly objective: internal.ObjectiveOptions;
}

/** Runs the text of a program that makes constants, and gives one of them. */
function evaluated<T>(text: string, name: string): T {
  return new Function("cf", `"use strict";\n${text}\nreturn ${name};`)(cf) as T; // the caller names what it wrote
}

/** The library's model of a description. */
export function modelOf(description: LayerDescription): cf.Layer {
  return evaluated(modelText(description), "model");
}

/** What `fromJson` needs beside the JSON. */
export const revivers: internal.FromJsonOptions = {
  cells: Object.fromEntries(
    Object.entries(ownCells).map((
      [type, { make }],
    ) => [type, (options) => make(options) as cf.RecurrentCell]), // its options
  ),
  functions: Object.fromEntries(
    Object.entries(graphFunctions).map(([name, { library }]) => [name, library]),
  ),
};

export function treeOfPlaces<T>(places: Places, leaf: (place: number) => T): cf.Tree<T> {
  if (typeof places === "number") return leaf(places) as cf.Tree<T>;
  if (Array.isArray(places)) return places.map((part) => treeOfPlaces(part, leaf)) as cf.Tree<T>;
  return Object.fromEntries(
    Object.entries(places).map(([name, part]) => [name, treeOfPlaces(part, leaf)]),
  ) as cf.Tree<T>;
}

/** The places in the order of the library's leaves: keys sorted. */
export function placesOf(places: Places): number[] {
  if (typeof places === "number") return [places];
  if (Array.isArray(places)) return places.flatMap(placesOf);
  return Object.keys(places).sort().flatMap((name) => placesOf((places as { [name: string]: Places })[name]));
}

/** Samples as a tensor. */
export function tensorOf(
  samples: readonly Nested[],
  shape: readonly number[],
  dtype: cf.DType,
): cf.HostTensor {
  const values = samples.flatMap(flat);
  const data = dtype === "float32"
    ? Float32Array.from(values)
    : dtype === "int32"
    ? Int32Array.from(values)
    : Uint8Array.from(values);
  return cf.hostTensor(data, [samples.length, ...shape], dtype);
}

/** The largest input of a scale of 1, of those that count. */
export const LARGEST_INPUT = 2;

const sixteenth = (random: Random) => random.whole(-16 * LARGEST_INPUT, 16 * LARGEST_INPUT) / 16;

/** Which steps of a sample count, by the group of its inputs. */
function drawCounts(one: Case, group: number, sample: number, sizes: readonly number[]): Counts {
  const random = randomFrom(one.seed).fork(`counts ${group} ${sample}`);
  const draw = (size: number): boolean[] => {
    if (one.holes === "none") return new Array<boolean>(size).fill(true);
    const length = random.chance(0.12) ? 0 : random.whole(1, size);
    return Array.from(
      { length: size },
      (_, step) => one.holes === "end" ? step < length : random.chance(0.65),
    );
  };
  const outer = draw(sizes[0]);
  return sizes.length === 1 ? outer : outer.map((counts) => draw(sizes[1]).map((within) => counts && within));
}

const specials = [NaN, Infinity, -Infinity, 1e30];

/** A step that does not count, or an ordinary one. */
function drawNumber(
  random: Random,
  { padding, scale = 1, vocabulary = 2 }: InputDescription,
  counts: boolean,
): number {
  switch (padding.kind) {
    case "token":
      return counts ? random.whole(1, vocabulary - 1) : 0;
    case "mask":
      return counts ? 1 : 0;
    case "value":
      // No ordinary number is the value of padding: they are odd thirty-seconds.
      return counts ? (2 * random.whole(-32, 31) + 1) / 32 : padding.value;
    case "wild":
      if (!counts) return random.chance(0.6) ? random.pick(specials) : sixteenth(random);
      return sixteenth(random) * scale;
    case "none":
      if (vocabulary > 2) return random.whole(0, vocabulary - 1);
      return sixteenth(random) * scale;
    case "tame":
      return sixteenth(random) * scale;
  }
}

/** One leaf of one sample. */
export function drawInput(one: Case, input: InputDescription, sample: number): Nested {
  const random = randomFrom(one.seed).fork(`input ${input.name} ${sample}`);
  // All inputs of a group have the same steps; an inner size of its own has an inner pattern of its own.
  const sizes = input.shape.slice(0, input.counted);
  const counts = input.counted === 0 ? true : drawCounts(one, input.group, sample, sizes);
  return fill(
    input.shape,
    (index) => drawNumber(random, input, countsAt(counts, index.slice(0, input.counted))),
  );
}

/** Weights that make every option felt: no bias is 0, no gain 1. */
function drawWeight(one: Case, path: string, shape: readonly number[]): Nested {
  const random = randomFrom(one.seed).fork(`weight ${path}`);
  const name = path.split(".").pop() ?? "";
  if (name === "movingVariance" || name === "variance") return fill(shape, () => random.whole(4, 32) / 16);
  if (/[gG]amma$/.test(name)) return fill(shape, () => random.whole(8, 24) / 16);
  // A carry is what other steps left behind, within what the cells give.
  const most = path.includes("carry") ? 8 : 16;
  return fill(shape, () => {
    const value = random.whole(-most, most - 1);
    return (value >= 0 ? value + 1 : value) / 16; // no zeros, at which functions have kinks
  });
}

/** Makes the numbers of a case. Throws where the library cannot make the model. */
export function realize(one: Case): Realized {
  const model = modelOf(one.model);
  const specs = treeOfPlaces(one.inputTree, (place) => {
    const { shape, dtype, time } = one.inputs[place];
    const open = shape.map((size, axis) => axis === 0 && time > 0 && !one.fixedTime ? null : size);
    return cf.spec([one.statefulBatch, ...open], dtype);
  });
  const fresh = cf.init(model, cf.key(0), specs);
  const weights = cf.getWeights(fresh).map(({ path, tensor }): Weight => {
    const shape = tensor.shape as readonly number[]; // on the host
    return { path, shape, values: drawWeight(one, path, shape) };
  });
  const inputs = one.inputs.map((input) =>
    Array.from({ length: one.samples }, (_, sample) => drawInput(one, input, sample))
  );
  const withInputs = { one, model, weights, inputs };
  const outputs = interpret(withInputs, inputs, weights, { training: false }).batches.flat();
  const targets = one.heads.map((head, place) =>
    outputs.map((leaves, sample) => drawTarget(one, head, leaves[place], place, sample))
  );
  const sampleWeights = drawSampleWeights(one, outputs);
  const objective = evaluated<internal.ObjectiveOptions>(
    `const options = {\n  ${objectiveText(one)}\n};`,
    "options",
  );
  return { ...withInputs, variables: withWeights(fresh, weights), targets, sampleWeights, objective };
}

/** Variables with these weights. */
export function withWeights(variables: cf.Variables, weights: readonly Weight[]): cf.Variables {
  return cf.setWeights(
    variables,
    Object.fromEntries(
      weights.map((
        { path, shape, values },
      ) => [path, cf.hostTensor(Float32Array.from(flat(values)), [...shape])]),
    ),
  );
}

/** What is wanted of a sample's output, for the places that count and, perhaps as NaN, for the others. */
function drawTarget(
  one: Case,
  head: HeadDescription,
  { x, counts }: Value,
  place: number,
  sample: number,
): Nested {
  const random = randomFrom(one.seed).fork(`target ${place} ${sample}`);
  const shape = shapeOf(x);
  const leading = shape.slice(0, -1);
  const classes = shape[shape.length - 1];
  const { type, options } = head.loss;
  if (type === "sparseCategoricalCrossentropy") {
    return fill(leading, () => {
      const label = random.whole(0, classes - 1);
      return random.chance(0.25) ? Number(options.ignoreClass ?? label) : label;
    });
  }
  const values = fill(leading, () => random.whole(0, classes - 1)); // of one-hot targets
  return fill(shape, (index) => {
    const value = type === "categoricalCrossentropy"
      ? index[index.length - 1] === at(values, index.slice(0, -1)) ? 1 : 0
      : type === "binaryCrossentropy"
      ? random.whole(0, 1)
      : sixteenth(random);
    const wild = head.wildTargets && !countsAt(counts, index.slice(0, -1)) && random.chance(0.7);
    return wild ? random.pick(specials) : value;
  });
}

/** Weights of samples or steps, quarters; where one head has them, the others have ones. */
function drawSampleWeights(one: Case, outputs: readonly (readonly Value[])[]): Realized["sampleWeights"] {
  if (one.heads.every(({ sampleWeight }) => sampleWeight === "none")) return one.heads.map(() => undefined);
  return one.heads.map(({ sampleWeight }, place) =>
    outputs.map((leaves, sample) => {
      const random = randomFrom(one.seed).fork(`weights ${place} ${sample}`);
      const draw = () => sampleWeight === "none" ? 1 : random.whole(0, 8) / 4;
      return sampleWeight === "step" ? fill(shapeOf(leaves[place].x).slice(0, 1), draw) : draw();
    })
  );
}

/** Weights as the interpreter takes them. */
export function interpreterWeights(weights: readonly Weight[]): { params: Params; state: Run["state"] } {
  const root: Record<string, unknown> = {};
  for (const { path, values } of weights) {
    const names = path.split(".");
    let at = root;
    for (const name of names.slice(0, -1)) at = (at[name] ??= {}) as Record<string, unknown>; // made here
    at[names[names.length - 1]] = values;
  }
  const state: Run["state"] = new Map();
  const visit = (tree: unknown, path: string): void => {
    if (typeof tree !== "object" || tree === null || Array.isArray(tree)) return;
    const part = tree as Record<string, unknown>; // made above
    if ("movingMean" in part || "mean" in part) return void state.set(path, part);
    if ("carry" in part) return void state.set(path, rowsOf(part.carry as NestedTree)); // made above
    for (const [name, inner] of Object.entries(part)) visit(inner, `${path}.${name}`);
  };
  visit(root.state, "state");
  return { params: (root.params ?? {}) as Params, state };
}

/** A tree of batches as a tree for each row. */
function rowsOf(tree: NestedTree): NestedTree[] {
  if (typeof tree === "number" || Array.isArray(tree)) return [...list(tree as Nested)];
  const parts = Object.entries(tree as { readonly [name: string]: NestedTree })
    .map(([name, part]) => [name, rowsOf(part)] as const);
  return parts[0][1].map((_, row) => Object.fromEntries(parts.map(([name, rows]) => [name, rows[row]])));
}

/** The samples' trees of inputs. */
export function samplesOf({ inputTree }: Case, inputs: Inputs): Sample[] {
  const tree = (places: Places, sample: number): Sample => {
    if (typeof places === "number") return new Value(inputs[places][sample]);
    if (Array.isArray(places)) return places.map((part) => tree(part, sample));
    return Object.fromEntries(Object.entries(places).map(([name, part]) => [name, tree(part, sample)]));
  };
  return inputs[0].map((_, sample) => tree(inputTree, sample));
}

/** What the interpreter gives: per batch and sample the outputs by place, and the state in the end. */
export interface Interpreted {
  readonly batches: readonly (readonly (readonly Value[])[])[];
  readonly state: Run["state"];
  readonly started: Run["started"];
  /** What regularizers add to the loss of all samples. */
  readonly penalty: number;
}

/**
 * Runs the interpreter over the samples, in batches of `batch` (a stateful model's), else in one. With `held`,
 * stateful layers start from these carries.
 */
export function interpret(
  { one }: Pick<Realized, "one">,
  inputs: Inputs,
  weights: readonly Weight[],
  { training, held }: { readonly training: boolean; readonly held?: Run["held"] },
): Interpreted {
  const { params, state } = interpreterWeights(weights);
  const run: Run = { training, state, held, started: [], penalties: 0 };
  const samples = samplesOf(one, inputs);
  const size = one.statefulBatch ?? samples.length;
  const order = placesOf(one.outputTree);
  const batches = [];
  for (let start = 0; start < samples.length; start += size) {
    const results = runLayer(
      one.model,
      params,
      samples.slice(start, start + size),
      { frozen: false },
      run,
      "state",
    );
    batches.push(results.map((sample) => {
      const leaves = leavesOf(sample);
      const byPlace: Value[] = [];
      order.forEach((place, leaf) => byPlace[place] = leaves[leaf]);
      return byPlace;
    }));
  }
  const penalty = run.penalties / samples.length + weightPenalty(one.model, weights);
  return { batches, state, started: run.started, penalty };
}

/** What the library is given. */
export function libraryInput({ one }: Pick<Realized, "one">, inputs: Inputs): cf.Tree<cf.Tensor> {
  return treeOfPlaces<cf.Tensor>(one.inputTree, (place) => {
    const { dtype } = one.inputs[place];
    return tensorOf(inputs[place], shapeOf(inputs[place][0]), dtype);
  });
}

/** Inputs, targets and weights of the samples at `rows`. */
export function libraryData(realized: Realized, rows?: readonly number[]): cf.Data {
  const { one, inputs, targets, sampleWeights } = realized;
  const pick = <T>(samples: readonly T[]) => rows ? rows.map((row) => samples[row]) : samples;
  const y = treeOfPlaces<cf.Tensor>(one.outputTree, (place) => {
    const dtype = one.heads[place].loss.type === "sparseCategoricalCrossentropy" ? "int32" : "float32";
    return tensorOf(pick(targets[place]), shapeOf(targets[place][0]), dtype);
  });
  const weighted = sampleWeights.some((weights) => weights !== undefined);
  return {
    x: libraryInput(realized, inputs.map(pick)),
    y,
    ...(weighted
      ? {
        sampleWeight: treeOfPlaces<cf.Tensor>(one.outputTree, (place) => {
          const weights = pick(sampleWeights[place]!); // all or none
          return tensorOf(weights, shapeOf(weights[0]), "float32");
        }),
      }
      : {}),
  };
}

export { nest, treeText };
