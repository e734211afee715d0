/**
 * What does not count may be anything: targets and predictions that are NaN, infinite or of no class change neither the
 * loss nor its gradient nor a metric, for every loss, reduction and way of not counting.
 */
import { assert, assertEquals } from "@std/assert";
import { resolveActivation } from "../../src/operations/activations.ts";
import {
  abs,
  cast,
  div,
  equal,
  greaterEqual,
  log,
  mul,
  select,
  sqrt,
  square,
  sub,
} from "../../src/operations/elementwise.ts";
import { gather } from "../../src/operations/indexing.ts";
import { key as randomKey, uniform } from "../../src/operations/random.ts";
import { mean } from "../../src/operations/reduction.ts";
import { expandDims, reshape, sum } from "../../src/operations/structure.ts";
import { host, item, type Tensor, tensor } from "../../src/tensor/tensor.ts";
import { compile } from "../../src/transforms/compile.ts";
import { valueAndGrad } from "../../src/transforms/grad.ts";
import type { Weighting } from "../../src/training/alignment.ts";
import { computeLoss } from "../../src/training/compute_loss.ts";
import {
  binaryCrossentropy,
  binaryFocalCrossentropy,
  categoricalCrossentropy,
  categoricalFocalCrossentropy,
  huber,
  klDivergence,
  type Loss,
  meanAbsoluteError,
  meanSquaredError,
  poisson,
  type Reduction,
  sparseCategoricalCrossentropy,
} from "../../src/training/losses.ts";
import { metricNames, resolveMetric } from "../../src/training/resolve_metric.ts";

const [BATCH, TIME, CLASSES] = [3, 4, 5];
const POISONS = [NaN, Infinity, -Infinity, 1e308];

/** A loss of one's own. */
const own = (type: string, values: Loss["values"]) => (reduction: Reduction): Loss => ({
  type,
  options: {},
  reduction,
  labels: "dense",
  values,
});

/** Every built-in loss, and some of one's own whose derivative is infinite or NaN at 0, or where two are equal. */
const losses: Readonly<Record<string, (reduction: Reduction) => Loss>> = {
  sparse: (reduction) => sparseCategoricalCrossentropy({ reduction }),
  "sparse of logits": (reduction) => sparseCategoricalCrossentropy({ reduction, fromLogits: true }),
  categorical: (reduction) => categoricalCrossentropy({ reduction, labelSmoothing: 0.1 }),
  "categorical of logits": (reduction) => categoricalCrossentropy({ reduction, fromLogits: true }),
  binary: (reduction) => binaryCrossentropy({ reduction, labelSmoothing: 0.1 }),
  "binary focal": (reduction) => binaryFocalCrossentropy({ reduction, gamma: 0.5 }),
  "categorical focal of logits": (reduction) => categoricalFocalCrossentropy({ reduction, fromLogits: true }),
  "KL divergence": (reduction) => klDivergence({ reduction }),
  poisson: (reduction) => poisson({ reduction }),
  "binary of logits": (reduction) => binaryCrossentropy({ reduction, fromLogits: true }),
  mse: (reduction) => meanSquaredError({ reduction }),
  mae: (reduction) => meanAbsoluteError({ reduction }),
  huber: (reduction) => huber({ reduction, delta: 0.3 }),
  distance: own("distance", (t, p) => sqrt(sum(square(sub(p, t)), { axes: -1 }))),
  cosine: own("cosine", (t, p) => {
    const length = (x: Tensor) => sqrt(sum(square(x), { axes: -1 }));
    return div(sum(mul(t, p), { axes: -1 }), mul(length(t), length(p)));
  }),
  divergence: own("divergence", (t, p) => sum(mul(t, log(div(t, p))), { axes: -1 })),
  "relative error": own("relative error", (t, p) => mean(div(abs(sub(p, t)), t), { axes: -1 })),
};

const reductions: readonly Reduction[] = ["sumOverBatchSize", "meanWithSampleWeight", "sum"];

