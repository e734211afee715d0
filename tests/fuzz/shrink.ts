/**
 * Makes a case that shows a fault smaller, while it shows the same fault: fewer samples and steps, fewer layers and
 * outputs, fewer options. Any change may be tried; one that makes no model, or another fault, is not kept.
 */
import { realize } from "./data.ts";
import type {
  Case,
  CellDescription,
  GraphStep,
  HeadDescription,
  LayerDescription,
  Options,
} from "./description.ts";
import { mapRefs, readBy } from "./graph_refs.ts";
import type { Device } from "./properties/context.ts";
import { effectOfPadding } from "./properties/padding.ts";
import { runCase, type Verdict } from "./run.ts";

/** Options without which there is no layer. */
const required = [
  "units",
  "filters",
  "kernelSize",
  "inputDim",
  "outputDim",
  "targetShape",
  "activation of activation",
  "rate",
  "method",
  "fromLogits", // without it, what is no probability would be taken for one
  "unitForgetBias", // without it, inputForget is refused
];

function* smallerOptions(type: string, options: Options): Generator<Options> {
  for (const [name, value] of Object.entries(options)) {
    if (!required.includes(name) && !required.includes(`${name} of ${type}`)) {
      const { [name]: _, ...rest } = options;
      yield rest;
    }
    if ((name === "units" || name === "filters" || name === "outputDim") && Number(value) > 1) {
      yield { ...options, [name]: 1 };
    }
  }
}

function* smallerCells(cell: CellDescription): Generator<CellDescription> {
  const { cells = [] } = cell;
  if (cells.length === 1 && cells[0].type !== "stackedCells") yield cells[0];
  for (let i = 0; cells.length > 1 && i < cells.length; i++) {
    yield { ...cell, cells: cells.filter((_, index) => index !== i) };
  }
  for (let i = 0; i < cells.length; i++) {
    for (const smaller of smallerCells(cells[i])) {
      yield { ...cell, cells: cells.map((one, index) => index === i ? smaller : one) };
    }
  }
  for (const options of smallerOptions(cell.type, cell.options)) yield { ...cell, options };
}

function* smallerLayers(layer: LayerDescription): Generator<LayerDescription> {
  const { type, options, inner, backward, cell, layers = [], spread, graph } = layer;
  if (inner) yield inner;
  if (type === "sequential") {
    if (layers.length === 1) yield layers[0];
    for (let i = 0; layers.length > 1 && i < layers.length; i++) {
      yield { ...layer, layers: layers.filter((_, index) => index !== i) };
    }
    const nested = layers.findIndex((one) => one.type === "sequential");
    if (nested >= 0) {
      yield { ...layer, layers: layers.flatMap((one, i) => i === nested ? one.layers ?? [] : [one]) };
    }
  }
  if (graph) yield* smallerGraphs(layer);
  for (let i = 0; i < layers.length; i++) {
    for (const smaller of smallerLayers(layers[i])) {
      yield { ...layer, layers: layers.map((one, index) => index === i ? smaller : one) };
    }
  }
  if (inner) { for (const smaller of smallerLayers(inner)) yield { ...layer, inner: smaller }; }
  if (backward) {
    const { backward: _, ...rest } = layer;
    yield rest;
    for (const smaller of smallerLayers(backward)) yield { ...layer, backward: smaller };
  }
  if (cell) {
    if (!cell.cells && /^(simpleRnn|gru|lstm|layerNormLstm)Cell$/.test(cell.type)) {
      const { cell: _, ...rest } = layer;
      yield { ...rest, type: cell.type.replace("Cell", ""), options: { ...cell.options, ...options } };
    }
    for (const smaller of smallerCells(cell)) yield { ...layer, cell: smaller };
  }
  if (spread) {
    const { spread: _, ...rest } = layer;
    yield rest;
  }
  for (const less of smallerOptions(type, options)) yield { ...layer, options: less };
}

