import fc from "fast-check";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { resolveActivation } from "../../src/operations/activations.ts";
import { add, cast, greater, mul, select, sigmoid, stopGradient } from "../../src/operations/elementwise.ts";
import { gather } from "../../src/operations/indexing.ts";
import { logitsOf, withLogits } from "../../src/operations/logits.ts";
import { key as randomKey, normal } from "../../src/operations/random.ts";
import { softmax } from "../../src/operations/reduction.ts";
import {
  at,
  broadcastTo,
  concat,
  expandDims,
  pad,
  reshape,
  reverse,
  slice,
  sliceAxis,
  split,
  squeeze,
  stack,
  transpose,
} from "../../src/operations/structure.ts";
import { traceFlat } from "../../src/program/trace.ts";
import { isEquation, type Program } from "../../src/program/types.ts";
import { scan } from "../../src/scan.ts";
import { host, spec, type Tensor, tensor } from "../../src/tensor/tensor.ts";
import { compile } from "../../src/transforms/compile.ts";
import { runPasses } from "../../src/passes/mod.ts";
import { outputSpecs } from "../../src/program/functions.ts";

const x = normal(randomKey(7), [2, 3, 4]);
const rows = tensor([[1, 0], [1, 1]], { dtype: "int32" });
const sides = tensor([[[true], [false], [true]], [[false], [false], [true]]]);

/** Rearrangements of `[2, 3, 4]` that keep the classes of the last axis last and whole. */
const keeping: Readonly<Record<string, (p: Tensor) => Tensor>> = {
  none: (p) => p,
  "steps merged": (p) => reshape(p, [6, 4]),
  "merged and split": (p) => reshape(reshape(p, [6, 4]), [3, 2, 4]),
  "an axis in front": (p) => expandDims(p, 0),
  "an axis before the last": (p) => expandDims(p, -2),
  squeezed: (p) => squeeze(expandDims(p, 1), { axes: 1 }),
  "there and back": (p) => reshape(reshape(p, [24]), [2, 3, 4]),
  transposed: (p) => transpose(p, { permutation: [1, 0, 2] }),
  "transposed away and back": (p) =>
    transpose(transpose(p, { permutation: [2, 0, 1] }), { permutation: [1, 2, 0] }),
  "reversed in time": (p) => reverse(p, 1),
  "classes reversed": (p) => reverse(p, 2),
  "every second step": (p) => slice(p, { start: [0, 0, 0], size: [2, 2, 4], stride: [1, 2, 1] }),
  "the last step": (p) => at(p, -1, { axis: 1 }),
  "time joined": (p) => concat([p, sliceAxis(p, 1, 0, 1)], { axis: 1 }),
  stacked: (p) => stack([p, reverse(p, 0)]),
  repeated: (p) => broadcastTo(expandDims(p, 0), [5, 2, 3, 4]),
  gathered: (p) => gather(p, rows),
  "no gradient": (p) => stopGradient(p),
  "float64": (p) => cast(p, "float64"),
};

/** Rearrangements that take classes apart, or let others in. */
const breaking: Readonly<Record<string, (p: Tensor) => Tensor>> = {
  "classes cut": (p) => sliceAxis(p, 2, 0, 3),
  "every second class": (p) => slice(p, { start: [0, 0, 0], size: [2, 3, 2], stride: [1, 1, 2] }),
  "classes joined": (p) => concat([p, p], { axis: 2 }),
  "classes to the front": (p) => transpose(p, { permutation: [2, 0, 1] }),
  "classes merged": (p) => reshape(p, [2, 12]),
  "other classes": (p) => reshape(p, [2, 4, 3]),
  "merged, then reversed": (p) => reshape(reverse(reshape(p, [2, 12]), 1), [2, 3, 4]),
  "an axis behind": (p) => expandDims(p, -1),
  "classes gathered": (p) => gather(transpose(p, { permutation: [2, 0, 1] }), rows),
  scaled: (p) => mul(p, 0.5),
  mixed: (p) => mul(add(p, reverse(p, 0)), 0.5),
  padded: (p) => pad(p, { low: [0, 0, 0], high: [0, 1, 0] }),
  "joined with something else": (p) => concat([p, x], { axis: 1 }),
  chosen: (p) => select(sides, p, reverse(p, 0)),
};

/** Exactly the same, as the operations are the same. */
function assertSame(actual: Tensor | undefined, expected: Tensor, message: string) {
  assert(actual, message);
  assertEquals(actual.shape, expected.shape, message);
  assertEquals([...host(actual).data], [...host(expected).data], message);
}

const both = { eager: (f: (x: Tensor) => Tensor) => Promise.resolve(f(x)), traced: traced };

async function traced(f: (x: Tensor) => Tensor): Promise<Tensor> {
  const run = compile(f, { device: "reference" });
  const result = await run(x);
  run[Symbol.dispose]();
  return result;
}

