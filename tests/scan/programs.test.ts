/** That what is done to the Program of a scan does not change what it computes: passes, symbolic sizes, pruning. */
import fc from "fast-check";
import { assertEquals } from "@std/assert";
import {
  add,
  at,
  grad,
  type HostTensor,
  mean,
  mul,
  scan,
  type Spec,
  spec,
  square,
  sub,
  sum,
  tanh,
  type Tensor,
  trace,
  valueAndGrad,
  zeros,
} from "../../mod.ts";
import { specOf } from "../../src/internal.ts";
import { runProgram } from "../../kernels/reference/mod.ts";
import { runPasses } from "../../src/passes/mod.ts";
import { isEquation } from "../../src/program/types.ts";
import { flattenTree, type MappedTree, mapTree, treeLeaves, unflattenTree } from "../../src/tree/tree.ts";
import {
  anyOptions,
  assertTreesClose,
  type Fold,
  lossOf,
  maskFrom,
  optionsOf,
  property,
  run,
} from "./folds.ts";
import { examples, type Point, pointOf } from "./random_cells.ts";

/** Runs a function as a Program, traced with `specs`, with and without the passes of the optimizer. */
function throughPrograms<Args extends unknown[]>(
  fn: (...args: Args) => unknown,
  specs: MappedTree<Args, Spec>,
  args: Args,
): unknown[] {
  const { program, structure } = trace(fn as (...args: never[]) => unknown, ...specs as readonly unknown[]); // MappedTree of a list is a list
  const leaves = flattenTree<HostTensor>(args).leaves;
  return [program, runPasses(program), runPasses(runPasses(program))].map((each) =>
    unflattenTree(structure, runProgram(each, leaves))
  );
}

property("passes change nothing, of values and gradients", [examples(), anyOptions], (example, random) => {
  const point = pointOf(example);
  const both = valueAndGrad(lossOf(example, (...fold) => scan(...fold, optionsOf(random, example))));
  const [plain, ...optimized] = throughPrograms(both, [mapTree(point, specOf)], [point]);
  for (const each of optimized) assertTreesClose(each, plain);
});

property("passes change nothing, of second gradients", [examples(3), anyOptions], (example, random) => {
  const point = pointOf(example);
  const loss = lossOf(example, (...fold) => scan(...fold, optionsOf(random, example)));
  const square = (p: Point) => squares(valueAndGrad(loss)(p)[1]);
  const [plain, ...optimized] = throughPrograms(valueAndGrad(square), [mapTree(point, specOf)], [point]);
  for (const each of optimized) assertTreesClose(each, plain);
});

function squares(tree: unknown): Tensor {
  return treeLeaves<Tensor>(tree).map((x) => sum(mul(x, x))).reduce((a, b) => add(a, b));
}

property(
  "symbolic batch and time give the same as fixed ones",
  [examples(), fc.boolean(), fc.boolean(), fc.constantFrom("previous", "zero")],
  (example, reverse, masked, maskedOutput) => {
    const point = pointOf(example);
    const both = valueAndGrad(
      ({ parameters, state, inputs }: Point, mask: { readonly mask?: Tensor }): [Tensor, unknown] => {
        const fold: Fold = (...fold) => scan(...fold, { reverse, maskedOutput, ...mask });
        const [outputs, final] = run(example, { parameters, state, inputs }, fold);
        return [squares([outputs, final.floats]), [outputs, final]];
      },
    );
    const mask = masked ? { mask: maskFrom(example.seed, example.batch, example.time) } : {};
    const open: MappedTree<Point, Spec> = {
      parameters: mapTree(point.parameters, specOf),
      state: mapTree(point.state, (x: Spec) => spec([null, x.shape[1]], x.dtype)),
      inputs: mapTree(point.inputs, (x: Spec) => spec([null, null, x.shape[2]], x.dtype)),
    };
    const openMask = mapTree(mask, (x: Spec) => spec([null, null], x.dtype));
    const expected = both(point, mask);
    for (const actual of throughPrograms(both, [open, openMask], [point, mask])) {
      assertTreesClose(actual, expected);
    }
  },
);

property(
  "reading the last step alone gives the last of all",
  [examples(5, 1), anyOptions],
  (example, random) => {
    const point = pointOf(example);
    const options = optionsOf(random, example);
    const outputsOf = (p: Point) => run(example, p, (...fold) => scan(...fold, options))[0];
    const last = (outputs: unknown) =>
      mapTree(outputs, (x: Tensor) => at(x, options.reverse ? 0 : -1, { axis: 1 }));
    const expected = last(outputsOf(point));
    for (
      const actual of throughPrograms((p: Point) => last(outputsOf(p)), [mapTree(point, specOf)], [point])
    ) {
      assertTreesClose(actual, expected);
    }
  },
);

property(
  "the gradient of the last step alone is that of the last of all",
  [examples(4, 1), anyOptions],
  (example, random) => {
    const point = pointOf(example);
    const options = optionsOf(random, example);
    const loss = (p: Point) => {
      const [outputs] = run(example, p, (...fold) => scan(...fold, options));
      return squares(mapTree(outputs, (x: Tensor) => at(x, options.reverse ? 0 : -1, { axis: 1 })));
    };
    const [plain, ...optimized] = throughPrograms(valueAndGrad(loss), [mapTree(point, specOf)], [point]);
    for (const each of optimized) assertTreesClose(each, plain);
  },
);

Deno.test("a derivative keeps the mean of a row, from which follows what is less by it", () => {
  const cell = (h: Tensor, x: Tensor): [Tensor, Tensor] => {
    const centered = sub(x, mean(x, { axes: -1, keepDims: true }));
    const next = tanh(add(mul(h, 0.5), square(centered)));
    return [next, next];
  };
  const loss = (x: Tensor) => sum(scan(cell, zeros([3, 4]), x)[0]);
  const { program } = trace(grad(loss), spec([3, 5, 4]));
  const [forward] = program.equations.filter((equation) => isEquation(equation, "scan"));
  const stacks = forward.outputs.map(({ shape }) => shape).filter((shape) => shape.length === 3);
  // The means, the outputs of the cell, and the hyperbolic tangents, which are the same.
  assertEquals(stacks.map(String).sort(), ["3,5,1", "3,5,4", "3,5,4"]);
});
