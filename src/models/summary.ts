/** A model as a table, and its parameter counts. Only shapes are needed: no weight is drawn. */
import { checkLayer, checkVariables } from "../layers/checks.ts";
import { trainedLeaves } from "../layers/define.ts";
import type { Layer, Variables } from "../layers/layer.ts";
import { isCarryState } from "../layers/stateful.ts";
import { sizeOfShape } from "../tensor/dims.ts";
import { isLeaf, type Spec, type Tensor } from "../tensor/tensor.ts";
import { type Tree, treeLeaves } from "../tree/tree.ts";
import { callSpecs, paramSpecs, stateSpecs } from "./call_specs.ts";
import { type Container, isContainer, type Link, specSteps } from "./container.ts";
import { inputSpecs } from "./init.ts";

/** How many numbers a layer's variables hold. */
export interface ParameterCount {
  /** All of them. */
  readonly total: number;
  /** Changed by training. */
  readonly trainable: number;
  /** Frozen parameters, and batch-norm statistics. The carry of a stateful layer is not counted. */
  readonly nonTrainable: number;
}

function sizeOf(tree: Tree<Spec>): number {
  // Only a stateful carry could have an open size, and `withoutCarry` removed it.
  return treeLeaves<Spec>(tree).reduce((total, leaf) => total + Number(sizeOfShape(leaf.shape)), 0);
}

/** The state without the carries of stateful layers. */
function withoutCarry(state: Tree<Tensor>): Tree<Tensor> {
  if (isLeaf(state)) return state;
  if (isCarryState(state)) return [];
  return Object.values(state).map(withoutCarry);
}

/**
 * Counts the numbers in `variables`, as Keras does: params, and the statistics in the state.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { countParams, dense, init, key, spec } from "@cellfold/cellfold";
 * const layer = dense({ units: 10 });
 * assertEquals(countParams(layer, init(layer, key(0), spec([null, 128]))).total, 1290);
 * ```
 */
export function countParams(layer: Layer, variables: Variables): ParameterCount {
  checkLayer("count the parameters", layer);
  checkVariables("count the parameters", variables);
  const { params, state } = variables;
  const trained = trainedLeaves(layer, params);
  const trainable = sizeOf(treeLeaves<Tensor>(params).filter((_, index) => trained[index]));
  const total = sizeOf(params) + sizeOf(withoutCarry(state));
  return { total, trainable, nonTrainable: total - trainable };
}

/** A shape as a summary prints it: `(batch, 28, 64)`; a tree of shapes in its brackets. */
function printShapes(tree: Tree<Spec>): string {
  if (isLeaf(tree)) return `(${tree.shape.join(", ")}${tree.shape.length === 1 ? "," : ""})`;
  if (Array.isArray(tree)) return `[${tree.map(printShapes).join(", ")}]`;
  return `{ ${Object.entries(tree).map(([key, item]) => `${key}: ${printShapes(item)}`).join(", ")} }`;
}

interface Row {
  readonly name: string;
  readonly shape: string;
  readonly params: string;
  readonly from: string;
}

const number = (value: number) => value.toLocaleString("en-US");

/**
 * A model as a table: one row per layer with its output shape (open sizes by name), the number of its
 * parameters and, for a graph, its connections; then the totals. The counts match Keras's.
 *
 * @param layer A layer or model; a nested model is one row of the table.
 * @param input A tree of specs, or of data, whose first axis becomes the open batch.
 * @throws TypeError if a layer cannot take its input, naming the layer and both shapes.
 *
 * @example
 * ```ts
 * import { assert } from "@std/assert";
 * import { dense, sequential, spec, summary } from "@cellfold/cellfold";
 * const text = summary(sequential([dense({ units: 10 })]), spec([null, 64]));
 * assert(text.includes("(batch, 10)"));
 * assert(text.includes("Total params: 650"));
 * ```
 */
