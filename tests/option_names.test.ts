/** Options that a function does not have are refused, everywhere in the same way, with the nearest known name. */
import { assertThrows } from "@std/assert";
import {
  batches,
  compile,
  concat,
  convolve,
  dense,
  fromJson,
  grad,
  lstm,
  matmul,
  mean,
  normal,
  padSequences,
  scan,
  setWeights,
  spec,
  split,
  stack,
  streaming,
  sum,
  type Tensor,
  tensor,
  uniform,
  valueAndGrad,
  zeros,
} from "@cellfold/cellfold";
import { nearest } from "../src/known_names.ts";
import { quoted } from "../src/quoted.ts";
import { assert, assertEquals } from "@std/assert";

/** An object of any type, as JavaScript would pass it. */
// deno-lint-ignore no-explicit-any -- on purpose: what TypeScript would refuse
const loose = (value: unknown): any => value;

const x = zeros([2, 3]);
const sequence = zeros([2, 3, 4]);
const cell = (h: Tensor, _: Tensor): [Tensor, Tensor] => [h, h];

const refused: readonly (readonly [string, () => unknown])[] = [
  ['"axis" of sum', () => sum(x, loose({ axis: 1 }))],
  ['"axis" of mean', () => mean(x, loose({ axis: 1 }))],
  ['"axes" of concat', () => concat([x, x], loose({ axes: 0 }))],
  ['"axes" of stack', () => stack([x, x], loose({ axes: 0 }))],
  ['"axes" of split', () => split(x, 3, loose({ axes: 1 }))],
  ['"transposeA" of matmul', () => matmul(x, zeros([3, 4]), loose({ transposeA: true }))],
  ['"stride" of convolve', () => convolve(zeros([1, 4, 1]), zeros([2, 1, 1]), loose({ stride: [2] }))],
  ['"minval" of uniform', () => uniform(tensor([0, 0], { dtype: "int32" }), [2], loose({ minval: 1 }))],
  ['"deviation" of normal', () => normal(tensor([0, 0], { dtype: "int32" }), [2], loose({ deviation: 1 }))],
  ['"type" of tensor', () => tensor([1], loose({ type: "int32" }))],
  ['"checkpoint" of scan', () => scan(cell, zeros([2, 4]), sequence, loose({ checkpoint: 2 }))],
  ['"index" of valueAndGrad', () => valueAndGrad((a: Tensor) => sum(a), loose({ index: 1 }))],
  ['"index" of valueAndGrad', () => grad((a: Tensor) => sum(a), loose({ index: 1 }))],
  ['"maxlen" of padSequences', () => padSequences([[1]], loose({ maxlen: 3 }))],
  ['"shuffle" of batches', () => batches(x, loose({ batchSize: 1, shuffle: true }))],
  [
    '"batchSize" of streaming',
    () => streaming(lstm({ units: 2 }), { params: [], state: [] }, loose({ batchSize: 3 })),
  ],
];

for (const [what, call] of refused) {
  Deno.test(`the option ${what} is refused, not ignored`, () => {
    assertThrows(call, RangeError, `Cannot use the option ${what}: it is unknown`);
  });
}

Deno.test("an unknown option of compile is refused", () => {
  assertThrows(() => compile(() => x, loose({ backend: "reference" })), RangeError, '"backend"');
});

Deno.test("what is no object is refused where options are expected", () => {
  const message = "as the options of dense: expected an object such as { units: ";
  assertThrows(() => dense(loose(undefined)), TypeError, message);
  assertThrows(() => dense(loose(64)), TypeError, message);
  assertThrows(() => lstm(loose([64])), TypeError, "Cannot use an array of 1 as the options of lstm");
});

Deno.test("a value that an option does not have is refused", () => {
  assertThrows(
    () => scan(cell, zeros([2, 4]), sequence, loose({ maskedOutput: "zeros" })),
    RangeError,
    'did you mean "zero"?',
  );
  assertThrows(
    () => convolve(zeros([1, 4, 1]), zeros([2, 1, 1]), loose({ padding: "causal" })),
    RangeError,
    '"causal"',
  );
  assertThrows(() => spec([null, -3]), RangeError, "the size of axis 1 is -3");
  assertThrows(() => spec([2], loose("float16")), TypeError, "float16");
  assertThrows(() => tensor(loose(["1"])), TypeError, 'a value is the text "1"');
});

Deno.test("the nearest name ignores the style of spelling", () => {
  assertEquals(nearest("return_sequences", ["returnState", "returnSequences"]), "returnSequences");
  assertEquals(nearest("batch_size", ["epochs", "batchSize"]), "batchSize");
  assertEquals(nearest("xyz", ["returnState"]), undefined);
});

Deno.test("quoted: the text of a value is short, whatever the value", () => {
  assertEquals(quoted("name"), '"name"');
  assertEquals(quoted({ a: [1, "b", null] }), '{"a":[1,"b",null]}');
  assertEquals(quoted(undefined), "undefined");
  let deep: unknown = 1;
  for (let level = 0; level < 100_000; level++) deep = [deep];
  const wide = Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`key ${i}`, i]));
  for (const value of ["x".repeat(1e7), deep, wide, new Array(1e6).fill("y".repeat(1000))]) {
    assert(quoted(value).length < 100);
  }
});

Deno.test("unknownName: a name of millions of characters is refused at once, and cut", () => {
  const long = "unit".repeat(1_000_000);
  for (
    const attempt of [
      () => dense(loose({ [long]: 1 })),
      () => dense(loose({ units: 1, activation: long })),
      () => fromJson({ type: long, options: {} }),
      () => fromJson({ type: "dense", options: { units: 2, kernelInitializer: long } }),
      () => setWeights({ params: { kernel: zeros([1]) }, state: [] }, { [long]: zeros([1]) }),
    ]
  ) {
    const { message } = assertThrows(attempt, Error);
    assert(message.length < 1200, `${message.length} characters`);
  }
  // Known names may be long as well.
  assertEquals(nearest("ab", [long, "abc"]), "abc");
});
