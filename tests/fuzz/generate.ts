/** Random cases: a model, what it is given, what is asked of it, and which properties are checked. */
import type {
  Case,
  GraphStep,
  InputDescription,
  LayerDescription,
  Padding,
  Places,
  Ref,
  RefTree,
} from "./description.ts";
import { drawCell, outputSize } from "./generate_cells.ts";
import { drawHead } from "./generate_heads.ts";
import { growOne, growSequential, type Scope } from "./generate_layers.ts";
import { folded, type Kind } from "./kinds.ts";
import { drawProperties } from "./properties/mod.ts";
import { type Random, randomFrom } from "./random.ts";

/** A value of a growing graph. */
interface Node {
  readonly ref: Ref;
  readonly kind: Kind;
  /** The mask that a call on it must be given: without it, what does not count would count. */
  readonly needs?: Ref;
}

const features = (random: Random) => random.whole(1, 3);

/** The forms that inputs have. */
function drawShape(
  random: Random,
  time: number,
  kind: "vector" | "sequence" | "images" | "documents",
): Pick<Kind, "shape" | "time"> {
  switch (kind) {
    case "vector":
      return { shape: [features(random)], time: 0 };
    case "sequence":
      return { shape: [time, features(random)], time: 1 };
    case "images": {
      const space = Array.from({ length: random.pick([1, 1, 2, 2, 3]) }, () => random.whole(1, 3));
      return { shape: [time, ...space, random.whole(1, 2)], time: 1 };
    }
    case "documents":
      return { shape: [time, random.whole(1, 3), features(random)], time: 2 };
  }
}

function kindOf(input: InputDescription): Kind {
  const { dtype, shape, time } = input;
  return { dtype, shape, time, mask: 0, wild: false, clean: true };
}

function drawInput(scope: Scope, time: number, group: number, inGraph: boolean): InputDescription {
  const { random } = scope;
  const scale = random.chance(0.05) ? 64 : undefined;
  if (random.chance(0.3)) {
    const shape = random.chance(0.6) ? [time] : [time, random.whole(1, 3)];
    const padding: Padding = random.chance(0.8) ? { kind: "token" } : { kind: "none" };
    return {
      name: `tokens${group}`,
      dtype: "int32",
      shape,
      time: shape.length as 1 | 2,
      padding,
      counted: padding.kind === "none" ? 0 : shape.length as 1 | 2,
      group,
      vocabulary: 5,
    };
  }
  const form = drawShape(
    random,
    time,
    random.pick(["sequence", "sequence", "sequence", "sequence", "images", "documents", "vector"]),
  );
  const plain = form.shape.length === form.time + 1 && form.time > 0;
  const padding: Padding = plain && random.chance(0.35)
    ? { kind: "value", value: random.pick([0, 0, -1]) }
    : inGraph && form.time > 0 && random.chance(0.6)
    ? random.chance(0.7) ? { kind: "wild" } : { kind: "tame" }
    : { kind: "none" };
  const counted = padding.kind === "none"
    ? 0
    : padding.kind === "value" || form.time < 2 || random.chance(0.5)
    ? form.time
    : 1;
  return { name: `x${group}`, dtype: "float32", ...form, padding, counted, group, scale };
}

/** A model of layers one after another, or some of them in a model of their own. */
function drawSequential(scope: Scope, time: number): Drawn {
  const { random } = scope;
  const input = drawInput(scope, time, 0, false);
  const { padding } = input;
  const first: LayerDescription[] = padding.kind === "value"
    ? [{ type: "masking", options: padding.value === 0 ? {} : { maskValue: padding.value } }]
    : [];
  const kind: Kind = first.length > 0 ? { ...kindOf(input), mask: input.time } : kindOf(input);
  const grown = growSequential(scope, kind, 2, random.whole(1, 4));
  const current = grown?.kind ?? kind;
  const head = headLayer(scope, current);
  const drawn = [...first, ...grown?.layer.layers ?? [], ...(head ? [head.layer] : [])];
  // Now and then nothing that was drawn fits; a model has a layer.
  const layers = drawn.length > 0 ? drawn : [{ type: "activation", options: { activation: "linear" } }];
  return {
    model: {
      type: "sequential",
      options: random.chance(0.03) ? { trainable: false } : {},
      layers,
    },
    inputs: [input],
    inputTree: 0,
    outputs: [head?.kind ?? current],
    outputTree: 0,
  };
}