export function summary(layer: Layer, input: Tree<Spec | Tensor>): string {
  checkLayer("summarize", layer);
  const specs = inputSpecs(input);
  const params = paramSpecs(layer, specs);
  const state = stateSpecs(layer, params, specs);
  const rows = isContainer(layer) ? rowsOf(layer, params, state, specs) : [
    rowOf(layer, layer.name ?? layer.type, callSpecs(layer, params, asTensors(specs)).output, {
      params,
      state,
    }),
  ];
  const { total, trainable, nonTrainable } = countParams(layer, { params, state });
  return [
    ...(isContainer(layer) ? [`Model: ${layer.name ?? layer.type}`] : []),
    ...table(rows),
    `Total params: ${number(total)}`,
    `Trainable params: ${number(trainable)}`,
    `Non-trainable params: ${number(nonTrainable)}`,
  ].join("\n");
}

/** Specs stand for tensors where only shapes are needed. */
function asTensors(specs: Tree<Spec>): Tree<Tensor> {
  return specs as Tree<Tensor>;
}

function rowOf(layer: Layer, name: string, output: Tree<Spec>, variables: Variables): Row {
  const { total } = countParams(layer, variables);
  return { name: `${name} (${layer.type})`, shape: printShapes(output), params: number(total), from: "" };
}

/** One row per input and step of a container, in the order of the walk. */
function rowsOf(container: Container, params: Tree<Tensor>, state: Tree<Tensor>, input: Tree<Spec>): Row[] {
  const ofLayer = { params: params as readonly Tree<Tensor>[], state: state as readonly Tree<Tensor>[] }; // a container's
  const rows: Row[] = [];
  const seen = new Set<number>();
  const labels = new Map<object, { readonly name: string; readonly outputs: number }>();
  const note = (row: Row, name: string, output: Tree<Spec>, link?: Link): void => {
    const from = link?.from.map(({ source, index }) => {
      const { name = "", outputs = 1 } = labels.get(source) ?? {};
      return outputs > 1 ? `${name}[${index}]` : name;
    }) ?? [];
    rows.push({ ...row, from: from.join(", ") });
    if (link) labels.set(link.source, { name, outputs: treeLeaves(output).length });
  };
  const steps = specSteps(container, (index) => ofLayer.params[index]);
  container.walk(asTensors(input), undefined, {
    input: (name, value, link) =>
      note({ name: `${name} (input)`, shape: printShapes(value), params: "0", from: "" }, name, value, link),
    call: (index, value, extras, link) => {
      const result = steps.call(index, value, extras, link);
      const name = container.layerNames[index];
      const variables = { params: ofLayer.params[index], state: ofLayer.state[index] };
      const row = rowOf(container.layers[index], name, result.output, variables);
      note(seen.has(index) ? { ...row, params: "shared" } : row, name, result.output, link);
      seen.add(index);
      return result;
    },
    compute: (step, args, masks, link) => {
      const result = steps.compute(step, args, masks, link);
      const name = step.fn.name || "function";
      note(
        { name: `${name} (function)`, shape: printShapes(result.output), params: "0", from: "" },
        name,
        result.output,
        link,
      );
      return result;
    },
  });
  return rows;
}

/** Rows under a header, in columns as wide as their widest cell. */
function table(rows: readonly Row[]): string[] {
  const header: Row = { name: "Layer (type)", shape: "Output shape", params: "Params", from: "Connected to" };
  const columns: (keyof Row)[] = ["name", "shape", "params"];
  if (rows.some(({ from }) => from !== "")) columns.push("from");
  const widths = columns.map((column) => Math.max(...[header, ...rows].map((row) => row[column].length)));
  const line = (row: Row) =>
    columns.map((column, index) =>
      column === "params" ? row[column].padStart(widths[index]) : row[column].padEnd(widths[index])
    ).join("  ").trimEnd();
  const rule = widths.map((width) => "─".repeat(width)).join("──");
  return [line(header), rule, ...rows.map(line), rule];
}
