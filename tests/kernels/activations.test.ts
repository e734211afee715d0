/** Activations, values and derivatives, of infinities, NaN, zeros of either sign and huge numbers, on every backend. */
import { assert } from "@std/assert";
import {
  compile,
  type Device,
  type HostTensor,
  logSumExp,
  mul,
  sum,
  type Tensor,
  tensor,
  toHost,
  valueAndGrad,
} from "../../mod.ts";
import { type ActivationName, resolveActivation } from "../../src/internal.ts";
import { erf } from "../../kernels/reference/erf.ts";
import { hasRelaxedSimd } from "../../kernels/wasm/assembler.ts";
import { native } from "../../kernels/native/mod.ts";
import { webgpu } from "../../kernels/webgpu/mod.ts";

/** Of one number: its definition in float64, and value and derivative at -∞ and ∞; far numbers have those derivatives. */
interface Elementwise {
  readonly definition: (x: number) => number;
  readonly least: readonly [value: number, slope: number];
  readonly most: readonly [value: number, slope: number];
}

const sigmoid = (x: number) => x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x));
const softplus = (x: number) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
const clip = (x: number, low: number, high: number) => Math.min(Math.max(x, low), high);
const elu = (x: number) => x >= 0 ? x : Math.expm1(x);
const SCALE = 1.0507009873554805, ALPHA = 1.6732632423543772;
const hardSilu: Elementwise = {
  definition: (x) => x * clip(x + 3, 0, 6) / 6,
  least: [0, 0],
  most: [Infinity, 1],
};
const silu: Elementwise = { definition: (x) => x * sigmoid(x), least: [0, 0], most: [Infinity, 1] };

const elementwise: { readonly [Name in Exclude<ActivationName, keyof typeof ofAxes>]: Elementwise } = {
  linear: { definition: (x) => x, least: [-Infinity, 1], most: [Infinity, 1] },
  relu: { definition: (x) => Math.max(x, 0), least: [0, 0], most: [Infinity, 1] },
  relu6: { definition: (x) => clip(x, 0, 6), least: [0, 0], most: [6, 0] },
  leakyRelu: { definition: (x) => x > 0 ? x : 0.2 * x, least: [-Infinity, 0.2], most: [Infinity, 1] },
  sigmoid: { definition: sigmoid, least: [0, 0], most: [1, 0] },
  hardSigmoid: { definition: (x) => clip(x + 3, 0, 6) / 6, least: [0, 0], most: [1, 0] },
  hardSigmoidKeras2: { definition: (x) => clip(0.2 * x + 0.5, 0, 1), least: [0, 0], most: [1, 0] },
  hardSilu,
  hardSwish: hardSilu,
  tanh: { definition: Math.tanh, least: [-1, 0], most: [1, 0] },
  hardTanh: { definition: (x) => clip(x, -1, 1), least: [-1, 0], most: [1, 0] },
  elu: { definition: elu, least: [-1, 0], most: [Infinity, 1] },
  celu: { definition: elu, least: [-1, 0], most: [Infinity, 1] },
  selu: {
    definition: (x) => SCALE * (x >= 0 ? x : ALPHA * Math.expm1(x)),
    least: [-SCALE * ALPHA, 0],
    most: [Infinity, SCALE],
  },
  gelu: { definition: (x) => x / 2 * (1 + erf(x / Math.SQRT2)), least: [0, 0], most: [Infinity, 1] },
  silu,
  swish: silu,
  softplus: { definition: softplus, least: [0, 0], most: [Infinity, 1] },
  softsign: { definition: (x) => x / (1 + Math.abs(x)), least: [-1, 0], most: [1, 0] },
  exponential: { definition: Math.exp, least: [0, 0], most: [Infinity, Infinity] },
  mish: { definition: (x) => x * Math.tanh(softplus(x)), least: [0, 0], most: [Infinity, 1] },
  logSigmoid: { definition: (x) => -softplus(-x), least: [-Infinity, 1], most: [0, 0] },
  squareplus: {
    definition: (x) => x < 0 ? 2 / (Math.hypot(x, 2) - x) : (x + Math.hypot(x, 2)) / 2,
    least: [0, 0],
    most: [Infinity, 1],
  },
  softShrink: {
    definition: (x) => x > 0.5 ? x - 0.5 : x < -0.5 ? x + 0.5 : x - x,
    least: [-Infinity, 1],
    most: [Infinity, 1],
  },
  hardShrink: {
    definition: (x) => Math.abs(x) > 0.5 ? x : x - x,
    least: [-Infinity, 1],
    most: [Infinity, 1],
  },
  tanhShrink: { definition: (x) => x - Math.tanh(x), least: [-Infinity, 1], most: [Infinity, 1] },
  sparsePlus: {
    definition: (x) => x >= 1 ? x : (clip(x, -1, 1) + 1) ** 2 / 4,
    least: [0, 0],
    most: [Infinity, 1],
  },
  sparseSigmoid: { definition: (x) => clip((x + 1) / 2, 0, 1), least: [0, 0], most: [1, 0] },
};

