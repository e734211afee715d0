/** Regularizers of random models: which layers get some, and what they add to the loss. */
import type { Weight } from "./data.ts";
import type { CellDescription, LayerDescription, Options } from "./description.ts";
import { isTrained } from "./frozen.ts";
import type { Counts, Nested } from "./interpreter/nested.ts";
import { rounded } from "./interpreter/nested.ts";
import type { Random } from "./random.ts";

/** What the weights are called in options, by their names in params. */
type Names = { readonly [option: string]: string };

const matrices: Names = { kernel: "kernel", recurrent: "recurrentKernel", bias: "bias" };
const normalization: Names = { gamma: "gamma", beta: "beta" };

/** The weights that have regularizers, by the type of the layer or cell. */
const weightsOf: { readonly [type: string]: Names } = {
  dense: { kernel: "kernel", bias: "bias" },
  embedding: { embeddings: "embeddings" },
  batchNormalization: normalization,
  layerNormalization: normalization,
  ...Object.fromEntries(
    ["simpleRnn", "gru", "lstm", "layerNormLstm"].flatMap((
      type,
    ) => [[type, matrices], [`${type}Cell`, matrices]]),
  ),
  ...Object.fromEntries([1, 2, 3].map((axes) => [`convLstm${axes}d`, matrices])),
};

/** Layers whose output is penalized now and then: floats, which the interpreter makes as layers. */
const active = [
  ...Object.keys(weightsOf).filter((type) => !type.endsWith("Cell")),
  "bidirectional",
  "rnn",
  "timeDistributed",
];

/** Squares have no kink where a derivative is compared with slopes; magnitudes are drawn too, but less. */
const drawFactors = (random: Random) =>
  random.chance(0.2) ? { l1: 0.25, l2: 0.125 } : { l2: random.pick([0.5, 0.125]) };

function drawOptions(random: Random, type: string): Options {
  const names = Object.keys(weightsOf[type] ?? {});
  return Object.fromEntries([
    ...names.filter(() => random.chance(0.15)).map((name) => [`${name}Regularizer`, drawFactors(random)]),
    ...(active.includes(type) && random.chance(0.08) ? [["activityRegularizer", drawFactors(random)]] : []),
  ]);
}

function cellWithRegularizers(cell: CellDescription, random: Random): CellDescription {
  const cells = cell.cells?.map((inner) => cellWithRegularizers(inner, random));
  return {
    ...cell,
    options: { ...cell.options, ...drawOptions(random, cell.type) },
    ...(cells && { cells }),
  };
}

/** The description with regularizers here and there. Layers inside `bidirectional` get none of their outputs. */
export function withRegularizers(
  description: LayerDescription,
  random: Random,
  isInner = false,
): LayerDescription {
  const { inner, backward, cell, layers, type } = description;
  const { activityRegularizer, ...ofWeights } = drawOptions(random, type);
  const isOfPair = type === "bidirectional";
  return {
    ...description,
    options: {
      ...description.options,
      ...ofWeights,
      ...(activityRegularizer === undefined || isInner ? {} : { activityRegularizer }),
    },
    ...(inner && { inner: withRegularizers(inner, random, isOfPair) }),
    ...(backward && { backward: withRegularizers(backward, random, isOfPair) }),
    ...(cell && { cell: cellWithRegularizers(cell, random) }),
    ...(layers && { layers: layers.map((layer) => withRegularizers(layer, random)) }),
  };
}

/** The factors of a regularizer. */
type Factors = { readonly l1?: number; readonly l2?: number };

/** The penalty of what counts of `x`. */
function penaltyOf(x: Nested, { l1 = 0, l2 = 0 }: Factors, counts: Counts | undefined = true): number {
  if (counts === false) return 0;
  if (typeof x === "number") return rounded(rounded(l1 * Math.abs(x)) + rounded(l2 * rounded(x * x)));
  return x.reduce<number>(
    (sum, part, index) =>
      rounded(sum + penaltyOf(part, { l1, l2 }, Array.isArray(counts) ? counts[index] : counts)),
    0,
  );
}

/** The penalty of an output of a layer, in one sample; 0 without a regularizer. */
export function outputPenalty(
  { activityRegularizer }: Options,
  x: Nested,
  counts: Counts | undefined,
): number {
  return activityRegularizer === undefined ? 0 : penaltyOf(x, activityRegularizer as Factors, counts); // as drawn
}

/** The penalty of the weights that are trained. */
export function weightPenalty(model: LayerDescription, weights: readonly Weight[]): number {
  const factors = new Map<string, Factors>();
  const put = (type: string, options: Options, path: string) => {
    for (const [name, weight] of Object.entries(weightsOf[type] ?? {})) {
      const given = options[`${name}Regularizer`];
      if (given !== undefined) factors.set(`${path}.${weight}`, given as Factors); // as drawn
    }
  };
  const visitCell = ({ type, options, cells }: CellDescription, path: string): void => {
    put(type, options, path);
    cells?.forEach((cell, index) => visitCell(cell, `${path}.${index}`));
  };
  const visit = (
    { type, options, inner, backward, cell, layers = [] }: LayerDescription,
    path: string,
  ): void => {
    put(type, options, path);
    if (cell) visitCell(cell, path);
    if (type === "bidirectional" && inner) {
      visit(inner, `${path}.forward`);
      visit(backward ?? inner, `${path}.backward`);
    } else if (inner) visit(inner, path);
    layers.forEach((layer, index) => visit(layer, `${path}.${index}`));
  };
  visit(model, "params");
  return weights.reduce((sum, { path, values }) => {
    const given = factors.get(path);
    return given && isTrained(model, path) ? rounded(sum + penaltyOf(values, given)) : sum;
  }, 0);
}
