/** What holds for the scan of any cell, over random cells, trees, shapes and options. Gradients: gradients.test.ts. */
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { concat, reverse, scan, type Tensor, tensor, zeros } from "../../mod.ts";
import { sliceAxis, specOf } from "../../src/internal.ts";
import { mapTree, treeLeaves, zipLike } from "../../src/tree/tree.ts";
import {
  anyOptions,
  assertTreesClose,
  type Fold,
  maskFrom,
  optionsOf,
  property,
  rowOf,
  run,
  stepsOf,
} from "./folds.ts";
import { examples, type Point, pointOf } from "./random_cells.ts";
import { unrolled } from "./unrolled.ts";

const plain: Fold = (...fold) => scan(...fold);
const rowPoint = ({ parameters, state, inputs }: Point, row: number): Point => ({
  parameters,
  state: rowOf(state, row),
  inputs: rowOf(inputs, row),
});

property("scan equals its unrolled form", [examples(6, 1), anyOptions], (example, random) => {
  const point = pointOf(example);
  const options = optionsOf(random, example);
  const actual = run(example, point, (...fold) => scan(...fold, options));
  assertTreesClose(actual, run(example, point, (...fold) => unrolled(...fold, options)));
});

property("lengths equal truncation", [examples(), fc.boolean(), fc.integer()], (example, reverse, seed) => {
  const point = pointOf(example);
  const { batch, time } = example;
  const lengths = Array.from({ length: batch }, (_, row) => Math.abs(seed + 7 * row) % (time + 1));
  const [outputs, final] = run(
    example,
    point,
    (...fold) => scan(...fold, { reverse, lengths: tensor(lengths, { dtype: "int32" }) }),
  );
  lengths.forEach((length, row) => {
    const one = rowPoint(point, row);
    const cut = { ...one, inputs: stepsOf(one.inputs, 0, length) };
    const alone = run({ ...example, batch: 1 }, cut, (...fold) => scan(...fold, { reverse }));
    assertTreesClose([stepsOf(rowOf(outputs, row), 0, length), rowOf(final, row)], alone, `row ${row}`);
  });
});

property(
  "a mask with holes equals skipping",
  [examples(6), fc.boolean(), fc.integer(), fc.constantFrom("previous", "zero")],
  (example, reverse, seed, maskedOutput) => {
    const point = pointOf(example);
    const { batch, time } = example;
    const mask = maskFrom(seed, batch, time);
    const [outputs, final] = run(example, point, (...fold) => scan(...fold, { reverse, mask, maskedOutput }));
    for (let row = 0; row < batch; row++) {
      const counts = Array.from({ length: time }, (_, step) => mask.data[row * time + step] === 1);
      const kept = counts.flatMap((is, step) => is ? [step] : []);
      const pick = (tree: unknown, steps: readonly number[]) =>
        mapTree(
          tree,
          (x: Tensor) =>
            concat([sliceAxis(x, 1, 0, 0), ...steps.map((t) => sliceAxis(x, 1, t, 1))], { axis: 1 }),
        );
      const one = rowPoint(point, row);
      const alone = run(
        { ...example, batch: 1 },
        { ...one, inputs: pick(one.inputs, kept) },
        (...fold) => scan(...fold, { reverse }),
      );
      assertTreesClose([pick(rowOf(outputs, row), kept), rowOf(final, row)], alone, `row ${row}`);

      // A masked step repeats the step before in the order of running, or is zero.
      counts.forEach((is, step) => {
        if (is) return;
        const before = reverse ? step + 1 : step - 1;
        const shown = stepsOf(rowOf(outputs, row), step, 1);
        const repeats = maskedOutput === "previous" && before >= 0 && before < time;
        const expected = repeats
          ? stepsOf(rowOf(outputs, row), before, 1)
          : mapTree(shown, (x: Tensor) => zeros(x.shape, { dtype: x.dtype }));
        assertTreesClose(shown, expected, `row ${row}, masked step ${step}`);
      });
    }
  },
);

property("reversed equals flipped", [examples(), anyOptions], (example, random) => {
  const point = pointOf(example);
  const { mask, ...options } = optionsOf({ ...random, resetsSeed: undefined }, example);
  const flip = <T>(tree: T) => mapTree(tree, (x: Tensor) => reverse(x, 1));
  const [outputs, final] = run(
    example,
    { ...point, inputs: flip(point.inputs) },
    (...fold) => scan(...fold, { ...options, mask: mask && reverse(mask, 1), reverse: !options.reverse }),
  );
  assertTreesClose(
    [flip(outputs), final],
    run(example, point, (...fold) => scan(...fold, { ...options, mask })),
  );
});

property("chunked equals whole", [examples(6), fc.nat(6)], (example, cut) => {
  const { parameters, state, inputs } = pointOf(example);
  const first = Math.min(cut, example.time);
  const chunked: Fold = (cell, state, inputs) => {
    // The chunks of a tree have the structure of the tree.
    const part = (from: number, steps: number) => stepsOf(inputs, from, steps) as typeof inputs;
    const [early, between] = scan(cell, state, part(0, first));
    const [late, final] = scan(cell, between, part(first, example.time - first));
    return [zipLike(early, late, (a: Tensor, b: Tensor) => concat([a, b], { axis: 1 })), final];
  };
  const point = { parameters, state, inputs };
  assertTreesClose(run(example, point, chunked), run(example, point, plain));
});

property(
  "checkpointed equals plain",
  [examples(6), anyOptions, fc.integer({ min: 1, max: 8 })],
  (example, random, size) => {
    const point = pointOf(example);
    const options = optionsOf({ ...random, checkpointEvery: undefined }, example);
    const checkpointed = run(
      example,
      point,
      (...fold) => scan(...fold, { ...options, checkpointEvery: size }),
    );
    assertTreesClose(
      checkpointed,
      run(example, point, (...fold) => scan(...fold, options)),
    );
  },
);

property(
  "a scan of length 0 gives empty outputs and the initial state",
  [examples(0), anyOptions],
  (example, random) => {
    const point = pointOf(example);
    const [outputs, final] = run(example, point, (...fold) => scan(...fold, optionsOf(random, example)));
    for (const leaf of treeLeaves<Tensor>(outputs)) {
      assertEquals(leaf.shape, [
        example.batch,
        0,
        example.units,
      ]);
    }
    assertTreesClose(final.floats, point.state);
    if (final.counter) assertEquals(specOf(final.counter), { shape: [example.batch], dtype: "int32" });
  },
);
