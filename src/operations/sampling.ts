/** Drawing from distributions that are given as logits. */
import { checkOptions } from "../option_names.ts";
import { checkKey } from "../tensor/keys.ts";
import { checkTensor, type Tensor } from "../tensor/tensor.ts";
import { resolveAxis } from "./axes.ts";
import { zerosLike } from "./creation.ts";
import {
  add,
  cast,
  div,
  equal,
  exp,
  greater,
  less,
  lessEqual,
  log,
  log1p,
  maximum,
  minimum,
  mul,
  neg,
  select,
  sub,
} from "./elementwise.ts";
import { iota } from "./indexing.ts";
import { requireFloat } from "./infer.ts";
import { randomBits } from "./random.ts";
import { argmax, type AxisOptions, max } from "./reduction.ts";
import { foldFlat } from "./scan.ts";
import { topK } from "./sorting.ts";
import { expandDims, sum } from "./structure.ts";

/**
 * Draws an index along an axis (default: the last), each with the probability that the softmax of the logits
 * gives it, by the largest of the logits with Gumbel noise (Maddison et al., "A* sampling", 2014). Every
 * backend draws with the same bits, of which it takes one int32 per logit.
 *
 * An index with the logit -∞ is never drawn; if all are -∞, index 0 is. The first NaN is drawn if there is
 * one, else the first ∞, as `argmax` finds them. The result has no derivative.
 *
 * @param key A random key; use it once.
 * @param logits float32 or float64, not normalized. Each of their rows is drawn from independently.
 * @returns int32, of the shape of `logits` without the axis.
 * @throws TypeError for logits that are not floats; RangeError for an axis that is not there, or is empty.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { categorical, key, tensor, toNested } from "@cellfold/cellfold";
 * const logits = tensor([[0, -Infinity, -Infinity], [-Infinity, -Infinity, 5]]);
 * assertEquals(toNested(categorical(key(0), logits)), [0, 2]);
 * ```
 */
export function categorical(key: Tensor, logits: Tensor, options: AxisOptions = {}): Tensor {
  checkKey("draw from logits", key);
  checkTensor("draw from logits", logits, "logits");
  checkOptions("categorical", options, ["axis"]);
  requireFloat("categorical", [logits]);
  const axis = resolveAxis(options.axis ?? -1, logits.shape.length, "draw");
  const noise = neg(log(exponentials(key, logits)));
  return argmax(add(logits, cast(noise, logits.dtype)), { axis });
}

/**
 * Exponentially distributed float32 above 0, finest near 0, where the largest Gumbel noise comes from: 31 bits
 * are kept as a float, whose digits are lost only where it is close to 1.
 */
function exponentials(key: Tensor, { shape }: Tensor): Tensor {
  const bits = randomBits(key, shape);
  const whole = cast(maximum(bits, sub(-1, bits)), "float32"); // of either sign as many
  return neg(log1p(neg(minimum(mul(add(whole, 0.5), 2 ** -31), 1 - 2 ** -24))));
}

/** How a token is chosen from logits. */
export interface Sampling {
  /** float32, above 0; absent: the first largest logit is taken. */
  readonly temperature?: Tensor;
  /** Only so many of the largest logits are kept. */
  readonly topK?: number;
  /** float32: of what is left, the most probable tokens that have this probability together. */
  readonly topP?: Tensor;
}

/**
 * A token for each row of logits (`[rows, vocabulary]`): the differences to the largest are divided by the
 * temperature, then `topK` and after it `topP` decide which tokens are drawn from.
 */
export function sampleLogits(key: Tensor, logits: Tensor, { temperature, topK: k, topP }: Sampling): Tensor {
  if (temperature === undefined) return argmax(logits);
  const chosen = k === undefined ? undefined : topK(logits, { k });
  const values = chosen?.values ?? logits;
  // As differences to the largest they stay finite, whatever the temperature.
  const scaled = div(sub(values, max(values, { axes: -1, keepDims: true })), cast(temperature, values.dtype));
  const place = categorical(key, topP === undefined ? scaled : nucleus(scaled, topP));
  if (chosen === undefined) return place;
  const isPlace = equal(iota([1, scaled.shape[1]]), expandDims(place, 1));
  return sum(select(isPlace, chosen.indices, 0), { axes: 1 });
}

/** How often the interval of a threshold is halved: below 2⁻⁴⁰ of the largest, probabilities add up to nothing. */
const HALVINGS = 40;

/**
 * The nucleus of logits whose largest is 0: -∞ where the tokens that are more probable have `topP` or more
 * together (Holtzman et al., "The curious case of neural text degeneration", 2020). So the most probable token
 * is always kept, and equally probable ones are kept or dropped together. The threshold is found by bisection,
 * as that takes fewer passes than sorting.
 */
function nucleus(logits: Tensor, topP: Tensor): Tensor {
  const weights = exp(logits); // in 0…1
  const wanted = mul(sum(weights, { axes: 1 }), cast(topP, logits.dtype));
  const { carries: [dropped] } = foldFlat(
    [zerosLike(wanted), add(zerosLike(wanted), 1)],
    [],
    ([low, high]) => {
      const middle = mul(add(low, high), 0.5);
      const above = sum(select(greater(weights, expandDims(middle, 1)), weights, 0), { axes: 1 });
      const isKept = less(above, wanted);
      return {
        carries: [select(isKept, low, middle), select(isKept, middle, high)],
        outputs: [],
        result: undefined,
      };
    },
    { length: HALVINGS, reverse: false, recompute: false },
  );
  return select(lessEqual(weights, expandDims(dropped, 1)), -Infinity, logits); // NaN is kept
}