/** Which elements of `[batch, time]` do not count, by mask, by a weight for each step, or for each sample. */
const out = [[0, 0, 1, 0], [1, 1, 1, 1], [0, 1, 0, 1]];
const weights = [[2, 0.5, 1, 1], [1, 1, 1, 1], [0.25, 1, 1, 3]];
const outOfSample = [[0, 0, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0]];
const ways: Readonly<Record<string, { left: number[][]; weighting: Weighting }>> = {
  mask: { left: out, weighting: { mask: tensor(out.map((row) => row.map((left) => left === 0))) } },
  "weights of steps": {
    left: out,
    weighting: {
      sampleWeight: tensor(weights.map((row, i) => row.map((w, j) => out[i][j] ? 0 : w)), {
        dtype: "float64",
      }),
    },
  },
  "weights of samples": {
    left: outOfSample,
    weighting: { sampleWeight: tensor([1, 0, 2], { dtype: "float64" }) },
  },
  "mask and weights": {
    left: out,
    weighting: {
      mask: tensor(out.map((row) => row.map((left) => left === 0))),
      // A weight that does not count may be NaN too.
      sampleWeight: tensor(weights.map((row, i) => row.map((w, j) => out[i][j] ? NaN : w))),
    },
  },
};

function poisoned(x: Tensor, left: readonly number[][], poison: number): Tensor {
  const axes = x.shape.length - 2;
  let where: Tensor = tensor(left.map((row) => row.map((bit) => bit !== 0)));
  for (let axis = 0; axis < axes; axis++) where = expandDims(where, -1);
  return select(where, poison, x);
}

const raw = uniform(randomKey(3), [BATCH, TIME, CLASSES], { min: 0.1, max: 0.9 });
const prediction = cast(raw, "float64");
const dense = cast(uniform(randomKey(4), [BATCH, TIME, CLASSES], { min: 0.1, max: 0.9 }), "float64");
const labels = tensor([[0, 1, 2, 3], [4, 3, 2, 1], [0, 4, 0, 2]], { dtype: "int32" });

function assertNear(actual: number, expected: number, tolerance: number, message: string) {
  assert(Math.abs(actual - expected) <= tolerance, `${message}: ${actual} is not ${expected}`);
}

function assertSameNumbers(actual: Tensor, expected: Tensor, tolerance: number, message: string) {
  const [a, b] = [host(actual), host(expected)];
  assertEquals(a.shape, b.shape, message);
  a.data.forEach((value, index) => assertNear(value, Number(b.data[index]), tolerance, message));
}

for (const [way, { left, weighting }] of Object.entries(ways)) {
  Deno.test(`what does not count by ${way} may be anything, in targets and predictions`, () => {
    for (const [name, make] of Object.entries(losses)) {
      for (const reduction of reductions) {
        const loss = make(reduction);
        const target = loss.labels === "sparse" ? labels : dense;
        const run = valueAndGrad((p: Tensor, t: Tensor) => computeLoss(loss, t, p, weighting));
        const [value, gradient] = run(prediction, target);
        assert(Number.isFinite(item(value)), `${name} ${reduction}`);
        for (const poison of POISONS) {
          const badTarget = poisoned(target, left, loss.labels === "sparse" ? -7 : poison);
          const message = `${name}, ${reduction}, ${poison}`;
          const [v, g] = run(poisoned(prediction, left, poison), badTarget);
          assertEquals(item(v), item(value), message);
          // The same operations on the same numbers wherever it counts, and 0 elsewhere.
          assertSameNumbers(g, gradient, 0, message);
          host(g).data.forEach((slope, place) => {
            const step = Math.floor(place / CLASSES);
            if (left[Math.floor(step / TIME)][step % TIME]) assertEquals(slope, 0, message);
          });
        }
      }
    }
  });
}

Deno.test("the gradient of what counts is the slope of the loss, with NaN in all the rest", () => {
  const { left, weighting } = ways["mask and weights"];
  for (const [name, make] of Object.entries(losses)) {
    const loss = make("sumOverBatchSize");
    const target = loss.labels === "sparse" ? poisoned(labels, left, -7) : poisoned(dense, left, NaN);
    const bad = poisoned(prediction, left, NaN);
    const f = (p: Tensor) => computeLoss(loss, target, p, weighting);
    const [, gradient] = valueAndGrad(f)(bad);
    const slopes = host(gradient).data;
    const values = Float64Array.from(host(bad).data);
    const at = (place: number, change: number) => {
      const moved = values.slice();
      moved[place] += change;
      return item(f(tensor(moved, { shape: [BATCH, TIME, CLASSES] })));
    };
    // Central differences in float64: the error is of the order h² + 1e-16/h, 1e-10 for h = 1e-5.
    for (const place of [0, 6, 19, 42, 53]) {
      const step = Math.floor(place / CLASSES);
      if (left[Math.floor(step / TIME)][step % TIME]) continue;
      assertNear(slopes[place], (at(place, 1e-5) - at(place, -1e-5)) / 2e-5, 1e-8, `${name} ${place}`);
    }
  }
});

