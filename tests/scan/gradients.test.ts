/** What holds for the gradients of the scan of any cell, once and twice, against its unrolled form and differences. */
import fc from "fast-check";
import {
  add,
  type Cell,
  concat,
  expandDims,
  grad,
  item,
  mul,
  reshape,
  scan,
  sum,
  tanh,
  type Tensor,
  zeros,
} from "../../mod.ts";
import { mapTree, treeLeaves } from "../../src/tree/tree.ts";
import { assertGradientAlong, largest, randomLike, valuesOf } from "../operations/finite_differences.ts";
import {
  anyOptions,
  assertTreesClose,
  type Fold,
  lossOf,
  optionsOf,
  property,
  run,
  scaleOf,
  weighted,
} from "./folds.ts";
import { cellOf, type Example, examples, type Point, pointOf, type State, stateOf } from "./random_cells.ts";
import { unrolled } from "./unrolled.ts";

type Loss = (point: Point) => Tensor;

/** The derivative of `loss` along a direction, as a function that may be differentiated again. */
const slopeOf = (loss: Loss, direction: Point): Loss => (point) => {
  const along = treeLeaves<Tensor>(direction);
  return treeLeaves<Tensor>(grad(loss)(point)).map((g, leaf) => sum(mul(g, along[leaf]))).reduce((a, b) =>
    add(a, b)
  );
};

const sizeOf = (tree: unknown) => treeLeaves<Tensor>(tree).reduce((n, x) => n + valuesOf(x).length, 0);

property(
  "the gradient of a scan is that of its unrolled form",
  [examples(5, 1), anyOptions],
  (example, random) => {
    const point = pointOf(example);
    const options = optionsOf(random, example);
    const actual = grad(lossOf(example, (...fold) => scan(...fold, options)))(point);
    const expected = grad(lossOf(example, (...fold) => unrolled(...fold, options)))(point);
    assertTreesClose(actual, expected);
  },
);

property(
  "gradients by parameters, initial state and inputs equal differences",
  [examples(), anyOptions],
  (example, random) => {
    const point = pointOf(example);
    const fold: Fold = (...fold) => scan(...fold, optionsOf(random, example));
    const loss = lossOf(example, fold);
    const scale = scaleOf(run(example, point, fold));
    const gradient = grad(loss)(point);
    for (const part of ["parameters", "state", "inputs"] as const) {
      const still = mapTree(point, (x: Tensor) => zeros(x.shape, { dtype: x.dtype }));
      const direction = { ...still, [part]: randomLike(point[part], example.seed + 2) };
      assertGradientAlong((p) => item(loss(p)), point, gradient, direction, scale, `the gradient by ${part}`);
    }
  },
);

property(
  "the gradient by one part alone is that part of the gradient by all",
  [examples(), anyOptions],
  (example, random) => {
    const point = pointOf(example);
    const loss = lossOf(example, (...fold) => scan(...fold, optionsOf(random, example)));
    const all = grad(loss)(point);
    for (const part of ["parameters", "state", "inputs"] as const) {
      const alone = grad((value: unknown) => loss({ ...point, [part]: value }))(point[part]);
      assertTreesClose(alone, all[part], part);
    }
  },
);

property("the gradient of the gradient equals differences", [examples(4), anyOptions], (example, random) => {
  const point = pointOf(example);
  const loss = lossOf(example, (...fold) => scan(...fold, optionsOf(random, example)));
  const slope = slopeOf(loss, randomLike(point, example.seed + 2));
  const scale = sizeOf(point) * largest(grad(loss)(point));
  const direction = randomLike(point, example.seed + 3);
  assertGradientAlong(
    (p) => item(slope(p)),
    point,
    grad(slope)(point),
    direction,
    scale,
    "the second gradient",
  );
});

property(
  "the gradient of the gradient is that of the unrolled form",
  [examples(3, 1), anyOptions],
  (example, random) => {
    const point = pointOf(example);
    const options = optionsOf(random, example);
    const direction = randomLike(point, example.seed + 2);
    const twice = (fold: Fold) => grad(slopeOf(lossOf(example, fold), direction))(point);
    assertTreesClose(
      twice((...fold) => scan(...fold, options)),
      twice((...fold) => unrolled(...fold, options)),
    );
  },
);