/** The last layer: mostly dense, for losses that want probabilities or logits. */
function headLayer(scope: Scope, kind: Kind) {
  const { random } = scope;
  if (kind.dtype === "int32") return growOne(scope, kind, 1);
  if (kind.shape.length <= kind.time || random.chance(0.3)) return;
  const units = random.whole(1, 4);
  const activation = random.pick([undefined, undefined, "softmax", "softmax", "sigmoid", "tanh"]);
  const range: Kind["range"] = activation === "softmax" || activation === "sigmoid" ? activation : undefined;
  const layer: LayerDescription = {
    type: "dense",
    options: {
      units,
      ...(activation ? { activation } : {}),
      ...(random.chance(0.1) ? { trainable: false } : {}),
    },
  };
  const after: Kind = { ...kind, shape: [...kind.shape.slice(0, -1), units], range };
  return kind.time > 0 && random.chance(0.3)
    ? { layer: { type: "timeDistributed", options: {}, inner: layer } as LayerDescription, kind: after }
    : { layer, kind: after };
}

interface Drawn {
  readonly model: LayerDescription;
  readonly inputs: readonly InputDescription[];
  readonly inputTree: Places;
  readonly outputs: readonly Kind[];
  readonly outputTree: Places;
}

const sameShape = (a: Kind, b: Kind) =>
  a.shape.join() === b.shape.join() && a.time === b.time && a.made === b.made && a.dtype === b.dtype;

/** What two nodes are together. */
function together(a: Kind, b: Kind): Pick<Kind, "mask" | "wild" | "clean"> {
  return {
    mask: Math.max(a.mask, b.mask) as Kind["mask"],
    wild: a.wild || b.wild,
    clean: a.clean && b.clean,
  };
}

/** A graph as it grows. */
class Graph {
  readonly steps: GraphStep[] = [];
  readonly layers: LayerDescription[] = [];
  readonly nodes: Node[] = [];
  readonly inputs: InputDescription[] = [];
  /** What layers were called on, for calling them again. */
  readonly called: { readonly layer: number; readonly given: Kind; readonly result: Kind }[] = [];

  constructor(readonly scope: Scope, readonly time: number) {}

  add(step: GraphStep): string {
    this.steps.push(step);
    return `${this.steps.length - 1}`;
  }

  layer(layer: LayerDescription): number {
    this.layers.push(layer);
    return this.layers.length - 1;
  }

  input(description: InputDescription): Ref {
    this.inputs.push(description);
    const { time, shape, dtype } = description;
    const open = shape.map((size, axis) => axis >= time ? size : axis === 0 ? null : "inner");
    return `${this.add({ op: "input", batch: this.scope.batch, shape: open, dtype })}.0`;
  }

  /** An input, with its mask or masking layer where it needs one. */
  source(group: number): void {
    const description = drawInput(this.scope, this.time, group, true);
    const ref = this.input(description);
    const kind = kindOf(description);
    const { padding } = description;
    switch (padding.kind) {
      case "value":
        return this.call(
          { type: "masking", options: padding.value === 0 ? {} : { maskValue: padding.value } },
          { ref, kind },
          { ...kind, mask: kind.time },
        );
      case "wild":
      case "tame": {
        const rank = description.counted;
        const mask = this.input({
          name: `mask${group}`,
          dtype: "bool",
          shape: kind.shape.slice(0, rank),
          time: rank,
          padding: { kind: "mask" },
          counted: rank,
          group,
        });
        const masked: Kind = { ...kind, mask: rank, wild: padding.kind === "wild" };
        return this.grow({ ref, kind: masked, needs: mask });
      }
    }
    this.nodes.push({ ref, kind });
    if (kind.dtype === "int32") this.grow({ ref, kind });
  }

  call(layer: LayerDescription, { ref, kind, needs }: Node, result: Kind): void {
    const index = this.layer(layer);
    this.called.push({ layer: index, given: kind, result });
    const step = this.add({ op: "call", layer: index, inputs: ref, ...(needs ? { mask: needs } : {}) });
    this.nodes.push({ ref: `${step}.0`, kind: result });
  }