Deno.test("masked steps are as good as not there: the loss and gradient of the other rows alone", () => {
  const { left } = ways.mask;
  const kept = left.flat().flatMap((bit, row) => bit ? [] : [row]);
  const rows = tensor(kept, { dtype: "int32" });
  const only = (x: Tensor) => gather(reshape(x, [BATCH * TIME, ...x.shape.slice(2)]), rows);
  const stepWeights = tensor(weights, { dtype: "float64" });
  for (const [name, make] of Object.entries(losses)) {
    for (const reduction of reductions) {
      for (const sampleWeight of [undefined, stepWeights]) {
        const loss = make(reduction);
        const target = loss.labels === "sparse" ? labels : dense;
        const badTarget = poisoned(target, left, loss.labels === "sparse" ? 99 : NaN);
        const [value, gradient] = valueAndGrad((p: Tensor) =>
          computeLoss(loss, badTarget, p, { ...ways.mask.weighting, sampleWeight })
        )(poisoned(prediction, left, NaN));
        const [expected, expectedGradient] = valueAndGrad((p: Tensor) =>
          computeLoss(loss, only(target), p, { sampleWeight: sampleWeight && only(sampleWeight) })
        )(only(prediction));
        const message = `${name} ${reduction}`;
        // Sums of 60 float64 numbers below 10 in another order.
        assertNear(item(value), item(expected), 1e-12, message);
        assertSameNumbers(only(gradient), expectedGradient, 1e-12, message);
      }
    }
  }
});

Deno.test("labels that a loss leaves out may have predictions of any kind, and need be no class", () => {
  const { left } = ways.mask;
  const mask = ways.mask.weighting;
  for (const ignoreClass of [-1, 255]) {
    for (const fromLogits of [false, true]) {
      const given = { reduction: "meanWithSampleWeight", fromLogits } as const;
      const ignoring = sparseCategoricalCrossentropy({ ...given, ignoreClass });
      const run = valueAndGrad((p: Tensor, t: Tensor) => computeLoss(ignoring, t, p));
      const [value, gradient] = run(poisoned(prediction, left, NaN), poisoned(labels, left, ignoreClass));
      const plain = valueAndGrad((p: Tensor) =>
        computeLoss(sparseCategoricalCrossentropy(given), labels, p, mask)
      );
      const [expected, expectedGradient] = plain(prediction);
      assertEquals(item(value), item(expected));
      assertSameNumbers(gradient, expectedGradient, 0, `ignoreClass ${ignoreClass}`);
    }
  }
});

Deno.test("a loss of one's own leaves out by counted, whatever is there", () => {
  const { left } = ways.mask;
  // Targets that are NaN were not measured.
  const measured: Loss = {
    ...losses.distance("mean"),
    counted: (t) => greaterEqual(sum(select(equal(t, t), 1, -9), { axes: -1 }), 0),
  };
  const run = (loss: Loss, weighting: Weighting, t: Tensor, p: Tensor) =>
    valueAndGrad((p: Tensor) => computeLoss(loss, t, p, weighting))(p);
  const [value, gradient] = run(
    measured,
    {},
    poisoned(dense, left, NaN),
    poisoned(prediction, left, Infinity),
  );
  const [expected, expectedGradient] = run(losses.distance("mean"), ways.mask.weighting, dense, prediction);
  assertEquals(item(value), item(expected));
  assertSameNumbers(gradient, expectedGradient, 0, "counted");
});

