import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import * as cf from "@cellfold/cellfold";
import { assertSlopes } from "./slopes.ts";

const logits = cf.normal(cf.key(1), [3, 4]);
const bits = cf.tensor([[0, 1, 1, 0], [1, 0, 0, 1], [1, 1, 0, 0]]);
const shares = cf.tensor([[0.5, 0.25, 0.25, 0], [0, 1, 0, 0], [0.1, 0.2, 0.3, 0.4]]);
const counts = cf.tensor([[0, 1, 3, 2], [5, 0, 0, 1], [2, 2, 2, 2]]);

/** Losses by name, with a target and what makes a prediction from any numbers. */
const cases: Record<string, [loss: cf.Loss, target: cf.Tensor, predict: (x: cf.Tensor) => cf.Tensor]> = {
  "binary focal": [cf.binaryFocalCrossentropy({ gamma: 1.5, applyClassBalancing: true }), bits, cf.sigmoid],
  "binary focal of probabilities": [
    cf.binaryFocalCrossentropy({ gamma: 0.5 }),
    bits,
    (x) => cf.add(0.1, cf.mul(0.8, cf.sigmoid(x))),
  ],
  "categorical focal": [cf.categoricalFocalCrossentropy({ alpha: [1, 2, 3, 4] }), shares, cf.softmax],
  "categorical focal of probabilities": [
    cf.categoricalFocalCrossentropy({ gamma: 3, labelSmoothing: 0.1 }),
    shares,
    (x) => cf.add(0.1, cf.sigmoid(x)),
  ],
  "cosine": [cf.cosineSimilarity(), shares, (x) => x],
  "KL divergence": [cf.klDivergence(), shares, cf.softmax],
  "KL divergence of probabilities": [cf.klDivergence(), shares, (x) => cf.mul(0.5, cf.sigmoid(x))],
  "poisson": [cf.poisson(), counts, cf.exp],
  "poisson of logarithms": [cf.poisson({ logInput: true }), counts, (x) => x],
};

Deno.test("gradients of focal losses, cosine, KL divergence and poisson are slopes", () => {
  for (const [name, [loss, target, predict]] of Object.entries(cases)) {
    assertSlopes((x) => cf.computeLoss(loss, target, predict(x)), logits, name);
  }
});

Deno.test("mixtureDensity: gradients are slopes, densities integrate to 1, and its parts can be drawn from", () => {
  const options = { components: 2, dimensions: 2, correlated: true, maxCorrelation: 0.9 };
  const numbers = cf.normal(cf.key(2), [3, 12]);
  const points = cf.normal(cf.key(3), [3, 2]);
  assertSlopes((x) => cf.computeLoss(cf.mixtureDensity(options), points, x), numbers, "mixtureDensity", 2);

  // The sum over a grid, times the area of its cells.
  const [row] = cf.toNested(cf.mul(numbers, 0.5)) as number[][];
  const side = Array.from({ length: 81 }, (_, index) => (index - 40) * 0.2);
  const grid = side.flatMap((x) => side.map((y) => [x, y]));
  const loss = cf.mixtureDensity({ ...options, reduction: "none" });
  const values = cf.host(cf.computeLoss(loss, cf.tensor(grid), cf.tensor(grid.map(() => row)))).data;
  assertAlmostEquals([...values].reduce((sum, value) => sum + Math.exp(-value), 0) * 0.04, 1, 2e-3);

  const { logWeights, means, deviations, correlation } = cf.mixtureOf(cf.tensor([row]), options);
  assertAlmostEquals(cf.item(cf.sum(cf.exp(logWeights))), 1, 1e-6);
  assertEquals(cf.toNested(means[1]), [[Math.fround(row[4]), Math.fround(row[5])]]);
  assert(
    [...deviations.map((d) => cf.host(d))].every(({ data }) => data.every((value: number) => value > 0)),
  );
  assert(correlation && cf.host(correlation).data.every((value: number) => Math.abs(value) < 0.9));
  assertThrows(
    () => cf.mixtureDensity({ components: 2, correlated: true }),
    RangeError,
    "expected 2 of them",
  );
  assertThrows(() => cf.mixtureOf(numbers, { components: 2 }), TypeError, "expected a last axis of 6");
});

Deno.test("losses from logits stay exact and finite however large they are", () => {
  const far = cf.tensor([[1e4, -1e4, 0, 0]]);
  const first = cf.tensor([[1, 0, 0, 0]]), second = cf.tensor([[0, 1, 0, 0]]);
  const run = (loss: cf.Loss, target: cf.Tensor, x: cf.Tensor) => {
    const [value, gradient] = cf.valueAndGrad((x: cf.Tensor) => cf.computeLoss(loss, target, x))(x);
    assert(cf.host(gradient).data.every((slope: number) => Number.isFinite(slope)));
    return cf.item(value) + 0; // -0 is 0
  };
  const categorical = cf.categoricalFocalCrossentropy({ fromLogits: true, alpha: 1 });
  assertEquals([run(categorical, first, far), run(categorical, second, far)], [0, 2e4]);
  const binary = cf.binaryFocalCrossentropy({ fromLogits: true });
  assertEquals([
    run(binary, cf.tensor([[1]]), cf.tensor([[1e4]])),
    run(binary, cf.tensor([[0]]), cf.tensor([[1e4]])),
  ], [
    0,
    1e4,
  ]);
  assertEquals(run(cf.klDivergence({ fromLogits: true }), first, far), 0);
  assertAlmostEquals(run(cf.klDivergence({ fromLogits: true }), second, far), 2e4, 1);
  // A square of these overflows, or is 0.
  for (const size of [1e30, 1e-5]) {
    assertAlmostEquals(
      run(cf.cosineSimilarity(), first, cf.tensor([[3 * size, 4 * size, 0, 0]])),
      -0.6,
      1e-6,
    );
  }
  assertEquals(run(cf.cosineSimilarity(), first, cf.zeros([1, 4])), 0);
  const mixture = cf.mixtureDensity({ components: 1 });
  assert(Number.isFinite(run(mixture, cf.tensor([[5]]), cf.tensor([[0, 4, -1e4]]))));
});

Deno.test("options of the new losses are checked", () => {
  assertThrows(() => cf.binaryFocalCrossentropy({ gamma: -1 }), RangeError, "gamma is -1");
  assertThrows(() => cf.categoricalFocalCrossentropy({ alpha: [1, -2] }), RangeError, "alpha is -2");
  assertThrows(() => cf.poisson({ logInputs: true } as object), RangeError, 'did you mean "logInput"'); // no option
  assertThrows(() => cf.mixtureDensity({ components: 0 }), RangeError, "components is 0");
});