type Row = readonly [given: readonly number[], expected: readonly number[], slopes: readonly number[]];
type Rows = readonly Row[];

/** What `logSoftmax` makes of `largest` plus differences, of which the largest is 0. */
function logSoftmaxOf(largest: number, differences: readonly number[]): Row {
  const total = differences.reduce((total, difference) => total + Math.exp(difference), 0);
  const places = differences.map((_, i) => i + 1);
  const all = places.reduce((a, b) => a + b);
  return [
    differences.map((difference) => largest + difference),
    differences.map((difference) => difference - Math.log(total)),
    differences.map((difference, i) => places[i] - all * Math.exp(difference) / total),
  ];
}

/**
 * Of an axis: what is given, what comes out, and the derivative of the sum of the results each times its place, from 1
 * on. An infinity among softmax's logits has no limit, and is NaN as in PyTorch and JAX.
 */
const ofAxes = {
  softmax: [
    [[0, -Infinity, 0], [0.5, 0, 0.5], [-0.5, 0, 0.5]],
    [[1e30, -1e30, -Infinity], [1, 0, 0], [0, 0, 0]],
    [[-Infinity, -Infinity, -Infinity], [NaN, NaN, NaN], [NaN, NaN, NaN]],
    [[Infinity, 0, 0], [NaN, NaN, NaN], [NaN, NaN, NaN]],
    [[NaN, 0, 0], [NaN, NaN, NaN], [NaN, NaN, NaN]],
  ],
  logSoftmax: [
    [[0, -Infinity, 0], [-Math.LN2, -Infinity, -Math.LN2], [-2, 2, 0]],
    [[1e30, 0, -1e30], [0, -1e30, -2e30], [-5, 2, 3]],
    // As exact with a large maximum as with one of 0.
    logSoftmaxOf(1e6, [0, -1]),
    logSoftmaxOf(-3e4, [-8, 0, -4]),
    [[NaN, 0, 0], [NaN, NaN, NaN], [NaN, NaN, NaN]],
  ],
  sparsemax: [
    [[0, -Infinity, 0], [0.5, 0, 0.5], [-1, 0, 1]],
    [[1e30, 0, -1e30], [1, 0, 0], [0, 0, 0]],
  ],
  glu: [
    [[3, -Infinity], [0], [0, 0]],
    [[3, Infinity], [3], [1, 0]],
    [[-Infinity, 0], [-Infinity], [0.5, -Infinity]],
    [[1e30, 1e30], [1e30], [1, 0]],
    [[NaN, 0], [NaN], [0.5, NaN]],
  ],
} satisfies Partial<Record<ActivationName, Rows>>;

const logSumExps: Rows = [
  [[-Infinity, -Infinity], [-Infinity], [0, 0]],
  [[0, -Infinity], [0], [1, 0]],
  [[1e30, 0], [1e30], [1, 0]],
  [[NaN, 0], [NaN], [NaN, NaN]],
];

const devices: readonly { readonly name: string; readonly device: Device; readonly ignore?: boolean }[] = [
  { name: "reference", device: "reference" },
  { name: "wasm", device: { name: "wasm", threads: 1, relaxed: hasRelaxedSimd() } },
  {
    name: "wasm with two threads and plain SIMD",
    device: { name: "wasm", threads: 2, relaxed: false, shareFrom: 0 },
  },
  { name: "native", device: { name: "native", threads: 2, shareFrom: 0 }, ignore: !await native.available() },
  { name: "webgpu", device: "webgpu", ignore: !await webgpu.available() },
];

