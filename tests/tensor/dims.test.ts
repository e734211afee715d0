import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { type Dim, symbol } from "../../mod.ts";
import { addDims, divideDims, fixedDim, multiplyDims, subtractDims } from "../../src/internal.ts";
import { bindShapes } from "../../src/program/bindings.ts";
import { evaluateDim, printShape, sameShape, sizeOfShape } from "../../src/tensor/dims.ts";

const batch = symbol("batch");
const time = symbol("time");

/** Polynomials over batch and time, with the number each comes to for batch = 3 and time = 5. */
const dims: fc.Arbitrary<Dim> = fc.letrec<{ dim: Dim }>((tie) => ({
  dim: fc.oneof(
    { maxDepth: 4 },
    fc.oneof(fc.integer({ min: -4, max: 4 }), fc.constantFrom(batch, time)),
    fc.tuple(tie("dim"), tie("dim")).map(([a, b]) => addDims(a, b)),
    fc.tuple(tie("dim"), tie("dim")).map(([a, b]) => subtractDims(a, b)),
    fc.tuple(tie("dim"), tie("dim")).map(([a, b]) => multiplyDims(a, b)),
  ),
})).dim;
const at = (dim: Dim) => evaluateDim(dim, { batch: 3, time: 5 });

Deno.test("arithmetic of sizes is that of their values", () => {
  fc.assert(fc.property(dims, dims, (a, b) => {
    assertEquals(at(addDims(a, b)), at(a) + at(b));
    assertEquals(at(subtractDims(a, b)), at(a) - at(b));
    assertEquals(at(multiplyDims(a, b)) + 0, at(a) * at(b) + 0);
  }));
});

Deno.test("no size is -0", () => {
  fc.assert(fc.property(dims, (dim) => assert(!Object.is(dim, -0) && !Object.is(at(dim), -0))));
  assertEquals([multiplyDims(0, -3), multiplyDims(-3, 0), subtractDims(0, 0)], [0, 0, 0]);
});

Deno.test("equal polynomials are the same object, however they were made", () => {
  fc.assert(fc.property(dims, dims, dims, (a, b, c) => {
    assert(addDims(a, b) === addDims(b, a));
    assert(multiplyDims(a, b) === multiplyDims(b, a));
    assert(multiplyDims(a, addDims(b, c)) === addDims(multiplyDims(a, b), multiplyDims(a, c)));
    assert(subtractDims(addDims(a, b), b) === a);
    assert(subtractDims(a, a) === 0);
  }));
});

Deno.test("division by a number or a monomial undoes multiplication", () => {
  fc.assert(
    fc.property(dims, fc.constantFrom<Dim>(1, 2, -3, batch, time, multiplyDims(batch, time)), (a, b) => {
      assert(divideDims(multiplyDims(a, b), b) === a);
    }),
  );
});

Deno.test("division by a size of several terms undoes multiplication, and what it gives is exact", () => {
  fc.assert(fc.property(dims, dims, (a, b) => {
    fc.pre(b !== 0);
    assert(divideDims(multiplyDims(a, b), b) === a);
    const quotient = divideDims(a, b);
    if (quotient !== undefined) assert(multiplyDims(quotient, b) === a);
  }));
});

Deno.test("division that does not come out is undefined", () => {
  assertEquals(divideDims(batch, 2), undefined);
  assertEquals(divideDims(batch, time), undefined);
  assertEquals(divideDims(addDims(batch, 1), batch), undefined);
  assertEquals(divideDims(7, 2), undefined);
  assertEquals(divideDims(0, 0), undefined);
  assertEquals(divideDims(batch, 0), undefined);
  assertEquals(divideDims(addDims(batch, 1), addDims(batch, 1)), 1);
  assertEquals(divideDims(0, batch), 0);
  const rows = multiplyDims(subtractDims(batch, 2), subtractDims(time, 2));
  assertEquals(divideDims(addDims(rows, 1), subtractDims(time, 2)), undefined);
  assertEquals(divideDims(rows, subtractDims(time, 1)), undefined);
});

Deno.test("sizes print as polynomials", () => {
  assertEquals(printShape([batch, 28]), "[batch, 28]");
  assertEquals(String(subtractDims(multiplyDims(2, time), 1)), "2*time-1");
  assertEquals(String(multiplyDims(batch, time)), String(multiplyDims(time, batch)));
});

Deno.test("shapes are equal where all their sizes are", () => {
  assert(sameShape([addDims(batch, 0), 2], [batch, 2]));
  assert(!sameShape([batch], [time]));
  assert(!sameShape([2], [2, 1]));
  assertEquals(sizeOfShape([]), 1);
  assert(sizeOfShape([batch, 2, time]) === multiplyDims(multiplyDims(2, batch), time));
  assertEquals(sizeOfShape([batch, 0]), 0);
});

Deno.test("an unbound symbol and a name that is none are named", () => {
  assertThrows(() => evaluateDim(addDims(batch, time), { batch: 2 }), RangeError, "time has no value");
  assertThrows(() => symbol("2x"), SyntaxError, '"2x"');
  assertThrows(
    () => fixedDim(time, "The unrolled loop"),
    RangeError,
    "The unrolled loop needs a fixed size: current value is time",
  );
});

Deno.test("sizes may be named like members of Object", () => {
  for (
    const name of ["constructor", "toString", "hasOwnProperty", "valueOf", "__proto__", "__defineGetter__"]
  ) {
    const size = symbol(name);
    const twice = addDims(size, size);
    assertEquals(String(twice), `2*${name}`);
    assertEquals(
      String(multiplyDims(addDims(size, 1), batch)),
      String(addDims(multiplyDims(batch, size), batch)),
    );
    assertEquals(divideDims(multiplyDims(size, batch), size), batch);
    assertThrows(() => evaluateDim(twice, {}), RangeError, `${name} has no value`);
    assertEquals(bindShapes([[size, 2], [twice]], [[3, 2], [6]])[name], 3);
    assertEquals(evaluateDim(twice, bindShapes([[size]], [[4]])), 8);
    assertThrows(() => bindShapes([[size], [size]], [[3], [4]]), RangeError, `${name} is 3 in input 0`);
  }
});
