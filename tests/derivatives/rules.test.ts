/** Every derivative rule against central differences in float64, once and twice; and what the rules give at edges. */
import { exampleCount } from "../support/examples.ts";
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  abs,
  add,
  cast,
  type Equation,
  grad,
  item,
  max,
  maximum,
  minimum,
  mul,
  pow,
  type Program,
  sum,
  type Tensor,
  tensor,
  toNested,
  trace,
} from "../../mod.ts";
import { fixedDim, specOf } from "../../src/internal.ts";
import { derivatives } from "../../src/derivatives/rules.ts";
import { isEquation } from "../../src/program/types.ts";
import { type DerivativeCase, derivativeCases, type Domain } from "./cases.ts";
import {
  assertGradientAlong,
  float64,
  largest,
  numbersFrom,
  randomLike,
} from "../operations/finite_differences.ts";

const RUNS = exampleCount(120);

type Inputs = readonly Tensor[];

const product = (sizes: readonly number[]) => sizes.reduce((a, b) => a * b, 1);
const concrete = (x: Tensor) => x.shape.map((dim) => fixedDim(dim));
const sizeOf = (x: Tensor) => product(concrete(x));

/** The inputs of a case, from a seed, so that a failure prints one number. */
function draw({ shapes, domain }: DerivativeCase, seed: number): Inputs {
  const values = drawValues(domain, shapes.map(product).reduce((a, b) => a + b), numbersFrom(seed));
  return shapes.map((shape) => float64(values.splice(0, product(shape)), shape));
}

function drawValues(domain: Domain, count: number, next: () => number): number[] {
  const values = Array.from({ length: count }, next);
  switch (domain) {
    case "any":
      return values.map((x) => 2 * x);
    case "positive":
      return values.map((x) => 1.3 + x);
    case "nonzero":
      return values.map((x) => Math.sign(x) * 0.3 + 1.5 * x);
    case "distinct": {
      // Half-way between the quarters -2…2, in random order, each moved by less than 0.02.
      const order = Array.from({ length: 16 }, (_, i) => ({ at: (i - 7.5) / 4, rank: next() }));
      order.sort((a, b) => a.rank - b.rank);
      return values.map((x, i) => order[i].at + 0.02 * x);
    }
  }
}

/** Every equation of a trace, those in bodies of scans too. */
function equationsOf({ equations }: Program): Equation[] {
  return equations.flatMap((equation) =>
    isEquation(equation, "scan") ? [equation, ...equationsOf(equation.attributes.body)] : [equation]
  );
}

/** The sum of the result times a random cotangent. */
const loss = ({ apply }: DerivativeCase, seed: number) => (inputs: Inputs): Tensor => {
  const y = apply(...inputs);
  return sum(mul(y, randomLike(float64(new Array(sizeOf(y)).fill(0), concrete(y)), seed)));
};

/** Zeros like `inputs` but for a 1 at one place. */
function unit(inputs: Inputs, index: number, place: number): Inputs {
  return inputs.map((x, other) =>
    float64(
      Array.from({ length: sizeOf(x) }, (_, i) => other === index && i === place ? 1 : 0),
      concrete(x),
    )
  );
}

/** Once: along each axis alone, so that no error hides behind another. */
function checkFirst(each: DerivativeCase, seed: number): void {
  const inputs = draw(each, seed);
  const gradient = grad(loss(each, seed))(inputs);
  const y = each.apply(...inputs);
  const scale = sizeOf(y) * largest(y);
  inputs.forEach((input, index) => {
    for (let place = 0; place < sizeOf(input); place++) {
      assertGradientAlong(
        (xs) => item(loss(each, seed)(xs)),
        inputs,
        gradient,
        unit(inputs, index, place),
        scale,
        `the gradient of input ${index} at ${place}`,
      );
    }
  });
}

/** Twice: the derivative of the gradient along one random direction, along another. */
function checkSecond(each: DerivativeCase, seed: number): void {
  const inputs = draw(each, seed);
  const along = randomLike(inputs, seed + 1);
  const slope = (xs: Inputs): Tensor =>
    grad(loss(each, seed))(xs).map((g, index) => sum(mul(g, along[index]))).reduce((a, b) => add(a, b));
  assertGradientAlong(
    (xs) => item(slope(xs)),
    inputs,
    grad(slope)(inputs),
    randomLike(inputs, seed + 2),
    inputs.reduce((n, x) => n + sizeOf(x), 0) * largest(grad(loss(each, seed))(inputs)),
    "the gradient of the gradient",
  );
}

