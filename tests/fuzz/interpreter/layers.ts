/**
 * Every layer for a batch of samples, each by itself (but for the statistics of batch normalization), walking over
 * the steps that count as if the others were not there.
 */
import type { GraphDescription, LayerDescription, RefTree } from "../description.ts";
import { graphFunctions } from "../graph_functions.ts";
import { outputPenalty } from "../regularizers.ts";
import { joinedLogits } from "./logits.ts";
import { type Counts, list, type Nested } from "./nested.ts";
import { type Params, Value } from "./types.ts";
import {
  arraysOf,
  type Extras,
  inner,
  type Layer,
  leavesOf,
  only,
  type Run,
  type Sample,
} from "./samples.ts";
import {
  activation,
  batchNormalization,
  dense,
  dropout,
  embedding,
  flatten,
  layerNormalization,
  masking,
  merge,
  normalization,
  reshapeLayer,
} from "./plain.ts";
import { elementwiseLayers } from "./elementwise.ts";
import { attentionLayers } from "./attention.ts";
import { bidirectional, type Parts, recurrent } from "./recurrent.ts";
import { spatialLayers } from "./spatial.ts";
import { anyCounts, both } from "./counts.ts";

const timeDistributed: Layer = (description, params, samples, extras, run, path) => {
  const layer = inner(description);
  const lengths: number[] = [];
  const rows = samples.flatMap((sample) => {
    const steps = list(leavesOf(sample)[0].x).length;
    lengths.push(steps);
    return Array.from({ length: steps }, (_, step) => ofStep(sample, step));
  });
  const frozen = extras.frozen || description.options.trainable === false;
  const results = runLayer(layer, params, rows, { frozen, rows: true }, run, path); // as the library's state
  let next = 0;
  return samples.map((sample, index) => {
    const own = results.slice(next, next += lengths[index]);
    return steps(own, outerCounts(leavesOf(sample), own.map(leavesOf)));
  });
};

/** What the layer inside gets of a step: what is inside of the step's mask. */
function ofStep(sample: Sample, step: number): Sample {
  if (sample instanceof Value) {
    // A mask begins with the steps, or speaks of the whole sample.
    const counts = Array.isArray(sample.counts) ? sample.counts[step] as Counts : sample.counts;
    const { x, logits } = sample;
    return new Value(list(x)[step], counts, logits && { kind: logits.kind, x: list(logits.x)[step] });
  }
  if (Array.isArray(sample)) return sample.map((part) => ofStep(part, step));
  return Object.fromEntries(Object.entries(sample).map(([name, part]) => [name, ofStep(part, step)]));
}

/**
 * The mask of the steps: that of the input, of which what the layer inside has used up is "any", together with the
 * masks that the layer inside put out.
 */
function outerCounts(inputs: readonly Value[], outputs: readonly (readonly Value[])[]) {
  const steps = outputs.map((_, step) => step);
  const given = inputs.flatMap(({ counts }) => counts === undefined ? [] : [counts]);
  return (leaf: number): Counts | undefined => {
    const own = outputs.map((values) => values[leaf].counts);
    if (given.length === 0 && own.every((counts) => counts === undefined)) return undefined;
    return steps.map((step) => {
      const outer = given.every((counts) => anyCounts(typeof counts === "boolean" ? counts : counts[step]));
      const within = own[step];
      return within === undefined ? outer : both(outer, within);
    });
  };
}

/** The outputs of all steps as sequences. */
export function steps(own: readonly Sample[], countsOf: (leaf: number) => Counts | undefined): Sample {
  let leaf = 0;
  const join = (parts: readonly Sample[]): Sample => {
    const [first] = parts;
    if (first instanceof Value) {
      const values = parts as readonly Value[]; // all have one form
      const logits = first.logits && { kind: first.logits.kind, x: values.map(({ logits }) => logits!.x) };
      return new Value(values.map(({ x }) => x), countsOf(leaf++), logits);
    }
    if (Array.isArray(first)) {
      return first.map((_, i) => join(parts.map((part) => (part as readonly Sample[])[i])));
    }
    return Object.fromEntries(
      Object.keys(first).sort().map((name) => [
        name,
        join(parts.map((part) => (part as { readonly [name: string]: Sample })[name])),
      ]),
    );
  };
  return join(own);
}

const sequential: Layer = ({ layers = [], options }, params, samples, { frozen, rows }, run, path) =>
  layers.reduce<Sample[]>(
    (samples, layer, index) =>
      runLayer(
        layer,
        (params as Parts)[index] ?? [], // one for each layer
        samples,
        { frozen: frozen || options.trainable === false, rows },
        run,
        `${path}.${index}`,
      ),
    [...samples],
  );

