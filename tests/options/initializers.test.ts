import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import {
  computeFans,
  type InitializerLike,
  type InitializerName,
  initializerNames,
  initializerToJson,
  resolveInitializer,
} from "../../src/options/initializers.ts";
import { type HostTensor, tensor, toNested } from "../../src/tensor/tensor.ts";

const key = tensor([3, -7], { dtype: "int32" });
const otherKey = tensor([3, -8], { dtype: "int32" });

function moments({ data }: HostTensor): { mean: number; stddev: number; largest: number } {
  let [sum, squares, largest] = [0, 0, 0];
  for (const value of data) {
    sum += value;
    squares += value * value;
    largest = Math.max(largest, Math.abs(value));
  }
  const mean = sum / data.length;
  return { mean, stddev: Math.sqrt(squares / data.length - mean ** 2), largest };
}

/** The largest deviation of the products of all pairs of vectors from the identity times `gain`². */
function deviation({ data, shape }: HostTensor, gain: number): number {
  const columns = shape[shape.length - 1];
  const rows = data.length / columns;
  const [count, length] = [Math.min(rows, columns), Math.max(rows, columns)];
  const element = (vector: number, i: number) =>
    rows < columns ? data[vector * columns + i] : data[i * columns + vector];
  let worst = 0;
  for (let a = 0; a < count; a++) {
    for (let b = 0; b <= a; b++) {
      let product = 0;
      for (let i = 0; i < length; i++) product += element(a, i) * element(b, i);
      worst = Math.max(worst, Math.abs(product - (a === b ? gain ** 2 : 0)));
    }
  }
  return worst;
}

Deno.test("fans are counted as Keras does", () => {
  assertEquals(computeFans([]), { fanIn: 1, fanOut: 1 });
  assertEquals(computeFans([5]), { fanIn: 5, fanOut: 5 });
  assertEquals(computeFans([3, 4]), { fanIn: 3, fanOut: 4 });
  assertEquals(computeFans([3, 3, 2, 8]), { fanIn: 18, fanOut: 72 });
});

// 200 · 300 draws: the mean strays by 1/√60000 = 0.4 % of the deviation, which itself strays by 0.3 %; four times that.
const spreads: Readonly<Record<string, number>> = {
  glorotUniform: Math.sqrt(2 / 500),
  glorotNormal: Math.sqrt(2 / 500),
  heUniform: Math.sqrt(2 / 200),
  heNormal: Math.sqrt(2 / 200),
  lecunUniform: Math.sqrt(1 / 200),
  lecunNormal: Math.sqrt(1 / 200),
  randomUniform: 0.05 / Math.sqrt(3),
  randomNormal: 0.05,
  truncatedNormal: 0.05 * 0.8796256610342398,
};

for (const [name, stddev] of Object.entries(spreads)) {
  Deno.test(`${name} has its mean and standard deviation`, () => {
    const weights = resolveInitializer(name as InitializerName)(key, [200, 300]); // a name above
    const found = moments(weights);
    assertAlmostEquals(found.mean, 0, 0.016 * stddev);
    assertAlmostEquals(found.stddev, stddev, 0.012 * stddev);
    if (name.endsWith("Uniform")) assert(found.largest <= stddev * Math.sqrt(3) * 1.000001);
    if (name === "truncatedNormal") assert(found.largest <= 0.1000001);
  });
}

Deno.test("options act", () => {
  const shifted = moments(resolveInitializer({ name: "randomNormal", mean: 5, stddev: 2 })(key, [100, 100]));
  assertAlmostEquals(shifted.mean, 5, 0.08);
  assertAlmostEquals(shifted.stddev, 2, 0.06);
  const { data } = resolveInitializer({ name: "randomUniform", minval: 2, maxval: 3 })(key, [101]);
  assert(data.every((value) => value >= 2 && value <= 3));
  assertEquals(toNested(resolveInitializer({ name: "constant", value: 7 })(key, [2])), [7, 7]);
  assertEquals(toNested(resolveInitializer({ name: "identity", gain: 3 })(key, [2, 3])), [[3, 0, 0], [
    0,
    3,
    0,
  ]]);
  assertEquals(toNested(resolveInitializer("zeros")(key, [2])), [0, 0]);
  assertEquals(toNested(resolveInitializer("ones")(key, [])), 1);
});

Deno.test("orthogonal weights have orthonormal rows or columns times the gain", () => {
  // float32 rounding of 64-bit vectors: a product of n terms strays by less than √n · 2^-24.
  for (const shape of [[1, 1], [5, 5], [7, 3], [3, 7], [64, 256], [130, 64], [2, 3, 4, 5], [3, 3, 2, 40]]) {
    const weights = resolveInitializer({ name: "orthogonal", gain: 2 })(key, shape);
    assertEquals([...weights.shape], shape);
    assert(deviation(weights, 2) < 4e-6, `[${shape}] strays by ${deviation(weights, 2)}`);
  }
  assertEquals(resolveInitializer("orthogonal")(key, [0, 4]).data.length, 0);
  assertThrows(() => resolveInitializer("orthogonal")(key, [4]), TypeError, "at least 2 axes");
});

Deno.test("orthogonal weights are uniformly distributed: their elements have mean 0", () => {
  let sum = 0;
  for (let seed = 0; seed < 400; seed++) {
    sum += resolveInitializer("orthogonal")(tensor([0, seed], { dtype: "int32" }), [2, 2]).data[0];
  }
  // The standard deviation of the mean is √(1/2) / √400 = 0.035; four of them.
  assertAlmostEquals(sum / 400, 0, 0.14);
});

Deno.test("the same key gives the same weights, another key others", () => {
  for (const name of initializerNames) {
    const initializer = resolveInitializer(name);
    assertEquals(initializer(key, [3, 5]).data, initializer(key, [3, 5]).data);
    if (["zeros", "ones", "constant", "identity"].includes(name)) continue;
    assert(String(initializer(key, [3, 5]).data) !== String(initializer(otherKey, [3, 5]).data), name);
  }
});

Deno.test("an initializer is a name, a name with options, or a function", () => {
  const own = () => tensor([1]);
  assertEquals(toNested(resolveInitializer(own)(key, [1])), [1]);
  assertEquals(initializerToJson(own), undefined);
  assertEquals(initializerToJson("zeros"), "zeros");
  assertEquals(initializerToJson({ name: "orthogonal", gain: 2 }), { name: "orthogonal", gain: 2 });
  const refused = (initializer: unknown) => () => resolveInitializer(initializer as InitializerLike); // wrong on purpose
  assertThrows(refused("glorot_unifrom"), RangeError, 'did you mean "glorotUniform"');
  assertThrows(refused({ name: "orthogonal", gian: 2 }), RangeError, 'did you mean "gain"');
  assertThrows(refused({ name: "orthogonal", gain: "2" }), TypeError, "expected a number");
  assertThrows(refused({ gain: 2 }), TypeError, "expected a name");
  assertThrows(() => resolveInitializer("heNormal")(tensor([1, 2]), [2, 2]), TypeError, "int32[2]");
});
