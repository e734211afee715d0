/** Regularizers of random models: which layers get some, and what they add to the loss. */
import type { Weight } from "./data.ts";
import type { LayerDescription, Options } from "./description.ts";
import { isTrained } from "./frozen.ts";
import type { Counts, Nested } from "./interpreter/nested.ts";
import { rounded } from "./interpreter/nested.ts";
import type { Random } from "./random.ts";
import { rulesOf, weightsOf, withOptions } from "./weight_rules.ts";

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

/** The description with regularizers here and there. Layers inside `bidirectional` get none of their outputs. */
export function withRegularizers(description: LayerDescription, random: Random): LayerDescription {
  return withOptions(description, (type, isOfPair) => {
    const { activityRegularizer, ...ofWeights } = drawOptions(random, type);
    return {
      ...ofWeights,
      ...(activityRegularizer === undefined || isOfPair ? {} : { activityRegularizer }),
    };
  });
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
  { type, options }: LayerDescription,
  x: Nested,
  counts: Counts | undefined,
): number {
  const given = type === "activityRegularization" ? options : options.activityRegularizer;
  return given === undefined ? 0 : penaltyOf(x, given as Factors, counts); // as drawn
}

/** The penalty of the weights that are trained. */
export function weightPenalty(model: LayerDescription, weights: readonly Weight[]): number {
  const factors = rulesOf(model, "Regularizer");
  return weights.reduce((sum, { path, values }) => {
    const given = factors.get(path) as Factors | undefined; // as drawn
    return given && isTrained(model, path) ? rounded(sum + penaltyOf(values, given)) : sum;
  }, 0);
}