export const model: Layer = ({ layers = [], graph, options }, params, samples, extras, run, path) => {
  if (!graph) throw new TypeError("a model has a graph");
  const frozen = extras.frozen || options.trainable === false;
  const given = leafRefs(graph.inputs);
  /** Per step and sample the leaves that it put out. */
  const values: Value[][][] = [];
  given.forEach((ref, leaf) => {
    values[stepOf(ref)] = samples.map((sample) => [leavesOf(sample)[leaf]]);
  });
  const read = (tree: RefTree, row: number): Sample => {
    if (typeof tree === "string") return values[stepOf(tree)][row][Number(tree.split(".")[1])];
    if (Array.isArray(tree)) return tree.map((part) => read(part, row));
    return Object.fromEntries(Object.entries(tree).map(([name, part]) => [name, read(part, row)]));
  };
  const rows = samples.map((_, row) => row);
  graph.steps.forEach((step, index) => {
    if (step.op === "input") return;
    if (step.op === "apply") {
      const { interpreter } = graphFunctions[step.fn];
      values[index] = rows.map((row) => {
        const args = step.inputs.map((ref) => only(read(ref, row)));
        const masks = args.flatMap(({ counts }) => counts === undefined ? [] : [counts]);
        return [
          new Value(
            interpreter(...args.map(({ x }) => x)),
            masks.length === 0 ? undefined : masks.reduce(both),
            step.fn === "beside" ? joinedLogits(args.map(({ logits }) => logits)) : undefined,
          ),
        ];
      });
      return;
    }
    const inputs = rows.map((row) => {
      const sample = read(step.inputs, row);
      return step.mask === undefined ? sample : masked(sample, only(read(step.mask, row)).x);
    });
    const { initialState } = step;
    const results = runLayer(
      layers[step.layer],
      (params as Parts)[step.layer] ?? [], // one for each layer
      inputs,
      {
        frozen,
        rows: extras.rows,
        initialState: initialState === undefined
          ? undefined
          : rows.map((row) => arraysOf(read(initialState, row), ({ x }) => x)),
      },
      run,
      `${path}.${step.layer}`,
    );
    values[index] = results.map(leavesOf);
  });
  return rows.map((row) => read(graph.outputs, row));
};

/** The mask that is given replaces the one that came along. */
export function masked(sample: Sample, mask: Nested): Sample {
  const counts = (x: Nested): Counts => typeof x === "number" ? x !== 0 : x.map(counts);
  if (sample instanceof Value) return new Value(sample.x, counts(mask), sample.logits);
  if (Array.isArray(sample)) return sample.map((part) => masked(part, mask));
  return Object.fromEntries(Object.entries(sample).map(([name, part]) => [name, masked(part, mask)]));
}

export function stepOf(ref: string): number {
  return Number(ref.split(".")[0]);
}

/** The leaves of a tree, in the library's order: keys sorted. */
export function leafRefs(tree: RefTree): string[] {
  if (typeof tree === "string") return [tree];
  if (Array.isArray(tree)) return tree.flatMap(leafRefs);
  return Object.keys(tree).sort().flatMap((name) =>
    leafRefs((tree as GraphDescription["inputs"] & Named)[name])
  );
}

type Named = { readonly [name: string]: RefTree };

export const layers: { readonly [type: string]: Layer } = {
  activation,
  batchNormalization,
  bidirectional,
  convLstm1d: recurrent,
  convLstm2d: recurrent,
  convLstm3d: recurrent,
  dense,
  dropout,
  embedding,
  flatten,
  gru: recurrent,
  layerNormalization,
  normalization,
  layerNormLstm: recurrent,
  lstm: recurrent,
  masking,
  merge,
  model,
  reshapeLayer,
  rnn: recurrent,
  sequential,
  simpleRnn: recurrent,
  timeDistributed,
  ...attentionLayers,
  ...elementwiseLayers,
  ...spatialLayers,
};

/** The layers that the interpreter knows, by the names of their factories. */
export const knownLayers: readonly string[] = Object.keys(layers);

/** What a layer gives for a batch. */
export function runLayer(
  description: LayerDescription,
  params: Params,
  samples: readonly Sample[],
  extras: Extras,
  run: Run,
  path: string,
): Sample[] {
  const { spread } = description;
  const own = spread ? { ...description, options: { ...description.options, ...spread } } : description;
  const outputs = layers[own.type](own, params, samples, extras, run, path);
  for (const { x, counts } of outputs.flatMap(leavesOf)) {
    run.penalties += outputPenalty(own, x, counts);
  }
  return outputs;
}
