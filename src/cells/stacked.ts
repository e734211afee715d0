/** Several cells as one: each step runs through all of them. */
import { checkObject, wrongKind } from "../describe.ts";
import { checkCell } from "./checks.ts";
import { cellJson } from "./json.ts";
import { splitKey } from "../operations/random.ts";
import { made } from "../options/made.ts";
import { sumOf } from "../options/weight_rules.ts";
import { isLeaf, type Spec, type Tensor } from "../tensor/tensor.ts";
import { outputSpecs } from "../program/functions.ts";
import type { Tree } from "../tree/tree.ts";
import type { AnyCell, CellContext, RecurrentCell } from "./cell.ts";

/**
 * Stacked cells as one cell (Keras's `StackedRNNCells`): the output of each is the input of the next. Params
 * and state are arrays with one entry per cell, the first cell first; the output is that of the last cell.
 *
 * @throws RangeError if there are no cells.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { gruCell, key, lstmCell, rnn, spec, stackedCells, treeLeaves } from "@cellfold/cellfold";
 * const layer = rnn(stackedCells([lstmCell({ units: 8 }), gruCell({ units: 4 })]));
 * assertEquals(treeLeaves(layer.initParams(key(0), spec([null, null, 3]))).length, 6);
 * ```
 */
export function stackedCells<const Cells extends readonly AnyCell[]>(
  cells: Cells,
): RecurrentCell<
  Tree<Tensor>,
  { readonly [Index in keyof Cells]: ReturnType<Cells[Index]["initState"]> },
  Tree<Tensor>,
  // deno-lint-ignore no-explicit-any -- only the output of the last cell is asked for
  Cells extends readonly [...AnyCell[], RecurrentCell<any, any, any, infer Output>] ? Output
    : Tree<Tensor>
>;
export function stackedCells(cells: readonly AnyCell[]): AnyCell {
  const type = "stackedCells";
  if (!Array.isArray(cells) || cells.length === 0) {
    throw new RangeError(`Cannot make ${type}: expected an array of at least one cell`);
  }
  cells = [...cells]; // a copy: the caller may change the list later
  cells.forEach((cell, index) => checkCell(`make ${type} with entry ${index}`, cell));
  return made<RecurrentCell>({
    type,
    options: { cells: cells.map(cellJson) },
    refuses: (input, params) =>
      cells[0].refuses?.(input, params === undefined ? undefined : partsOf(params, cells, "params")[0]),
    initParams: (key, input) => {
      const keys = splitKey(key, cells.length);
      let specs = input;
      return cells.map((cell, index) => {
        const params = cell.initParams(keys[index], specs);
        specs = outputOf(cell, params, specs);
        return params;
      });
    },
    initState: (params, input) => {
      let specs = input;
      return partsOf(params, cells, "params").map((part, index) => {
        const state = cells[index].initState(part, specs);
        specs = outputOf(cells[index], part, specs);
        return state;
      });
    },
    step: (params, context) => {
      checkObject(`use ${type}`, context, "the context", "{ training, input }");
      const keys = context.key && splitKey(context.key, cells.length);
      let specs = context.input;
      const steps = partsOf(params, cells, "params").map((part, index) => {
        const own: CellContext = { training: context.training, key: keys?.[index], input: specs };
        specs = outputOf(cells[index], part, specs);
        return cells[index].step(part, own);
      });
      return (state, input) => {
        let output = input;
        const next = partsOf(state, cells, "state").map((part, index) => {
          const [out, nextPart] = steps[index](part, output);
          output = out;
          return nextPart;
        });
        return [output, next];
      };
    },
    ...(cells.some(({ penalty }) => penalty) && {
      penalty: (params) =>
        sumOf(partsOf(params, cells, "params").map((part, index) => cells[index].penalty?.(part))),
    }),
    ...(cells.some(({ constrain }) => constrain) && {
      constrain: (params) =>
        partsOf(params, cells, "params").map((part, index) => cells[index].constrain?.(part) ?? part),
    }),
  }, { main: "step" });
}

/** One tree per cell. */
function partsOf(
  tree: Tree<Tensor>,
  cells: readonly RecurrentCell[],
  what: string,
): readonly Tree<Tensor>[] {
  if (isLeaf(tree) || !Array.isArray(tree) || tree.length !== cells.length) {
    const expected = `an array with one tree for each of its ${cells.length} cells`;
    throw wrongKind("use stackedCells", tree, `its ${what}`, expected);
  }
  return tree;
}

/** The specs of a cell's output at one step. */
function outputOf(cell: RecurrentCell, params: Tree<Tensor>, input: Tree<Spec>): Tree<Spec> {
  const step = (params: Tree<Tensor>, x: Tree<Tensor>): Tree<Tensor> =>
    cell.step(params, { training: false, input })(cell.initState(params, input), x)[0];
  return outputSpecs<Tree<Spec>>(step, params, input);
}