  /** A random layer on a node. */
  grow(node: Node): void {
    const grown = growOne(this.scope, node.kind, 2);
    if (grown) this.call(grown.layer, node, grown.kind);
  }

  float(random: Random): Node | undefined {
    const floats = this.nodes.filter(({ kind }) => kind.dtype === "float32");
    return floats.length === 0 ? undefined : random.pick(floats);
  }

  /** A function of one or two nodes. */
  apply(): void {
    const { random } = this.scope;
    const a = this.float(random);
    if (!a) return;
    const others = this.nodes.filter(({ kind }) => sameShape(kind, a.kind));
    if (random.chance(0.3)) {
      const fn = random.pick(["scaled", "tanh"]);
      const step = this.add({ op: "apply", fn, inputs: [a.ref] });
      this.nodes.push({ ref: `${step}.0`, kind: { ...a.kind, range: undefined } });
      return;
    }
    const b = random.pick(others);
    const kind: Kind = { ...a.kind, ...together(a.kind, b.kind), range: undefined };
    if (random.chance(0.3) && a.kind.shape.length > a.kind.time) {
      const step = this.add({ op: "apply", fn: "beside", inputs: [a.ref, b.ref] });
      const shape = [...kind.shape.slice(0, -1), 2 * kind.shape[kind.shape.length - 1]];
      this.nodes.push({ ref: `${step}.0`, kind: { ...kind, shape } });
      return;
    }
    const step = this.add({
      op: "apply",
      fn: random.pick(["add", "add", "mul", "sub", "maximum", "weighed"]),
      inputs: [a.ref, b.ref],
    });
    this.nodes.push({ ref: `${step}.0`, kind });
  }

  /** A layer that makes one of several nodes. */
  merge(): void {
    const { random } = this.scope;
    const a = this.float(random);
    if (!a || a.kind.shape.length <= a.kind.time) return;
    const others = this.nodes.filter(({ kind }) =>
      sameShape(kind, a.kind) && (kind.mask === a.kind.mask || kind.mask === 0 || a.kind.mask === 0)
    );
    const method = random.pick([
      "add",
      "subtract",
      "multiply",
      "average",
      "maximum",
      "minimum",
      "concatenate",
    ]);
    const count = method === "subtract" || random.chance(0.7) ? 2 : 3;
    const given = [a, ...Array.from({ length: count - 1 }, () => random.pick(others))];
    const kinds = given.map(({ kind }) => kind);
    const all = kinds.map((kind): Pick<Kind, "mask" | "wild" | "clean"> => kind).reduce((a, b) => ({
      mask: Math.max(a.mask, b.mask) as Kind["mask"],
      wild: a.wild || b.wild,
      clean: a.clean && b.clean,
    }));
    const alongTime = method === "concatenate" && a.kind.time > 0 && random.chance(0.3);
    // Where a step counts that one of them masks, that one's numbers count too.
    const any = !all.wild && !alongTime && random.chance(0.3);
    const mask = any && kinds.some(({ mask }) => mask === 0) ? 0 : all.mask;
    const options = { method, ...(alongTime ? { axis: 1 } : {}), ...(any ? { counts: "any" } : {}) };
    const layer = this.layer({ type: "merge", options });
    const step = this.add({ op: "call", layer, inputs: given.map(({ ref }) => ref) });
    const { shape } = a.kind;
    const joined = alongTime
      ? [count * shape[0], ...shape.slice(1)]
      : method === "concatenate"
      ? [...shape.slice(0, -1), count * shape[shape.length - 1]]
      : shape;
    this.nodes.push({
      ref: `${step}.0`,
      kind: {
        ...a.kind,
        ...all,
        mask,
        shape: joined,
        range: undefined,
        clean: all.clean && (!alongTime || kinds.every(({ mask }) => mask > 0)) && (!any || mask > 0),
      },
    });
  }

