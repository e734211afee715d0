import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  einsum,
  grad,
  host,
  mul,
  spec,
  sum,
  type Tensor,
  tensor,
  toNested,
  trace,
  zeros,
} from "../../mod.ts";
import { float64, numbersFrom, valuesOf } from "./finite_differences.ts";

/** A random equation: the letters of each operand (`.` is one axis of the ellipsis) and of the output. */
interface Case {
  readonly operands: readonly { readonly before: string; readonly open: number; readonly after: string }[];
  readonly output: string;
  readonly sizes: Readonly<Record<string, number>>;
  readonly seed: number;
}

/** The axes of the ellipsis, named from the last backwards, as they align. */
const OPEN = ["Q", "P"];
const openLabels = (count: number) => OPEN.slice(0, count).reverse().join("");

const labels = (most: number) =>
  fc.array(fc.constantFrom("a", "b", "c"), { maxLength: most }).map((l) => l.join(""));
const cases: fc.Arbitrary<Case> = fc.array(
  fc.record({ before: labels(2), open: fc.nat(2), after: labels(1) }),
  { minLength: 1, maxLength: 3 },
).chain((operands) => {
  const letters = [...new Set(operands.flatMap(({ before, after }) => [...before, ...after]))];
  return fc.record({
    operands: fc.constant(operands),
    output: fc.shuffledSubarray(letters).map((l) => l.join("")),
    sizes: fc.record({
      a: fc.nat(3),
      b: fc.integer({ min: 1, max: 3 }),
      c: fc.constant(2),
      P: fc.constant(2),
      Q: fc.constant(3),
    }),
    seed: fc.integer(),
  });
});

/** By the definition: for every value of every letter, a product added to one element of the output. */
function bruteForce(
  names: readonly string[],
  output: string,
  sizes: Case["sizes"],
  operands: readonly Tensor[],
): number[] {
  const all = [...new Set(names.join("") + output)];
  const count = (of: string) => [...of].reduce((n, label) => n * sizes[label], 1);
  const result: number[] = new Array(count(output)).fill(0);
  const offset = (of: string, index: Readonly<Record<string, number>>) =>
    [...of].reduce((at, label) => at * sizes[label] + index[label], 0);
  for (let i = 0; i < count(all.join("")); i++) {
    const index: Record<string, number> = {};
    let rest = i;
    for (const label of all) {
      index[label] = rest % sizes[label];
      rest = Math.floor(rest / sizes[label]);
    }
    result[offset(output, index)] += names.reduce(
      (product, of, k) => product * host(operands[k]).data[offset(of, index)],
      1,
    );
  }
  return result;
}

Deno.test("einsum is the sum over all letters, with diagonals and ellipses", () => {
  fc.assert(
    fc.property(cases, ({ operands, output, sizes, seed }) => {
      const next = numbersFrom(seed);
      const names = operands.map(({ before, open, after }) => before + openLabels(open) + after);
      const shapes = names.map((of) => [...of].map((label) => sizes[label]));
      const tensors = shapes.map((shape) =>
        float64(Array.from({ length: shape.reduce((a, b) => a * b, 1) }, next), shape)
      );
      const parts = operands.map(({ before, open, after }) => `${before}${open > 0 ? "..." : ""}${after}`);
      const widest = Math.max(...operands.map(({ open }) => open));
      const actual = einsum(`${parts.join(",")}->${widest > 0 ? "..." : ""}${output}`, ...tensors);
      const full = openLabels(widest) + output;
      assertEquals(actual.shape, [...full].map((label) => sizes[label]));
      const expected = bruteForce(names, full, sizes, tensors);
      // At most 3·3·2·2·3 products of numbers below 1 are summed, in another order.
      valuesOf(actual).forEach((value, i) =>
        assertAlmostEquals(value, expected[i], 108 * 108 * Number.EPSILON)
      );
    }),
    { numRuns: 500 },
  );
});

Deno.test("einsum without an arrow keeps the letters that occur once, sorted", () => {
  const [x, y] = [tensor([[1, 2], [3, 4]]), tensor([[5, 6], [7, 8]])];
  assertEquals(toNested(einsum("ba", x)), [[1, 3], [2, 4]]);
  assertEquals(toNested(einsum("ij,jk", x, y)), [[19, 22], [43, 50]]);
  assertEquals(toNested(einsum("ii", x)), 5);
});

Deno.test("einsum ignores spaces and takes an operand with itself", () => {
  const x = tensor([1, 2, 3]);
  assertEquals(toNested(einsum(" i , i -> ", x, x)), 14);
  assertEquals(toNested(grad((x: Tensor) => einsum("i,i->", x, x))(x)), [2, 4, 6]);
});

Deno.test("the gradient of einsum reaches a diagonal only", () => {
  const gradient = grad((x: Tensor) => sum(mul(einsum("ii->i", x), tensor([2, 3]))))(zeros([2, 2]));
  assertEquals(toNested(gradient), [[2, 0], [0, 3]]);
});

Deno.test("einsum keeps open sizes open", () => {
  const { program } = trace(
    (x: Tensor, w: Tensor) => einsum("bti,io->bto", x, w),
    spec([null, null, 3]),
    spec([3, 5]),
  );
  assertEquals(String(program.outputs[0].shape), "batch,time,5");
});

Deno.test("an equation that does not fit is refused by name", () => {
  const x = zeros([2, 3]);
  const refuse = (equation: string, operands: Tensor[], part: string) =>
    assertThrows(() => einsum(equation, ...operands), SyntaxError, part);
  refuse("ij,jk->ik", [x], "it names 2 operands, 1 are given");
  refuse("ijk->i", [x], 'operand 0 has 2 axes, but "ijk" names 3');
  refuse("i->i", [x], 'operand 0 has 2 axes, but "i" names 1');
  refuse("ij->k", [x], "the output's k is in no operand");
  refuse("ij->ii", [x], "the output has i twice");
  refuse("ii->i", [x], "the sizes 2 and 3 of i differ");
  refuse("ij,jk->ik", [x, x], "the sizes 3 and 2 of j differ");
  refuse("i1->i", [x], 'operand 0 is "i1"');
  refuse("ij->i->j", [x], "more than one ->");
});