for (const [how, run] of Object.entries(both)) {
  Deno.test(`logitsOf: a softmax is known behind whatever keeps its classes, ${how}`, async () => {
    for (const [name, move] of Object.entries(keeping)) {
      const logits = await run((x) => logitsOf(move(softmax(x)), "softmax") ?? tensor(NaN));
      assertSame(logits, await run(move), name);
    }
  });

  Deno.test(`logitsOf: a softmax whose classes are taken apart is not known, ${how}`, async () => {
    for (const [name, move] of Object.entries(breaking)) {
      const known = await run((x) => tensor(logitsOf(move(softmax(x)), "softmax") ? 1 : 0));
      assertEquals([...host(known).data], [0], name);
    }
  });

  Deno.test(`logitsOf: a sigmoid is known behind any rearrangement, ${how}`, async () => {
    const moves = { ...keeping, ...breaking };
    for (const name of ["scaled", "mixed", "padded", "joined with something else"]) {
      const known = await run((x) => tensor(logitsOf(moves[name](sigmoid(x)), "sigmoid") ? 1 : 0));
      assertEquals([...host(known).data], [0], name);
      delete (moves as Record<string, unknown>)[name]; // the object was just made
    }
    for (const [name, move] of Object.entries(moves)) {
      const logits = await run((x) => logitsOf(move(sigmoid(x)), "sigmoid") ?? tensor(NaN));
      assertSame(logits, await run(move), name);
    }
  });
}

Deno.test("logitsOf: a softmax over another axis counts once that axis is the last", () => {
  const p = softmax(x, { axis: 1 });
  assertEquals(logitsOf(p, "softmax"), undefined);
  assertSame(
    logitsOf(transpose(p, { permutation: [0, 2, 1] }), "softmax"),
    transpose(x, { permutation: [0, 2, 1] }),
    "transposed",
  );
  assertEquals(logitsOf(reshape(p, [2, 12]), "softmax"), undefined);
});

Deno.test("logitsOf: the kinds are told apart, and joined only with their own", () => {
  const [soft, sig] = [softmax(x), sigmoid(x)];
  assertEquals(logitsOf(soft, "sigmoid"), undefined);
  assertEquals(logitsOf(sig, "softmax"), undefined);
  for (const kind of ["softmax", "sigmoid"] as const) {
    assertEquals(logitsOf(concat([soft, sig], { axis: 1 }), kind), undefined);
    assertEquals(logitsOf(x, kind), undefined);
  }
});

Deno.test("logitsOf: activations by name and as operations remember, one's own with withLogits", () => {
  for (const activation of ["softmax", softmax] as const) {
    assertEquals(logitsOf(resolveActivation(activation)(x), "softmax"), x);
  }
  for (const activation of ["sigmoid", sigmoid] as const) {
    assertEquals(logitsOf(resolveActivation(activation as "sigmoid")(x), "sigmoid"), x); // it also takes numbers
  }
  const own = mul(softmax(mul(x, 2)), 1);
  assertEquals(logitsOf(own, "softmax"), undefined);
  assertEquals(withLogits(own, x, "softmax"), own);
  assertEquals(logitsOf(own, "softmax"), x);
  assertThrows(() => withLogits(own, tensor([1]), "softmax"), TypeError, "float32[2, 3, 4]");
});

Deno.test("logitsOf: sizes may be symbols, and pieces put together many times are asked once", () => {
  const found = outputSpecs((x: Tensor) => {
    const p = softmax(x);
    const [batch, time] = x.shape;
    assert(logitsOf(reshape(reshape(p, [-1, 4]), [batch, time, 4]), "softmax"));
    let doubled: Tensor = p;
    for (let i = 0; i < 40; i++) doubled = sliceAxis(concat([doubled, doubled], { axis: 0 }), 0, 0, batch);
    return logitsOf(doubled, "softmax") ?? x;
  }, spec([null, null, 4]));
  assertEquals(found.shape.length, 3);
  assertEquals(found.shape[2], 4);
});

