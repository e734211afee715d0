/** Random losses, metrics and weights for an output. */
import type { HeadDescription, Options } from "./description.ts";
import type { Kind } from "./kinds.ts";
import type { Random } from "./random.ts";

const reductions = ["sumOverBatchSize", "mean", "meanWithSampleWeight", "sum"] as const;

function reduction(random: Random): Options {
  return random.chance(0.35) ? { reduction: random.pick(reductions) } : {};
}

/** Losses of numbers. */
function regression(random: Random): HeadDescription["loss"] {
  const type = random.pick(["meanSquaredError", "meanSquaredError", "meanAbsoluteError", "huber"]);
  return {
    type,
    options: { ...(type === "huber" && random.chance(0.5) ? { delta: 0.5 } : {}), ...reduction(random) },
  };
}

const smoothing = (random: Random): Options => random.chance(0.3) ? { labelSmoothing: 0.25 } : {};

/** A loss that fits what the output is. */
function drawLoss(random: Random, { shape, range }: Kind): HeadDescription["loss"] {
  const classes = shape[shape.length - 1];
  if (random.chance(0.35)) return regression(random);
  const options = {
    ...(range ? random.chance(0.1) ? { fromLogits: true } : {} : { fromLogits: true }),
    ...reduction(random),
  };
  if (range === "sigmoid" || (range === undefined && (classes === 1 || random.chance(0.4)))) {
    return { type: "binaryCrossentropy", options: { ...options, ...smoothing(random) } };
  }
  if (classes === 1) return regression(random);
  if (random.chance(0.6)) {
    const ignoreClass = random.chance(0.4) ? random.pick([-1, 0, 1]) : null;
    return {
      type: "sparseCategoricalCrossentropy",
      options: { ...options, ...(ignoreClass === null ? {} : { ignoreClass }) },
    };
  }
  return { type: "categoricalCrossentropy", options: { ...options, ...smoothing(random) } };
}

/** Metrics that make sense beside the loss. */
function drawMetrics(
  random: Random,
  { type, options }: HeadDescription["loss"],
  classes: number,
): HeadDescription["metrics"] {
  const own = (() => {
    switch (type) {
      case "sparseCategoricalCrossentropy":
        return options.ignoreClass === undefined
          ? ["accuracy", "sparseCategoricalAccuracy", {
            type: "sparseTopKCategoricalAccuracy",
            options: { k: random.whole(1, 2) },
          }]
          : ["accuracy"];
      case "categoricalCrossentropy":
        return ["accuracy", "categoricalAccuracy", "mse", {
          type: "topKCategoricalAccuracy",
          options: { k: 1 },
        }];
      case "binaryCrossentropy":
        return [
          "mae",
          { type: "binaryAccuracy", options: { threshold: 0.25 } },
          ...(classes === 1 ? ["accuracy"] : []),
        ];
      default:
        return ["mse", "mae", "rmse"];
    }
  })();
  return own.filter(() => random.chance(0.3));
}

/** What is asked of an output of a kind. */
export function drawHead(random: Random, kind: Kind): HeadDescription {
  const loss = drawLoss(random, kind);
  const classes = kind.shape[kind.shape.length - 1];
  const dense = loss.type !== "sparseCategoricalCrossentropy";
  const weighted = random.chance(0.4);
  return {
    loss,
    metrics: drawMetrics(random, loss, classes),
    weightedMetrics: random.chance(0.3) ? drawMetrics(random, loss, classes) : [],
    weight: random.chance(0.25) ? random.pick([0.5, 2]) : 1,
    wildTargets: dense && kind.mask > 0 && random.chance(0.4),
    sampleWeight: !weighted ? "none" : kind.shape.length > 1 && random.chance(0.5) ? "step" : "sample",
  };
}
