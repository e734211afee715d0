/** The loss of the demo "Handwriting", in float64 on the reference backend. */
import { assert, assertAlmostEquals } from "@std/assert";
import {
  add,
  grad,
  host,
  type HostTensor,
  hostTensor,
  key,
  mul,
  normal,
  sum,
  type Tensor,
  tensor,
} from "@cellfold/cellfold";
import { mixtureDensity } from "../../site/demos/handwriting/handwriting.ts";

const COMPONENTS = 3;

/** Mixtures `[steps, 6 · components]` and places `[steps, 2]`, moderate ones. */
function samples(seed: number, steps: number): readonly [prediction: HostTensor, target: HostTensor] {
  const wide = (number: number, size: number) =>
    hostTensor(Float64Array.from(host(normal(key(number), [steps, size])).data), [steps, size]);
  return [wide(seed, 6 * COMPONENTS), wide(seed + 1, 2)];
}

/** The density as the paper writes it, without logarithms: equations 23 to 25. */
function density(p: Float64Array, x: number, y: number): number {
  const part = (index: number, component: number) => p[index * COMPONENTS + component];
  const softplus = (z: number) => Math.log1p(Math.exp(z));
  const all = Array.from({ length: COMPONENTS }, (_, k) => k);
  const total = all.reduce((sum, k) => sum + Math.exp(part(0, k)), 0);
  return all.reduce((sum, k) => {
    const [sx, sy, r] = [
      softplus(part(3, k)) + 0.02,
      softplus(part(4, k)) + 0.02,
      0.95 * Math.tanh(part(5, k)),
    ];
    const [u, v] = [(x - part(1, k)) / sx, (y - part(2, k)) / sy];
    const z = u * u + v * v - 2 * r * u * v;
    const gaussian = Math.exp(-z / (2 * (1 - r * r))) / (2 * Math.PI * sx * sy * Math.sqrt(1 - r * r));
    return sum + Math.exp(part(0, k)) / total * gaussian;
  }, 0);
}

Deno.test("mixtureDensity: is -log of the density of equation 23", () => {
  const [prediction, target] = samples(1, 40);
  const values = host(mixtureDensity.values(target, prediction)).data;
  for (let step = 0; step < 40; step++) {
    const p = Float64Array.from(prediction.data.subarray(step * 6 * COMPONENTS, (step + 1) * 6 * COMPONENTS));
    const expected = -Math.log(density(p, target.data[2 * step], target.data[2 * step + 1]));
    // Some 50 roundings of float64, of values up to a hundred.
    assertAlmostEquals(values[step], expected, 1e-11);
  }
});

Deno.test("mixtureDensity: its density over the plane is 1", () => {
  const [prediction] = samples(3, 1);
  const [SIDE, CELLS] = [16, 320]; // deviations are below 4 here, and above 0.1, two cells
  const at = (i: number) => ((i + 0.5) / CELLS - 0.5) * 2 * SIDE;
  const places = Float64Array.from(
    { length: 2 * CELLS * CELLS },
    (_, i) => i % 2 === 0 ? at(Math.floor(i / 2) % CELLS) : at(Math.floor(i / 2 / CELLS)),
  );
  const same = add(
    prediction,
    hostTensor(new Float64Array(CELLS * CELLS * 6 * COMPONENTS), [CELLS * CELLS, 6 * COMPONENTS]),
  );
  const values = host(mixtureDensity.values(hostTensor(places, [CELLS * CELLS, 2]), same)).data;
  const mass = Array.from(values).reduce((sum, value) => sum + Math.exp(-value) * (2 * SIDE / CELLS) ** 2, 0);
  assertAlmostEquals(mass, 1, 1e-3);
});

Deno.test("mixtureDensity: its gradient is that of finite differences", () => {
  const [prediction, target] = samples(5, 6);
  const loss = (x: Tensor, y: Tensor) => sum(mixtureDensity.values(y, x));
  const gradient = host(grad(loss)(prediction, target)).data;
  const value = (x: HostTensor) => host(loss(x, target)).data[0];
  // Central differences err by h²/6 of the third derivative and 2⁻⁵² of the value by h: both below 1e-8 at 1e-4.
  const h = 1e-4;
  for (let i = 0; i < prediction.data.length; i++) {
    const moved = (by: number) => {
      const data = Float64Array.from(prediction.data);
      data[i] += by;
      return hostTensor(data, prediction.shape);
    };
    const slope = (value(moved(h)) - value(moved(-h))) / (2 * h);
    assertAlmostEquals(gradient[i], slope, 1e-6 * Math.max(1, Math.abs(slope)));
  }
});

Deno.test("mixtureDensity: a place far away has a finite loss and gradient in float32", () => {
  const prediction = mul(normal(key(7), [1, 6 * COMPONENTS]), 3);
  const target = tensor([[300, -200]]);
  const loss = (x: Tensor) => sum(mixtureDensity.values(target, x));
  assert(Number.isFinite(host(loss(prediction)).data[0]));
  assert(host(grad(loss)(prediction)).data.every(Number.isFinite));
});