  /** A layer that was called before, on another node of the same features. */
  again(): void {
    const { random } = this.scope;
    if (this.called.length === 0) return;
    const { layer, given, result } = random.pick(this.called);
    const fitting = this.nodes.filter(({ kind }) =>
      sameShape(kind, given) && kind.mask === given.mask && kind.wild === given.wild &&
      kind.clean === given.clean
    );
    if (fitting.length === 0) return;
    const step = this.add({ op: "call", layer, inputs: random.pick(fitting).ref });
    this.nodes.push({ ref: `${step}.0`, kind: result });
  }

  /** A recurrent layer that gives its state to another of the same cell. */
  handOver(): void {
    const { random, draws } = this.scope;
    const sequences = this.nodes.filter(({ kind }) =>
      kind.time === 1 && kind.shape.length === 2 && kind.dtype === "float32"
    );
    if (sequences.length === 0 || this.scope.batch !== null) return;
    const [first, second] = [random.pick(sequences), random.pick(sequences)];
    const cell = drawCell(random, draws);
    const size = outputSize(cell);
    const type = cell.type.replace("Cell", "");
    const returned = random.chance(0.5);
    const giver = this.layer({
      type,
      options: { ...cell.options, returnState: true, ...(returned ? { returnSequences: true } : {}) },
    });
    const from = this.add({ op: "call", layer: giver, inputs: first.ref });
    const single = cell.type === "gruCell" || cell.type === "simpleRnnCell";
    const state: RefTree = single ? `${from}.1` : [`${from}.1`, `${from}.2`];
    const given = folded(first.kind, [size], returned);
    this.nodes.push({ ref: `${from}.0`, kind: given });
    const sequencesOut = random.chance(0.6);
    const taker = this.layer({
      type,
      options: { ...cell.options, ...(sequencesOut ? { returnSequences: true } : {}) },
    });
    const to = this.add({ op: "call", layer: taker, inputs: second.ref, initialState: state });
    const result = folded(second.kind, [size], sequencesOut);
    const clean = result.clean && first.kind.clean && first.kind.mask > 0;
    this.nodes.push({ ref: `${to}.0`, kind: { ...result, clean } });
    if (single && random.chance(0.3)) {
      this.nodes.push({ ref: `${from}.1`, kind: folded(first.kind, [size], false) });
    }
  }

  /** Both directions, each with its output and its states. */
  bothWays(): void {
    const { random, draws } = this.scope;
    const sequences = this.nodes.filter(({ kind }) =>
      kind.time === 1 && kind.shape.length === 2 && kind.dtype === "float32"
    );
    if (sequences.length === 0 || this.scope.batch !== null) return;
    const node = random.pick(sequences);
    const cell = drawCell(random, draws, random.pick(["gruCell", "lstmCell", "simpleRnnCell"]));
    const size = outputSize(cell);
    const returned = random.chance(0.6);
    const apart = random.chance(0.5);
    const layer = this.layer({
      type: "bidirectional",
      options: apart ? { mergeMode: null } : {},
      inner: {
        type: cell.type.replace("Cell", ""),
        options: { ...cell.options, returnState: true, ...(returned ? { returnSequences: true } : {}) },
      },
    });
    const step = this.add({ op: "call", layer, inputs: node.ref });
    const kind = folded(node.kind, [apart ? size : 2 * size], returned);
    this.nodes.push({ ref: `${step}.0`, kind });
    if (apart) this.nodes.push({ ref: `${step}.1`, kind });
    const state = folded(node.kind, [size], false);
    if (cell.type !== "lstmCell" && random.chance(0.5)) {
      this.nodes.push({ ref: `${step}.${apart ? 3 : 2}`, kind: state });
    }
  }

  /** Two sequences through a cell that takes and gives trees. */
  cross(): void {
    const { random } = this.scope;
    const first = this.nodes.filter(({ kind }) =>
      kind.time === 1 && kind.shape.length === 2 && kind.dtype === "float32"
    );
    if (first.length === 0) return;
    const a = random.pick(first);
    const b = random.pick(first.filter(({ kind }) => sameShape(kind, a.kind)));
    const returned = random.chance(0.6);
    const layer = this.layer({
      type: "rnn",
      options: {
        ...(returned ? { returnSequences: true } : {}),
        ...(random.chance(0.2) ? { goBackwards: true } : {}),
      },
      cell: { type: "crossing", options: {} },
    });
    const step = this.add({ op: "call", layer, inputs: { a: a.ref, b: b.ref } });
    const kind = folded({ ...a.kind, ...together(a.kind, b.kind) }, [a.kind.shape[1]], returned);
    this.nodes.push({ ref: `${step}.0`, kind }, { ref: `${step}.1`, kind });
  }
}

