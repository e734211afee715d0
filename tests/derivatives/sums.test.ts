/** Sums of cotangents along rows: what they have outside, how many there are, and where they are left as they were. */
import { assert, assertEquals } from "@std/assert";
import {
  add,
  div,
  grad,
  hostTensor,
  mean,
  mul,
  type Spec,
  spec,
  sqrt,
  square,
  sub,
  sum,
  symbol,
  tanh,
  type Tensor,
  toNested,
  trace,
} from "../../mod.ts";

const rows = { axes: -1, keepDims: true } as const;

function normalized(x: Tensor, epsilon = 1e-3): Tensor {
  const centered = sub(x, mean(x, rows));
  return mul(centered, div(1, sqrt(add(mean(square(centered), rows), epsilon))));
}

const gradientOf = (fn: (x: Tensor) => Tensor) => (x: Tensor, c: Tensor) =>
  grad((x: Tensor) => sum(mul(fn(x), c)))(x);

/** How many sums the gradient of a function computes. */
function sumsOf(fn: (x: Tensor) => Tensor, x: Spec = spec([2, 3])): number {
  const { equations } = trace(gradientOf(fn), x, x).program;
  return equations.filter(({ operation }) => operation.name === "sum").length;
}

Deno.test("grad: what is centered is not summed again", () => {
  // The function has two means and is summed up; its cotangents are summed up as they are, and times what is centered.
  assertEquals(sumsOf((x) => normalized(x)), 5);
  assertEquals(sumsOf((x) => normalized(x), spec([symbol("batch"), symbol("units")])), 5);
});

Deno.test("grad: a sum of terms of which one has no factor is one sum", () => {
  // The function has a sum and is summed up; both cotangents of the former are one sum.
  const fn = (x: Tensor) => {
    const total = sum(x, rows);
    return add(mul(x, total), tanh(sub(x, total)));
  };
  assertEquals(sumsOf(fn), 3);
});

Deno.test("grad: a sum over the batch keeps factors inside, as it can leave a loop in this form", () => {
  const { equations } = trace(
    (x: Tensor, bias: Tensor) => grad((bias: Tensor) => sum(mul(add(x, bias), sum(x, rows))))(bias),
    spec([4, 3]),
    spec([3]),
  ).program;
  const names = equations.map(({ operation }) => operation.name);
  assert(names.lastIndexOf("mul") < names.lastIndexOf("sum"));
});

Deno.test("grad: a row with NaN or infinity has no finite derivative, and others have theirs", () => {
  const c = hostTensor(Float32Array.of(0.5, -1, 2, 0.25, 3, -0.5, 1, 1, 2), [3, 3]);
  for (const special of [NaN, Infinity, -Infinity]) {
    const x = hostTensor(Float32Array.of(1, 2, 4, 1, special, 0, 1, 2, 4), [3, 3]);
    const [first, second, third] = toNested(gradientOf((x) => normalized(x))(x, c)) as number[][];
    assert(first.every(Number.isFinite) && third.every(Number.isFinite), `${special}`);
    assert(second.every(Number.isNaN), `${special}: ${second}`);
  }
});

Deno.test("grad: sums of long chains and of values used again and again are plain sums", () => {
  const chains: { readonly [name: string]: (x: Tensor) => Tensor } = {
    long: (x) => Array.from({ length: 6000 }).reduce<Tensor>((all) => add(all, x), x),
    doubled: (x) => Array.from({ length: 40 }).reduce<Tensor>((all) => add(all, all), x),
  };
  for (const [name, chain] of Object.entries(chains)) {
    const { equations } = trace(
      (x: Tensor, row: Tensor) => grad((row: Tensor) => sum(mul(chain(mul(x, 2)), row)))(row),
      spec([2, 3]),
      spec([2, 1]),
    ).program;
    assertEquals(equations.filter(({ operation }) => operation.name === "sum").length, 2, name);
  }
});

Deno.test("grad: factors stay inside sums that would overflow without them, or that cancel", () => {
  const a = hostTensor(Float32Array.of(2e38, 2e38, 1e38), [1, 3]);
  const [[found]] = toNested(
    grad((b: Tensor) => sum(mul(mul(a, hostTensor(Float32Array.of(1e-10), [1, 1])), b)))(
      hostTensor(Float32Array.of(1), [1, 1]),
    ),
  ) as number[][];
  assert(Math.abs(found - 5e28) < 1e22, `${found}`);
});
