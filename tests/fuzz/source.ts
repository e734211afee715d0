/**
 * A description as the text of a program. The models that the fuzzer runs are made by running this text, so that a
 * printed program builds what was run.
 */
import * as cf from "@cellfold/cellfold";
import type {
  Case,
  CellDescription,
  GraphStep,
  LayerDescription,
  Options,
  Places,
  RefTree,
} from "./description.ts";
import { graphFunctions } from "./graph_functions.ts";
import { ownCells } from "./own_cells.ts";

/** A value as it is written in a program. */
export function literal(value: unknown): string {
  if (typeof value === "number") return Object.is(value, -0) ? "-0" : String(value);
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value).filter(([, part]) => part !== undefined);
    return entries.length === 0
      ? "{}"
      : `{ ${entries.map(([k, v]) => `${key(k)}: ${literal(v)}`).join(", ")} }`;
  }
  return JSON.stringify(value);
}

const key = (name: string) => /^[A-Za-z_]\w*$/.test(name) ? name : JSON.stringify(name);

function withOptions(name: string, args: readonly string[], options: Options): string {
  const given = Object.keys(options).length === 0 ? [] : [literal(options)];
  return `cf.${name}(${[...args, ...given].join(", ")})`;
}

function cellText({ type, options, cells }: CellDescription): string {
  if (cells) return `cf.stackedCells([${cells.map(cellText).join(", ")}])`;
  return Object.hasOwn(ownCells, type) ? `${type}(${literal(options)})` : withOptions(type, [], options);
}

/** Writes programs: layers of graphs become constants, so that a shared layer is one object. */
class Writer {
  readonly lines: string[] = [];
  #names = 0;

  name(prefix: string): string {
    return `${prefix}${this.#names++}`;
  }

  layer(description: LayerDescription): string {
    const text = this.#made(description);
    return description.spread ? `{ ...${text}, ${literal(description.spread).slice(2, -2)} }` : text;
  }

  #made({ type, options, inner, backward, cell, layers = [], graph }: LayerDescription): string {
    switch (type) {
      case "activation": {
        const { activation, ...rest } = options;
        return withOptions(type, [literal(activation)], rest);
      }
      case "timeDistributed":
        return withOptions(type, [this.layer(inner!)], options);
      case "bidirectional": {
        if (!backward) return withOptions(type, [this.layer(inner!)], options);
        const rest = Object.keys(options).length === 0 ? "" : `${literal(options).slice(2, -2)}, `;
        return `cf.bidirectional(${this.layer(inner!)}, { ${rest}backwardLayer: ${this.layer(backward)} })`;
      }
      case "rnn":
        return withOptions(type, [cellText(cell!)], options);
      case "sequential":
        return withOptions(type, [`[${layers.map((layer) => this.layer(layer)).join(", ")}]`], options);
      case "model":
        return this.#graph(layers, graph!, options);
    }
    return withOptions(type, [], options);
  }

  #graph(
    layers: readonly LayerDescription[],
    graph: NonNullable<LayerDescription["graph"]>,
    options: Options,
  ): string {
    const names = layers.map((layer) => {
      const text = this.layer(layer);
      const name = this.name("layer");
      this.lines.push(`const ${name} = ${text};`);
      return name;
    });
    const nodes: string[] = [];
    const ref = (text: string) => {
      const [step, leaf] = text.split(".").map(Number);
      const made = graph.steps[step];
      const single = made.op !== "call" || isSingle(layers[made.layer]);
      return single ? nodes[step] : `leaf(${nodes[step]}, ${leaf})`;
    };
    const tree = (refs: RefTree): string => {
      if (typeof refs === "string") return ref(refs);
      if (Array.isArray(refs)) return `[${refs.map(tree).join(", ")}]`;
      return `{ ${Object.entries(refs).map(([name, part]) => `${key(name)}: ${tree(part)}`).join(", ")} }`;
    };
    graph.steps.forEach((step) => {
      const name = this.name("node");
      this.lines.push(`const ${name} = ${stepText(step, names, ref, tree)};`);
      nodes.push(name);
    });
    const rest = Object.keys(options).length === 0 ? "" : `, ${literal(options).slice(2, -2)}`;
    return `cf.model({ inputs: ${tree(graph.inputs)}, outputs: ${tree(graph.outputs)}${rest} })`;
  }
}

