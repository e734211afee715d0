/**
 * What a run of training is, as plain data: a run goes on bit for bit only with the same model, optimizer,
 * losses, order and keys. The values of data are not part of it.
 */
import { layerJson } from "../layers/define.ts";
import type { Layer, Variables } from "../layers/layer.ts";
import type { Json } from "../options/json.ts";
import { host, printSpec, type Spec, type Tensor } from "../tensor/tensor.ts";
import { flattenTree, printPath } from "../tree/tree.ts";
import type { ClassWeight } from "./class_weight.ts";
import type { Objective } from "./objective.ts";
import type { Optimizer } from "./optimizers.ts";
import type { PerOutput } from "./per_output.ts";

/** The parts of a run that must not change. */
export interface RunParts {
  readonly model: Layer;
  readonly variables: Variables;
  readonly optimizer: Optimizer;
  readonly objective: Objective;
  /** The names of its logs. */
  readonly names: readonly string[];
  /** How many samples there are; undefined for an iterable, which has no size. */
  readonly samples?: number;
  /** How many samples are in a batch; undefined if an iterable gives batches. */
  readonly batchSize?: number;
  readonly stepsPerEpoch?: number;
  readonly shuffle?: boolean;
  readonly classWeight?: PerOutput<ClassWeight>;
  readonly key: Tensor;
}

/** The identity of a run as JSON; what a difference should name first stands first. */
export function identityOf(parts: RunParts): Json {
  const { model, variables, optimizer, objective, names, key, ...reading } = parts;
  const { samples, batchSize, stepsPerEpoch, shuffle, classWeight } = reading;
  const kind = ({ type, options }: { readonly type: string; readonly options: Json }) => ({ type, options });
  return plain({
    model: layerJson(model),
    variables: Object.fromEntries(specsOf(variables)),
    optimizer: kind(optimizer),
    outputs: objective.heads.map(({ loss, weight, metrics, weightedMetrics }) => ({
      loss: loss ? kind(loss) : null,
      weight,
      metrics: metrics.map(kind),
      weightedMetrics: weightedMetrics.map(kind),
    })),
    logs: names,
    samples: samples ?? null,
    batchSize: batchSize ?? null,
    stepsPerEpoch: stepsPerEpoch ?? null,
    shuffle: shuffle ?? null,
    classWeight: classWeight as Json ?? null, // numbers by class index, maybe in a tree
    key: [...host(key).data],
  });
}

function specsOf({ params, state }: Variables): [string, string][] {
  const { leaves, paths } = flattenTree<Spec>({ params, state });
  return leaves.map((leaf, index) => [printPath(paths[index]), printSpec(leaf)]);
}

/** JSON with a word in place of what is not data, such as functions in options. */
function plain(value: Json): Json {
  if (typeof value !== "object" || value === null) return value;
  if (Object.hasOwn(value, "toJSON")) return "(not data)";
  if (Array.isArray(value)) return value.map(plain);
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, part]) => part === undefined ? [] : [[key, plain(part)]]),
  );
}

/** The first difference of two identities; undefined if there is none. */
export interface Difference {
  /** Its place, such as `optimizer.options.learningRate`. */
  readonly path: string;
  /** The values at it, as text. */
  readonly saved: string;
  readonly given: string;
}

/** The first place where two identities differ. */
export function differenceOf(
  saved: Json | undefined,
  given: Json | undefined,
  path: readonly (string | number)[] = [],
): Difference | undefined {
  if (isNested(saved) && isNested(given) && Array.isArray(saved) === Array.isArray(given)) {
    const keys = new Set([...Object.keys(given), ...Object.keys(saved)]);
    for (const key of keys) {
      const part = Array.isArray(given) ? Number(key) : key;
      const found = differenceOf(own(saved, key), own(given, key), [...path, part]);
      if (found) return found;
    }
    return undefined;
  }
  const [a, b] = [saved, given].map((value) => JSON.stringify(value));
  return a === b ? undefined : { path: printPath(path), saved: shown(a), given: shown(b) };
}

function isNested(value: Json | undefined): value is { readonly [key: string]: Json } {
  return typeof value === "object" && value !== null;
}

function own(value: { readonly [key: string]: Json }, key: string): Json | undefined {
  return Object.hasOwn(value, key) ? value[key] : undefined;
}

/** The most characters of a value that an error shows. */
const LONGEST = 80;

function shown(text: string | undefined): string {
  if (text === undefined) return "missing";
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}
