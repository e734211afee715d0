/** What is read in several places is gone through once: ways through a Program are far more than its values. */
import {
  add,
  concat,
  grad,
  key,
  layerNormLstmCell,
  mul,
  pad,
  rnn,
  spec,
  square,
  stackedCells,
  sub,
  sum,
  tanh,
  type Tensor,
  type Tree,
  treeLeaves,
} from "@cellfold/cellfold";
import { flattenTree, sliceAxis, unflattenTree } from "@cellfold/cellfold/internal";
import { assert } from "@std/assert";
import { traceFlat } from "../../src/program/trace.ts";
import type { Attributes, Program } from "../../src/program/types.ts";
import { runPasses } from "../../src/passes/mod.ts";

/** Equations of a Program and of the bodies of its scans. */
function countOf({ equations }: Program): number {
  return equations.reduce(
    (count, { operation: { name }, attributes }) =>
      count + 1 + (name === "scan" ? countOf((attributes as Attributes["scan"]).body) : 0),
    0,
  );
}

/** The most equations that any pass leaves. */
function mostOf(program: Program): number {
  let most = 0;
  runPasses(program, (_, after) => most = Math.max(most, countOf(after)));
  return most;
}

/** As deep that its 2^40 ways would never be gone through. */
const DEPTH = 40;

const repeated = (x: Tensor, change: (x: Tensor) => Tensor) =>
  Array.from({ length: DEPTH }).reduce<Tensor>((x) => change(x), x);

const chains: Readonly<Record<string, (x: Tensor) => Tensor>> = {
  "sums with themselves": (x) => repeated(x, (x) => add(x, x)),
  "sums of paddings": (x) => repeated(pad(x, { low: [0, 1], high: [0, 0] }), (x) => add(x, x)),
  "slices of elementwise work": (x) => {
    const y = repeated(x, (x) => mul(tanh(x), sub(1, tanh(x))));
    return concat([sliceAxis(y, 1, 0, 1), sliceAxis(y, 1, 2, 1)], { axis: 1 });
  },
};

for (const [name, chain] of Object.entries(chains)) {
  Deno.test(`passes go once through what is shared: ${name}`, () => {
    for (const fn of [chain, grad((x: Tensor) => sum(chain(x)))]) {
      const { program } = traceFlat([spec([2, 4])], ([x]) => ({ outputs: [fn(x)], result: undefined }));
      assert(mostOf(program) < 4 * countOf(program));
    }
  });
}

Deno.test("passes go once through what is shared: gradients of stacked cells that normalize", () => {
  const layer = rnn(stackedCells(Array.from({ length: 4 }, () => layerNormLstmCell({ units: 2 }))));
  const x = spec([3, 5, 2]);
  const { leaves, structure } = flattenTree<Tensor>(layer.initParams(key(0), x));
  const { program } = traceFlat([...leaves, x], (given) => {
    const gradient = grad((params: Tree<Tensor>) =>
      sum(
        square(layer.apply({ params, state: [] }, given[leaves.length], { training: true }).output as Tensor),
      )
    )(unflattenTree<Tree<Tensor>>(structure, given.slice(0, leaves.length)));
    return { outputs: treeLeaves<Tensor>(gradient), result: undefined };
  });
  assert(mostOf(program) < 2 * countOf(program));
});