Deno.test("values of samples, not of steps: a sample that does not count may hold anything", () => {
  const ofSequence = own("of sequence", (t, p) => mean(log(div(p, t)), { axes: [1, 2] }))("mean");
  const weighting = { sampleWeight: tensor([1, 0, 2], { dtype: "float64" }) };
  const run = valueAndGrad((p: Tensor, t: Tensor) => computeLoss(ofSequence, t, p, weighting));
  const [value, gradient] = run(prediction, dense);
  const [v, g] = run(poisoned(prediction, outOfSample, NaN), poisoned(dense, outOfSample, -1));
  assertEquals(item(v), item(value));
  assertSameNumbers(g, gradient, 0, "of sequence");
  // One target for a sample, and a loss that repeats it over the steps.
  const repeating = own(
    "repeating",
    (t, p) => mean(abs(sub(p, expandDims(expandDims(t, -1), -1))), { axes: -1 }),
  );
  const one = (second: number) => tensor([0.5, second, 0.25], { dtype: "float64" });
  const ofSteps = valueAndGrad((p: Tensor, t: Tensor) =>
    computeLoss(repeating("mean"), t, p, ways.mask.weighting)
  );
  const [w, h] = ofSteps(poisoned(prediction, out, NaN), one(NaN));
  const [w0, h0] = ofSteps(prediction, one(0));
  assertEquals(item(w), item(w0));
  assertSameNumbers(h, h0, 0, "repeating");
});

Deno.test("logits behind probabilities stay known where steps do not count", () => {
  const { left, weighting } = ways.mask;
  for (const kind of ["softmax", "sigmoid"] as const) {
    const activate = resolveActivation(kind);
    const loss = kind === "softmax" ? categoricalCrossentropy() : binaryCrossentropy();
    const ofLogits = kind === "softmax" ? categoricalCrossentropy : binaryCrossentropy;
    const logits = mul(sub(prediction, 0.5), 400); // far beyond what probabilities can tell
    const bad = poisoned(logits, left, NaN);
    const [value, gradient] = valueAndGrad((x: Tensor) => computeLoss(loss, dense, activate(x), weighting))(
      bad,
    );
    const [expected, expectedGradient] = valueAndGrad((x: Tensor) =>
      computeLoss(ofLogits({ fromLogits: true }), dense, x, weighting)
    )(logits);
    assertEquals(item(value), item(expected), kind);
    assertSameNumbers(gradient, expectedGradient, 0, kind);
  }
});

for (const device of ["wasm", "webgpu"] as const) {
  Deno.test({
    name: `on ${device}, NaN that does not count reaches neither loss nor gradient`,
    ignore: device === "webgpu" && !(await navigator.gpu?.requestAdapter()),
    sanitizeResources: false, // a device and workers outlive a test
    sanitizeOps: false,
    async fn() {
      const single = (x: Tensor) => cast(x, "float32");
      for (const [way, { left, weighting }] of Object.entries(ways)) {
        for (const name of ["sparse", "categorical of logits", "mse", "cosine"]) {
          const loss = losses[name]("sumOverBatchSize");
          const target = loss.labels === "sparse" ? labels : single(dense);
          const { mask, sampleWeight } = weighting;
          const given = { mask, sampleWeight: sampleWeight && single(sampleWeight) };
          const f = compile(
            valueAndGrad((p: Tensor, t: Tensor) => computeLoss(loss, t, p, given)),
            { device },
          );
          const [value, gradient] = await f(raw, target);
          const [v, g] = await f(
            poisoned(raw, left, NaN),
            poisoned(target, left, loss.labels === "sparse" ? -1 : -Infinity),
          );
          f[Symbol.dispose]();
          assertEquals(item(v), item(value), `${way} ${name}`);
          assertSameNumbers(g, gradient, 0, `${way} ${name}`);
        }
      }
    },
  });
}

/** What has other shapes: ctc.test.ts and crf.test.ts test the same of it. */
const ofSequences: readonly string[] = ["ctc", "crf", "crfAccuracy"];

Deno.test("a metric does not see what does not count", () => {
  for (const { left, weighting } of Object.values(ways)) {
    for (const name of metricNames) {
      if (ofSequences.includes(name)) continue;
      const sparse = name.startsWith("sparse") || name === "perplexity";
      const target = sparse ? labels : dense;
      const metric = resolveMetric(name, undefined, target, prediction);
      const once = (t: Tensor, p: Tensor) =>
        metric.result(metric.update(metric.initState(), t, p, weighting));
      const expected = once(target, prediction);
      assert(Number.isFinite(expected), name);
      assertEquals(
        once(poisoned(target, left, sparse ? -5 : NaN), poisoned(prediction, left, NaN)),
        expected,
        name,
      );
    }
  }
});