const LARGEST = (2 - 2 ** -23) * 2 ** 127;
const FAR = [-LARGEST, -1e30, -1e10, 1e10, 1e30, LARGEST];
const NEAR = [-300, -88, -20, -2, -0.75, -0, 0, 0.25, 1.5, 7, 20, 88, 300, NaN, NaN];

/**
 * Whether a result is right, zeros of either sign being the same: within sixteen roundings of itself, of 1 where the
 * definition adds 1 to what may cancel, times x in gelu.
 */
function isRight(actual: number, expected: number, x: number): boolean {
  if (actual === expected || (Number.isNaN(actual) && Number.isNaN(expected))) return true;
  const wanted = Math.fround(expected);
  return actual === wanted ||
    Math.abs(actual - wanted) <= 2 ** -20 * (Math.abs(wanted) + Math.min(1, Math.abs(x)));
}

async function valuesAndSlopes(
  fn: (x: Tensor) => Tensor,
  x: Tensor,
  device: Device,
): Promise<[HostTensor, HostTensor]> {
  using value = compile(fn, { device });
  using slope = compile((x: Tensor) => valueAndGrad((x: Tensor) => sum(fn(x)))(x)[1], { device });
  return await Promise.all([value, slope].map(async (run) => await toHost(await run(x)))) as [
    HostTensor,
    HostTensor,
  ]; // of a tensor each
}

for (const { name, device, ignore } of devices) {
  Deno.test({
    name:
      `on ${name}, activations of what is infinite, huge or NaN have their limits, and so do their derivatives`,
    ignore,
    // Workers and a device outlive a test.
    sanitizeResources: false,
    sanitizeOps: false,
    async fn(t) {
      const compare = (
        actual: HostTensor,
        expected: readonly number[],
        given: readonly number[],
        what: string,
      ) =>
        expected.forEach((wanted, i) =>
          assert(
            isRight(actual.data[i], wanted, given[i] ?? 1),
            `${what} of ${given[i]} is ${actual.data[i]}, expected ${wanted}`,
          )
        );
      for (const [activation, { definition, least, most }] of Object.entries(elementwise)) {
        await t.step(activation, async () => {
          const fn = resolveActivation(activation as ActivationName); // a key of the table
          const ends = [-Infinity, Infinity], given = [...ends, ...FAR, ...NEAR];
          const [values, slopes] = await valuesAndSlopes(fn, tensor(given), device);
          compare(
            values,
            [least[0], most[0], ...[...FAR, ...NEAR].map((x) => definition(Math.fround(x)))],
            given,
            activation,
          );
          compare(
            slopes,
            [least[1], most[1], ...FAR.map((x) => x < 0 ? least[1] : most[1])],
            given,
            `the derivative of ${activation}`,
          );
          slopes.data.forEach((slope: number, i: number) =>
            assert(
              Number.isNaN(given[i]) || !Number.isNaN(slope),
              `the derivative of ${activation} of ${given[i]} is NaN`,
            )
          );
        });
      }
      for (const [activation, rows] of Object.entries<Rows>({ ...ofAxes, logSumExp: logSumExps })) {
        await t.step(activation, async () => {
          const fn = activation === "logSumExp"
            ? (x: Tensor) => logSumExp(x, { keepDims: true })
            : resolveActivation(activation as ActivationName); // the only key that is none
          for (const [given, expected, derivative] of rows) {
            const x = tensor([given]);
            using compiled = compile((x: Tensor) => {
              const weights = tensor([expected.map((_, i) => i + 1)]);
              return valueAndGrad((x: Tensor) => sum(mul(fn(x), weights)))(x)[1];
            }, { device });
            using value = compile(fn, { device });
            compare(await toHost(await value(x)), expected, given, activation);
            compare(
              await toHost(await compiled(x)),
              derivative,
              given,
              `the derivative of ${activation}`,
            );
          }
        });
      }
    },
  });
}