/** Leaves in a random tree: alone, in a list, by name, or nested. */
function drawTree<T>(random: Random, leaves: readonly T[]): TreeOfLeaves<T> {
  if (leaves.length === 1 && random.chance(0.7)) return leaves[0];
  const names = ["a", "b", "c", "d", "e", "f", "g", "h"];
  const form = random.pick(["list", "object", "nested"]);
  if (form === "list") return [...leaves];
  if (form === "object" || leaves.length < 2) {
    return Object.fromEntries(leaves.map((leaf, index) => [names[index], leaf]));
  }
  return { left: leaves[0], right: { list: leaves.slice(1) } };
}

type TreeOfLeaves<T> = T | readonly TreeOfLeaves<T>[] | { readonly [name: string]: TreeOfLeaves<T> };

function drawGraph(scope: Scope, time: number): Drawn {
  const { random } = scope;
  const graph = new Graph(scope, time);
  const sources = random.pick([1, 1, 2, 2, 3]);
  for (let i = 0; i < sources; i++) graph.source(random.chance(0.5) ? 0 : i);
  const count = random.whole(1, 5);
  for (let i = 0; i < count; i++) {
    const what = random.next();
    if (what < 0.4) {
      const node = graph.float(random);
      if (node) graph.grow(node);
    } else if (what < 0.52) graph.merge();
    else if (what < 0.65) graph.apply();
    else if (what < 0.75) graph.again();
    else if (what < 0.87) graph.handOver();
    else if (what < 0.93) graph.bothWays();
    else graph.cross();
  }
  const node = graph.float(random);
  if (!node) graph.grow(graph.nodes[0]);
  const floats = graph.nodes.filter(({ kind }) => kind.dtype === "float32" && kind.shape.length > kind.time);
  const inputs = new Set(graph.steps.flatMap((step, index) => step.op === "input" ? [`${index}.0`] : []));
  const candidates = floats.filter(({ ref }) => !inputs.has(ref)).slice(-4);
  if (candidates.length === 0) {
    graph.grow(floats[0] ?? graph.nodes[0]);
    candidates.push(graph.nodes[graph.nodes.length - 1]);
  }
  const wanted = random.pick([1, 1, 1, 2, 2, 3]);
  const outputs = candidates.slice(-wanted).map((node) => {
    const head = headLayer(scope, node.kind);
    if (!head) return node;
    graph.call(head.layer, node, head.kind);
    return graph.nodes[graph.nodes.length - 1];
  });
  return pruned(graph, outputs, random);
}