function stepText(
  step: GraphStep,
  layers: readonly string[],
  ref: (text: string) => string,
  tree: (refs: RefTree) => string,
): string {
  switch (step.op) {
    case "input":
      return step.batch === null
        ? `cf.input(${literal(step.shape)}, ${literal({ dtype: step.dtype })})`
        : `cf.input(cf.spec(${literal([step.batch, ...step.shape])}, ${literal(step.dtype)}))`;
    case "apply":
      return `cf.apply(${[functionText(step.fn), ...step.inputs.map(ref)].join(", ")})`;
    case "call": {
      const { initialState, mask } = step;
      const options = [
        ...(initialState === undefined ? [] : [`initialState: ${tree(initialState)}`]),
        ...(mask === undefined ? [] : [`mask: ${ref(mask)}`]),
      ];
      const last = options.length === 0 ? "" : `, { ${options.join(", ")} }`;
      return `cf.call(${layers[step.layer]}, ${tree(step.inputs)}${last})`;
    }
  }
}

/** An operation of the library, or a function that the program has. */
function functionText(name: string): string {
  return Object.hasOwn(cf, name) ? `cf.${name}` : name;
}

/** Whether a layer surely puts out one tensor. */
function isSingle({ type, options, inner, graph, cell, layers }: LayerDescription): boolean {
  if (options.returnState || options.mergeMode === null || cell?.type === "crossing") return false;
  if (inner && !isSingle(inner)) return false;
  if (type === "sequential") return isSingle(layers![layers!.length - 1]);
  return graph === undefined || typeof graph.outputs === "string";
}

/** What a layer's text needs beside `cf`. */
function neededBy(text: string): string[] {
  const uses = (name: string) => new RegExp(`(?<![\\w.])${name}(?!\\w)`).test(text);
  return [
    ...(uses("leaf") ? ["const leaf = (tree, index) => cf.treeLeaves(tree)[index];"] : []),
    ...Object.entries(ownCells).filter(([name]) => uses(name)).map(([, { make }]) => make.toString()),
    ...Object.entries(graphFunctions).filter(([name]) => !Object.hasOwn(cf, name) && uses(name)).map((
      [, { library }],
    ) => library.toString()),
  ];
}

/** The lines that make a constant `model` of a description. */
export function modelText(description: LayerDescription): string {
  const writer = new Writer();
  const text = writer.layer(description);
  const body = [...writer.lines, `const model = ${text};`].join("\n");
  return [...neededBy(body), body].join("\n");
}

/** A tree of the leaves' texts. */
export function treeText(places: Places, leaf: (place: number) => string): string {
  if (typeof places === "number") return leaf(places);
  if (Array.isArray(places)) return `[${places.map((part) => treeText(part, leaf)).join(", ")}]`;
  return `{ ${
    Object.entries(places).map(([name, part]) => `${key(name)}: ${treeText(part, leaf)}`).join(", ")
  } }`;
}

/** Loss and metric options as a program has them. */
export function objectiveText({ heads, outputTree }: Case): string {
  const made = ({ type, options }: { readonly type: string; readonly options: Options }) =>
    withOptions(type, [], options);
  const list = (metrics: Case["heads"][number]["metrics"]) =>
    `[${metrics.map((metric) => typeof metric === "string" ? literal(metric) : made(metric)).join(", ")}]`;
  return [
    `loss: ${treeText(outputTree, (place) => made(heads[place].loss))}`,
    `lossWeights: ${treeText(outputTree, (place) => literal(heads[place].weight))}`,
    `metrics: ${treeText(outputTree, (place) => list(heads[place].metrics))}`,
    `weightedMetrics: ${treeText(outputTree, (place) => list(heads[place].weightedMetrics))}`,
  ].join(",\n  ");
}