/** Steps left out: who read one reads what it read. */
function* smallerGraphs(layer: LayerDescription): Generator<LayerDescription> {
  const { graph, layers = [] } = layer;
  if (!graph) return;
  for (let index = graph.steps.length - 1; index >= 0; index--) {
    const step = graph.steps[index];
    if (step.op === "call" && (step.mask !== undefined || step.initialState !== undefined)) {
      const { mask: _, initialState: __, ...plain } = step;
      yield pruned(layer, graph.steps.map((one, i) => i === index ? plain : one), graph);
    }
    for (const instead of readBy(step)) {
      const passed = (ref: string) => ref.startsWith(`${index}.`) ? instead : ref;
      yield pruned(layer, graph.steps.map((one) => withRefs(one, passed)), {
        inputs: graph.inputs,
        outputs: mapRefs(graph.outputs, passed),
      });
    }
  }
  // A graph of one path is layers one after another.
  const calls = graph.steps.filter((step) => step.op === "call");
  const isPath = graph.steps.every((step, index) =>
    step.op === "input"
      ? index === 0
      : step.op === "call" && step.inputs === `${index - 1}.0` && readBy(step).length === 1
  );
  if (isPath && typeof graph.inputs === "string" && typeof graph.outputs === "string") {
    yield { type: "sequential", options: layer.options, layers: calls.map(({ layer }) => layers[layer]) };
  }
}

function withRefs(step: GraphStep, fn: (ref: string) => string): GraphStep {
  if (step.op === "input") return step;
  if (step.op === "apply") return { ...step, inputs: step.inputs.map(fn) };
  return {
    ...step,
    inputs: mapRefs(step.inputs, fn),
    ...(step.initialState === undefined ? {} : { initialState: mapRefs(step.initialState, fn) }),
    ...(step.mask === undefined ? {} : { mask: fn(step.mask) }),
  };
}

/** The graph without steps that nothing reads; inputs that nothing reads stay, and the case drops them. */
function pruned(
  layer: LayerDescription,
  steps: readonly GraphStep[],
  ends: Pick<NonNullable<LayerDescription["graph"]>, "inputs" | "outputs">,
): LayerDescription {
  const stepOf = (ref: string) => Number(ref.split(".")[0]);
  const needed = new Set<number>();
  const pending: number[] = [];
  mapRefs(ends.outputs, (ref) => (pending.push(stepOf(ref)), ref));
  mapRefs(ends.inputs, (ref) => (needed.add(stepOf(ref)), ref));
  for (let step = pending.pop(); step !== undefined; step = pending.pop()) {
    if (needed.has(step) && steps[step].op !== "input") continue;
    needed.add(step);
    pending.push(...readBy(steps[step]).map(stepOf));
  }
  const kept = [...needed].sort((a, b) => a - b);
  const renumbered = (ref: string) => `${kept.indexOf(stepOf(ref))}.${ref.split(".")[1]}`;
  const used: number[] = [];
  const left = kept.map((index): GraphStep => {
    const step = withRefs(steps[index], renumbered);
    if (step.op !== "call") return step;
    if (!used.includes(step.layer)) used.push(step.layer);
    return { ...step, layer: used.indexOf(step.layer) };
  });
  return {
    ...layer,
    layers: used.map((index) => layer.layers![index]), // a model has them
    graph: {
      inputs: mapRefs(ends.inputs, renumbered),
      outputs: mapRefs(ends.outputs, renumbered),
      steps: left,
    },
  };
}

function* smallerHeads(head: HeadDescription): Generator<HeadDescription> {
  const { loss } = head;
  if (head.metrics.length > 0) yield { ...head, metrics: [] };
  if (head.weightedMetrics.length > 0) yield { ...head, weightedMetrics: [] };
  if (head.weight !== 1) yield { ...head, weight: 1 };
  if (head.wildTargets) yield { ...head, wildTargets: false };
  if (head.sampleWeight !== "none") yield { ...head, sampleWeight: "none" };
  if (loss.type !== "meanSquaredError") yield { ...head, loss: { type: "meanSquaredError", options: {} } };
  for (const options of smallerOptions(loss.type, loss.options)) {
    yield { ...head, loss: { ...loss, options } };
  }
}