property(
  "checkpointed gradients equal plain ones, whatever the segment",
  [examples(6), anyOptions, fc.integer({ min: 1, max: 8 })],
  (example, random, size) => {
    const point = pointOf(example);
    const options = optionsOf({ ...random, checkpointEvery: undefined }, example);
    const gradient = (checkpointEvery?: number) =>
      grad(lossOf(example, (...fold) => scan(...fold, { ...options, checkpointEvery })))(point);
    assertTreesClose(gradient(size), gradient());
  },
);

/** Inputs `[batch, time, inner·units]` folded by a scan over `inner` steps inside each step. */
function nested(example: Example, inner: number, outerFold: Fold, innerFold: Fold): Loss {
  return (point) => {
    const cell: Cell<State, unknown, unknown> = (state, input) => {
      // The inner cell closes over what the outer one computes from its state, and over the parameters.
      const [first] = treeLeaves<Tensor>(state.floats);
      const shift = tanh(add(point.parameters.vectors.bias, first));
      const step = cellOf(example, point.parameters);
      const shifted: typeof step = (state, input) =>
        step(state, mapTree(input, (x: Tensor) => add(x, shift)));
      const steps = mapTree(input, (x: Tensor) => reshape(x, [example.batch, inner, example.units]));
      return innerFold(shifted, state, steps);
    };
    const [outputs, final] = outerFold(cell, stateOf(example, point.state), point.inputs);
    return weighted([outputs, final.floats], example.seed + 1);
  };
}

property(
  "a scan inside a scan equals both unrolled, once and (half of the cases) twice differentiated",
  [examples(2, 1), anyOptions, anyOptions, fc.integer({ min: 1, max: 2 }), fc.boolean()],
  (example, outer, random, inner, twice) => {
    const point = pointOf(example);
    const wide = {
      ...point,
      inputs: mapTree(
        point.inputs,
        (x: Tensor) =>
          randomLike(
            zeros([example.batch, example.time, inner * example.units], { dtype: x.dtype }),
            example.seed,
          ),
      ),
    };
    const outerOptions = optionsOf(outer, example);
    const innerOptions = optionsOf(random, { ...example, time: inner });
    const folded = nested(
      example,
      inner,
      (...fold) => scan(...fold, outerOptions),
      (...fold) => scan(...fold, innerOptions),
    );
    const flat = nested(
      example,
      inner,
      (...fold) => unrolled(...fold, outerOptions),
      (...fold) => unrolled(...fold, innerOptions),
    );
    assertTreesClose(grad(folded)(wide), grad(flat)(wide), "gradients");
    if (!twice) return;
    const direction = randomLike(wide, example.seed + 4);
    const second = grad(slopeOf(folded, direction))(wide);
    assertTreesClose(second, grad(slopeOf(flat, direction))(wide), "second gradients");
  },
);

property(
  "a gradient inside the step of a scan can be differentiated",
  [examples(3, 1), anyOptions],
  (example, random) => {
    const point = pointOf(example);
    const options = optionsOf(random, example);
    /** Each step puts out the gradient, by its input, of a scan of the example's cell over twice that input. */
    const loss = (outerFold: Fold, innerFold: Fold): Loss => ({ parameters, state, inputs }) => {
      const cell: Cell<unknown, unknown, unknown> = (carry, input) => {
        const inner = (input: unknown) => {
          const twice = mapTree(
            input,
            (x: Tensor) => concat([expandDims(x, 1), expandDims(x, 1)], { axis: 1 }),
          );
          const [outputs] = innerFold(cellOf(example, parameters), stateOf(example, carry), twice);
          return weighted(outputs, example.seed);
        };
        return [grad(inner)(input), mapTree(carry, (x: Tensor) => tanh(x))];
      };
      return weighted(outerFold(cell, state, inputs), example.seed + 1);
    };
    const folded = loss((...fold) => scan(...fold, options), (...fold) => scan(...fold));
    const flat = loss((...fold) => unrolled(...fold, options), (...fold) => unrolled(...fold));
    assertTreesClose(grad(folded)(point), grad(flat)(point));
  },
);
