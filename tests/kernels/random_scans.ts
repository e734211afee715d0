/** That a backend computes random scans, their gradients and scans in scans: those that tests/scan holds the reference to. */
import { exampleCount } from "../support/examples.ts";
import fc from "fast-check";
import {
  at,
  type Cell,
  type Device,
  grad,
  mul,
  reshape,
  scan,
  type ScanOptions,
  type Spec,
  spec,
  sum,
  tanh,
  type Tensor,
  tensor,
  valueAndGrad,
  zeros,
} from "../../mod.ts";
import { specOf } from "../../src/internal.ts";
import { mapTree, treeLeaves } from "../../src/tree/tree.ts";
import { numbersFrom, randomLike } from "../operations/finite_differences.ts";
import {
  anyOptions,
  type Fold,
  lossOf,
  maskFrom,
  optionsOf,
  resetsFrom,
  run,
  weighted,
} from "../scan/folds.ts";
import {
  cellOf,
  type Example,
  examples,
  type Point,
  pointOf,
  type State,
  stateOf,
} from "../scan/random_cells.ts";
import type { Backend } from "../../kernels/backend.ts";
import { assertRight, narrow } from "./rounding.ts";

/** Sizes below, at and above those of vectors, tiles and panels. */
const sizes = fc.record({
  batch: fc.constantFrom(1, 2, 3, 5, 7, 13),
  units: fc.constantFrom(1, 2, 3, 4, 5, 8, 11, 17),
});

/** Random examples in sizes that fill vectors, or not. */
function wideExamples(longest = 5, shortest = 0): fc.Arbitrary<Example> {
  return fc.tuple(examples(longest, shortest), sizes).map(([example, size]) => ({ ...example, ...size }));
}

/** What a scan is given beside its sequences, of the same steps. */
type Steps = Pick<ScanOptions, "mask" | "lengths" | "resets">;

function squares(tree: unknown): Tensor {
  return treeLeaves<Tensor>(tree).map((x) => sum(mul(x, x))).reduce((a, b) => mul(a, b));
}

/** The properties of scans on these backends, which the names of the tests begin with. */
export function testRandomScans(
  device: Device,
  backends: readonly Backend[],
  { ignore = false, runs = exampleCount(200) }: { readonly ignore?: boolean; readonly runs?: number } = {},
): void {
  const property = <Values extends [unknown, ...unknown[]]>(
    name: string,
    arbitraries: { [K in keyof Values]: fc.Arbitrary<Values[K]> },
    check: (...values: Values) => Promise<void>,
  ): void => {
    Deno.test({
      name: `on ${device}, ${name}`,
      ignore,
      // Workers and a device outlive a test.
      sanitizeResources: false,
      sanitizeOps: false,
      fn: () => fc.assert(fc.asyncProperty<Values>(...arbitraries, check), { numRuns: runs }),
    });
  };

  const anyBackend = fc.constantFrom(...backends);

  property(
    "values and gradients of any cell are right, whatever the options",
    [anyBackend, wideExamples(), anyOptions],
    async (backend, example, random) => {
      const point = narrow(pointOf(example));
      const fold: Fold = (...fold) => scan(...fold, optionsOf(random, example));
      const both = (p: Point) => [run(example, p, fold), grad(lossOf(example, fold))(p)];
      await assertRight(backend, both, [mapTree(point, specOf)], [[point]], { unoptimized: true });
    },
  );

  property(
    "one Program with symbolic sizes is right for several, with masks or lengths, and resets",
    [
      anyBackend,
      wideExamples(),
      fc.record({ batch: fc.integer({ min: 1, max: 9 }), time: fc.integer({ min: 0, max: 7 }) }),
      fc.record({
        reverse: fc.boolean(),
        maskedOutput: fc.constantFrom("previous" as const, "zero" as const),
      }),
      fc.constantFrom("mask", "lengths", "none"),
      fc.boolean(),
    ],
    async (backend, example, other, options, kind, isPacked) => {
      const both = valueAndGrad(
        (p: Point, steps: Steps): [Tensor, unknown] => {
          const [outputs, final] = run(example, p, (...fold) => scan(...fold, { ...options, ...steps }));
          return [squares([final.floats]), [outputs, final]];
        },
      );
      const callOf = (sized: Example): [Point, Steps] => {
        const { batch, time, seed } = sized;
        const next = numbersFrom(seed + 7);
        const lengths = Array.from({ length: batch }, () => Math.floor((next() + 1) / 2 * (time + 1)));
        const steps = kind === "mask"
          ? { mask: maskFrom(seed, batch, time) }
          : kind === "lengths"
          ? { lengths: tensor(lengths, { dtype: "int32" }) }
          : {};
        const resets = isPacked ? { resets: resetsFrom(seed, batch, time) } : {};
        return [narrow(pointOf(sized)), { ...steps, ...resets }];
      };
      const calls = [callOf(example), callOf({ ...example, ...other })];
      const [[point, steps]] = calls;
      const open = [
        {
          parameters: mapTree(point.parameters, specOf),
          state: mapTree(point.state, (x: Spec) => spec([null, x.shape[1]], x.dtype)),
          inputs: mapTree(point.inputs, (x: Spec) => spec([null, null, x.shape[2]], x.dtype)),
        },
        mapTree(steps, (x: Spec) => spec(x.shape.map(() => null), x.dtype)),
      ];
      await assertRight(backend, both, open, calls);
    },
  );

  property(
    "reading the last step alone, and its gradient, are right",
    [anyBackend, wideExamples(5, 1), anyOptions],
    async (backend, example, random) => {
      const point = narrow(pointOf(example));
      const options = optionsOf(random, example);
      const both = valueAndGrad((p: Point): [Tensor, unknown] => {
        const [outputs] = run(example, p, (...fold) => scan(...fold, options));
        const last = mapTree(outputs, (x: Tensor) => at(x, options.reverse ? 0 : -1, { axis: 1 }));
        return [weighted(last, example.seed), last];
      });
      await assertRight(backend, both, [mapTree(point, specOf)], [[point]]);
    },
  );

  property(
    "the gradient of a scan inside a scan is right",
    [anyBackend, wideExamples(2, 1), anyOptions, anyOptions, fc.integer({ min: 1, max: 3 })],
    async (backend, example, outer, random, inner) => {
      const point = pointOf(example);
      const { batch, time, units } = example;
      const wide = narrow({
        ...point,
        inputs: mapTree(
          point.inputs,
          (x: Tensor) => randomLike(zeros([batch, time, inner * units], { dtype: x.dtype }), example.seed),
        ),
      });
      const outerOptions = optionsOf(outer, example);
      const innerOptions = optionsOf(random, { ...example, time: inner });
      const both = valueAndGrad((p: Point): Tensor => {
        const cell: Cell<State, unknown, unknown> = (state, input) => {
          // The inner cell closes over what the outer one computes from its state, and over the parameters.
          const [first] = treeLeaves<Tensor>(state.floats);
          const bias = tanh(mul(p.parameters.vectors.bias, at(first, 0)));
          const parameters = { ...p.parameters, vectors: { ...p.parameters.vectors, bias } };
          const steps = mapTree(input, (x: Tensor) => reshape(x, [batch, inner, units]));
          return scan(cellOf(example, parameters), state, steps, innerOptions);
        };
        const [outputs, final] = scan(cell, stateOf(example, p.state), p.inputs, outerOptions);
        return weighted([outputs, final.floats], example.seed + 1);
      });
      await assertRight(backend, both, [mapTree(wide, specOf)], [[wide]]);
    },
  );
}