function* smallerCases(one: Case): Generator<Case> {
  const step = one.statefulBatch ?? 1;
  if (one.samples > step) yield { ...one, samples: step };
  if (one.samples > 2 * step) yield { ...one, samples: one.samples - step };
  yield* singleOutputs(one);
  yield* withoutInput(one);
  for (const model of smallerLayers(one.model)) yield { ...one, model };
  const timed = one.inputs.filter(({ time }) => time > 0);
  if (timed.some(({ shape }) => shape[0] > 1) && !one.fixedTime) {
    yield {
      ...one,
      inputs: one.inputs.map((input) =>
        input.time === 0 ? input : { ...input, shape: [input.shape[0] - 1, ...input.shape.slice(1)] }
      ),
    };
  }
  for (let i = 0; i < one.inputs.length; i++) {
    const { scale: _, ...plain } = one.inputs[i];
    const inputs = (input: Case["inputs"][number]) =>
      one.inputs.map((other, index) => index === i ? input : other);
    if (one.inputs[i].scale) yield { ...one, inputs: inputs(plain) };
    if (plain.padding.kind === "wild") {
      yield { ...one, inputs: inputs({ ...plain, padding: { kind: "tame" } }) };
    }
  }
  if (one.holes !== "none") yield { ...one, holes: "none" };
  if (one.holes === "anywhere") yield { ...one, holes: "end" };
  for (let i = 0; i < one.heads.length; i++) {
    for (const head of smallerHeads(one.heads[i])) {
      yield { ...one, heads: one.heads.map((other, index) => index === i ? head : other) };
    }
  }
}

/** One of several outputs. */
function* singleOutputs(one: Case): Generator<Case> {
  const { model, outputTree } = one;
  if (!model.graph || typeof outputTree === "number") return;
  const refs: string[] = [];
  const visit = (tree: Case["outputTree"], at: NonNullable<LayerDescription["graph"]>["outputs"]): void => {
    if (typeof tree === "number") return void (refs[tree] = at as string); // both have one structure
    for (const [name, part] of Object.entries(tree)) {
      visit(part as Case["outputTree"], (at as { readonly [name: string]: typeof at })[name]); // both have one structure
    }
  };
  visit(outputTree, model.graph.outputs);
  for (let place = 0; place < refs.length; place++) {
    yield {
      ...one,
      model: pruned(model, model.graph.steps, { inputs: model.graph.inputs, outputs: refs[place] }),
      heads: [one.heads[place]],
      timed: [one.timed[place]],
      outputTree: 0,
    };
  }
}

/** The case without an input that nothing reads, and a tree of one input as that input. */
function* withoutInput(one: Case): Generator<Case> {
  const { model, inputs } = one;
  const { graph } = model;
  if (!graph || typeof one.inputTree === "number") return;
  const read = new Set(graph.steps.flatMap(readBy).map((ref) => Number(ref.split(".")[0])));
  const steps = graph.steps.flatMap((step, index) => step.op === "input" ? [index] : []);
  const kept = steps.filter((step) => read.has(step));
  if (kept.length !== 1) return;
  yield {
    ...one,
    inputs: [inputs[steps.indexOf(kept[0])]],
    inputTree: 0,
    model: pruned(model, graph.steps, { inputs: `${kept[0]}.0`, outputs: graph.outputs }),
  };
}

/** A message without its numbers: what must stay while a case shrinks. */
function kindOf(message: string): string {
  return message.split("\n")[0].replace(/[-\d.e]+|NaN|Infinity/g, "#").slice(0, 80);
}

/** As many cases are tried at most. */
const TRIES = 400;

/** The smallest case found, as its fault. */
export async function shrunk(
  one: Case,
  property: string,
  fault: NonNullable<Verdict["fault"]>,
  device: Device,
): Promise<{ readonly message: string; readonly program?: string }> {
  let smallest: Case = { ...one, properties: [property] };
  let shown = fault;
  let tries = 0;
  for (let found = true; found && tries < TRIES;) {
    found = false;
    for (const candidate of smallerCases(smallest)) {
      if (++tries >= TRIES) break;
      const settled = property === "making" ? candidate : settledCase(candidate);
      if (!settled) continue;
      const [verdict] = await runCase(settled, device);
      if (
        !verdict?.fault || verdict.property !== property ||
        kindOf(verdict.fault.message) !== kindOf(fault.message)
      ) {
        continue;
      }
      smallest = settled;
      shown = verdict.fault;
      found = true;
      break;
    }
  }
  return shown;
}

/** The case with what follows from its model; undefined where there is no such model. */
function settledCase(one: Case): Case | undefined {
  try {
    const realized = realize(one);
    if (one.fixedTime) return one;
    const { none, longer } = effectOfPadding(realized);
    return { ...one, paddable: none, timed: longer };
  } catch {
    return undefined;
  }
}