function checkZero({ apply, ...each }: DerivativeCase, seed: number): void {
  const inputs = draw({ apply, ...each }, seed);
  const gradient = grad((xs: Inputs) => sum(apply(...xs)))(inputs);
  assertEquals(largest(gradient), 0);
  assertEquals(gradient.map(specOf), inputs.map(specOf));
}

for (const [name, { differentiable, cases }] of Object.entries(derivativeCases)) {
  for (const each of cases) {
    const check = (what: string, run: (each: DerivativeCase, seed: number) => void) =>
      Deno.test(`${name}, ${each.title}: ${what}`, () => {
        fc.assert(fc.property(fc.integer(), (seed) => run(each, seed)), { numRuns: RUNS });
      });

    Deno.test(`${name}, ${each.title}: the case applies it`, () => {
      const { program } = trace(each.apply, ...draw(each, 1).map(specOf));
      const found = equationsOf(program).find(({ operation }) => operation.name === name);
      assert(found, `no equation is a ${name}`);
      assertEquals(derivatives[found.operation.name] !== undefined, differentiable);
    });
    if (differentiable) {
      check("the gradient equals differences", checkFirst);
      check("the gradient of the gradient equals differences", checkSecond);
    } else {
      check("the gradient is zero", checkZero);
    }
  }
}

/** The gradients of a sum over all inputs, as nested numbers. */
function gradientsAt(apply: (...xs: Tensor[]) => Tensor, ...values: (number | number[])[]): unknown[] {
  const inputs: Inputs = values.map((value) => tensor(value, { dtype: "float64" }));
  return grad((xs: Inputs) => sum(apply(...xs)))(inputs).map(toNested);
}

Deno.test("equal operands of max and min give the first the whole derivative", () => {
  assertEquals(gradientsAt(maximum, [1, 2], [1, 3]), [[1, 0], [0, 1]]);
  assertEquals(gradientsAt(minimum, [1, 2], [1, 1]), [[1, 0], [0, 1]]);
});

Deno.test("equal largest elements of max share the derivative", () => {
  assertEquals(gradientsAt((x) => max(x), [2, 1, 2, 2]), [[1 / 3, 0, 1 / 3, 1 / 3]]);
});

Deno.test("the derivative of abs at 0 is 0", () => {
  assertEquals(gradientsAt(abs, [0, -2, 2]), [[0, -1, 1]]);
});

Deno.test("pow at 0 has the derivatives of the power, not NaN", () => {
  assertEquals(gradientsAt(pow, [0, 0, 0, 0], [0, 1, 2, 3]), [[0, 1, 0, 0], [0, 0, 0, 0]]);
  assertEquals(gradientsAt((x) => pow(x, 0.5), 0), [Infinity]);
  assertEquals(gradientsAt((x) => pow(x, 2), [-3, 0]), [[-6, 0]]);
});

Deno.test("pow at 0 can be differentiated twice", () => {
  for (const [power, second] of [[0, 0], [1, 0], [2, 2], [3, 0]]) {
    const both = (xs: Inputs) => pow(xs[0], xs[1]);
    const inputs: Inputs = [0, power].map((x) => tensor(x, { dtype: "float64" }));
    assertEquals(toNested(grad((xs: Inputs) => grad(both)(xs)[0])(inputs)[0]), second, `power ${power}`);
    assertEquals(toNested(grad((xs: Inputs) => grad(both)(xs)[1])(inputs)[0]), 0, `by the power ${power}`);
  }
});

Deno.test("a gradient through a cast has the dtype of what was cast", () => {
  const x = tensor([1.5, -2]);
  const gradient = grad((x: Tensor) => sum(mul(cast(x, "float64"), tensor([2, 3], { dtype: "float64" }))))(x);
  assertEquals([gradient.dtype, toNested(gradient)], ["float32", [2, 3]]);
});