/** The graph without what no output needs. */
function pruned(graph: Graph, outputs: readonly Node[], random: Random): Drawn {
  const needed = new Set<number>();
  const pending = outputs.map(({ ref }) => Number(ref.split(".")[0]));
  for (let step = pending.pop(); step !== undefined; step = pending.pop()) {
    if (needed.has(step)) continue;
    needed.add(step);
    pending.push(...readBy(graph.steps[step]).map((ref) => Number(ref.split(".")[0])));
  }
  const kept = [...needed].sort((a, b) => a - b);
  const renumbered = (ref: Ref) => {
    const [step, leaf] = ref.split(".");
    return `${kept.indexOf(Number(step))}.${leaf}`;
  };
  const inputSteps = graph.steps.flatMap((step, index) => step.op === "input" ? [index] : []);
  const layers: number[] = [];
  const steps = kept.map((index): GraphStep => {
    const step = graph.steps[index];
    if (step.op === "input") {
      const { shape } = graph.inputs[inputSteps.indexOf(index)];
      return graph.scope.fixed ? { ...step, shape } : step;
    }
    if (step.op === "apply") return { ...step, inputs: step.inputs.map(renumbered) };
    if (!layers.includes(step.layer)) layers.push(step.layer);
    return {
      ...step,
      layer: layers.indexOf(step.layer),
      inputs: mapRefs(step.inputs, renumbered),
      ...(step.initialState === undefined ? {} : { initialState: mapRefs(step.initialState, renumbered) }),
      ...(step.mask === undefined ? {} : { mask: renumbered(step.mask) }),
    };
  });
  const inputs = inputSteps.flatMap((step, place) => needed.has(step) ? [{ step, place }] : []);
  const places = inputs.map((_, index) => index);
  const inputTree = drawTree(random, places) as Places;
  const distinct = outputs.filter(({ ref }, index) =>
    outputs.findIndex((other) => other.ref === ref) === index
  );
  const outputTree = drawTree(random, distinct.map((_, index) => index)) as Places;
  const refsAt = (tree: Places, refs: readonly Ref[]): RefTree => {
    if (typeof tree === "number") return refs[tree];
    if (Array.isArray(tree)) return tree.map((part) => refsAt(part, refs));
    return Object.fromEntries(Object.entries(tree).map(([name, part]) => [name, refsAt(part, refs)]));
  };
  return {
    model: {
      type: "model",
      options: {},
      layers: layers.map((layer) => graph.layers[layer]),
      graph: {
        inputs: refsAt(inputTree, inputs.map(({ step }) => renumbered(`${step}.0`))),
        outputs: refsAt(outputTree, distinct.map(({ ref }) => renumbered(ref))),
        steps,
      },
    },
    inputs: inputs.map(({ place }) => graph.inputs[place]),
    inputTree,
    outputs: distinct.map(({ kind }) => kind),
    outputTree,
  };
}

function refsOf(tree: RefTree): Ref[] {
  if (typeof tree === "string") return [tree];
  return Object.values(tree).flatMap((part) => refsOf(part as RefTree)); // an array or an object of trees
}

/** What a step reads. */
export function readBy(step: GraphStep): Ref[] {
  if (step.op === "input") return [];
  if (step.op === "apply") return [...step.inputs];
  return [
    ...refsOf(step.inputs),
    ...(step.initialState === undefined ? [] : refsOf(step.initialState)),
    ...(step.mask === undefined ? [] : [step.mask]),
  ];
}

export function mapRefs(tree: RefTree, fn: (ref: Ref) => Ref): RefTree {
  if (typeof tree === "string") return fn(tree);
  if (Array.isArray(tree)) return tree.map((part) => mapRefs(part, fn));
  return Object.fromEntries(Object.entries(tree).map(([name, part]) => [name, mapRefs(part, fn)]));
}

/** The graph for any batch. */
function withOpenBatch(model: LayerDescription): LayerDescription {
  const { graph } = model;
  if (!graph) return model;
  const steps = graph.steps.map((step) => step.op === "input" ? { ...step, batch: null } : step);
  return { ...model, graph: { ...graph, steps } };
}

/** The case of a seed. */
export function drawCase(seed: number): Case {
  const random = randomFrom(seed);
  const batch = random.chance(0.08) ? random.whole(1, 2) : null;
  const scope: Scope = { random, draws: random.chance(0.12), batch, fixed: false };
  const time = random.pick([1, 2, 3, 3, 4, 5]);
  const { outputs, ...drawn } = random.chance(0.45) ? drawSequential(scope, time) : drawGraph(scope, time);
  const isStateful = JSON.stringify(drawn.model).includes('"stateful":true');
  const statefulBatch = isStateful ? batch : null;
  const heads = outputs.map((kind) => drawHead(random, kind));
  const draws = /"(dropout|recurrentDropout|rate)":0\.[0-9]*[1-9]/.test(JSON.stringify(drawn.model));
  const described: Omit<Case, "properties"> = {
    seed,
    ...drawn,
    model: isStateful ? drawn.model : withOpenBatch(drawn.model),
    samples: batch === null ? random.pick([1, 2, 3, 3, 4, 5]) : batch * random.whole(1, 2),
    holes: random.pick(["end", "end", "anywhere", "anywhere", "none"]),
    heads,
    fixedTime: scope.fixed,
    paddable: !scope.fixed && outputs.every(({ clean }) => clean) &&
      drawn.inputs.some(({ time }) => time > 0),
    timed: outputs.map(({ time }) => time > 0),
    draws,
    statefulBatch,
  };
  return { ...described, properties: drawProperties(random, described) };
}