Deno.test("logitsOf: the outputs of a scan know the logits of its steps", async () => {
  const cell = (state: Tensor, step: Tensor): [Tensor, Tensor] => {
    const next = add(mul(state, 0.5), step);
    return [softmax(next), next];
  };
  const run = (x: Tensor) => scan(cell, broadcastTo(tensor(0), [2, 4]), x)[0];
  const raw = (x: Tensor) =>
    scan(
      (s: Tensor, step: Tensor) => [cell(s, step)[1], cell(s, step)[1]],
      broadcastTo(tensor(0), [2, 4]),
      x,
    )[0];
  assertSame(logitsOf(run(x), "softmax"), raw(x), "eager");
  assertSame(
    await traced((x) => logitsOf(at(run(x), -1, { axis: 1 }), "softmax") ?? x),
    at(raw(x), -1, { axis: 1 }),
    "traced",
  );
  const pieces = split(run(x), 3, { axis: 1 });
  assertSame(logitsOf(pieces[1], "softmax"), sliceAxis(raw(x), 1, 1, 1), "a step");
  const inSegments = (x: Tensor) =>
    scan(cell, broadcastTo(tensor(0), [2, 4]), x, { checkpointEvery: 2, reverse: true })[0];
  assertClose(softmax(logitsOf(inSegments(x), "softmax") ?? tensor([NaN])), inSegments(x));
  // Where a step is masked it puts out zeros, or what came before, which are the softmax of nothing that is at hand.
  const masked =
    scan(cell, broadcastTo(tensor(0), [2, 4]), x, { lengths: tensor([3, 2], { dtype: "int32" }) })[0];
  assertEquals(logitsOf(masked, "softmax"), undefined);
  const { program } = traceFlat([x], ([x]) => ({ outputs: [run(x)], result: undefined }));
  const scans = (given: Program) => given.equations.filter((equation) => isEquation(equation, "scan"));
  assertEquals(scans(program).map(({ outputs }) => outputs.length), [3]);
  assertEquals(
    scans(runPasses(program)).map(({ outputs }) => outputs.length),
    [2],
    "nobody reads the logits",
  );
});

/** Operations on a tensor of any shape, drawn by numbers from 0 to 1. */
const drawn: readonly ((p: Tensor, draw: () => number) => Tensor)[] = [
  (p, draw) => {
    const size = p.shape.map(Number).reduce((a, b) => a * b, 1);
    const shape: number[] = [];
    let rest = size;
    for (let axis = 0; axis < 3; axis++) {
      const divisors = Array.from({ length: rest }, (_, i) => i + 1).filter((n) => rest % n === 0);
      const dim = divisors[Math.floor(draw() * divisors.length)];
      shape.push(dim);
      rest /= dim;
    }
    return reshape(p, [...shape, rest]);
  },
  (p, draw) =>
    transpose(p, {
      permutation: p.shape.map((_, i) => [i, draw()]).sort(([, a], [, b]) => a - b).map(([i]) => i),
    }),
  (p, draw) => reverse(p, Math.floor(draw() * p.shape.length)),
  (p, draw) => {
    const axis = Math.floor(draw() * p.shape.length);
    const size = Number(p.shape[axis]);
    const start = Math.floor(draw() * size);
    return sliceAxis(p, axis, start, 1 + Math.floor(draw() * (size - start)));
  },
  (p, draw) => concat([p, reverse(p, 0)], { axis: Math.floor(draw() * p.shape.length) }),
  (p, draw) => gather(p, tensor([0, Math.floor(draw() * Number(p.shape[0]))], { dtype: "int32" })),
  (p, draw) => broadcastTo(expandDims(p, 0), [1 + Math.floor(draw() * 2), ...p.shape]),
  (p) => {
    const ones = p.shape.flatMap((dim, axis) => dim === 1 ? [axis] : []);
    return ones.length < p.shape.length ? squeeze(p, { axes: ones }) : p;
  },
  (p, draw) =>
    select(greater(draw(), 0.5 * draw()) as Tensor, p, reverse(p, Math.floor(draw() * p.shape.length))),
];

Deno.test("logitsOf: whatever is done to probabilities, logits that are known are theirs", () => {
  let known = 0;
  fc.assert(
    fc.property(
      fc.array(fc.nat(drawn.length - 1), { maxLength: 6 }),
      fc.infiniteStream(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })),
      fc.nat(2),
      (steps, numbers, axis) => {
        const draw = () => numbers.next().value;
        let soft = softmax(x, { axis });
        let sig: Tensor = sigmoid(x);
        for (const step of steps) {
          const seen: number[] = [];
          const remember = () => {
            seen.push(draw());
            return seen[seen.length - 1];
          };
          if (soft.shape.map(Number).reduce((a, b) => a * b, 1) > 500) break;
          soft = drawn[step](soft, remember);
          sig = drawn[step](sig, () => seen.shift() ?? 0);
        }
        const logits = logitsOf(soft, "softmax");
        if (logits) {
          known++;
          assertClose(softmax(logits), soft);
        }
        const all = logitsOf(sig, "sigmoid");
        assert(all);
        assertClose(sigmoid(all), sig);
      },
    ),
    { numRuns: 300 },
  );
  assert(known > 10, `only ${known} were known`);
});

function assertClose(actual: Tensor, expected: Tensor) {
  assertEquals(actual.shape, expected.shape);
  const values = host(expected).data;
  host(actual).data.forEach((value, i) => assert(Math.abs(value - Number(values[i])) < 1e-6));
}
