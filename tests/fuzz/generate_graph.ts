/** Random graphs of layers and functions. */
import type { GraphStep, InputDescription, LayerDescription, Places, Ref, RefTree } from "./description.ts";
import { drawAttention, drawDot, type DrawnCall } from "./generate_attention.ts";
import { drawCell, outputSize } from "./generate_cells.ts";
import { growOne, type Scope } from "./generate_layers.ts";
import { folded, type Kind } from "./kinds.ts";
import type { Random } from "./random.ts";
import { drawInput, type Drawn, headLayer, kindOf } from "./generate_ends.ts";
import { drawTree, mapRefs, readBy } from "./graph_refs.ts";

/** A value of a growing graph. */
interface Node {
  readonly ref: Ref;
  readonly kind: Kind;
  /** The mask that a call on it must be given: without it, what does not count would count. */
  readonly needs?: Ref;
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

  /** A layer on a list of nodes. */
  together(drawn: DrawnCall | undefined): void {
    if (!drawn) return;
    const layer = this.layer(drawn.layer);
    const step = this.add({ op: "call", layer, inputs: drawn.inputs });
    this.nodes.push({ ref: `${step}.0`, kind: drawn.kind });
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

export function drawGraph(scope: Scope, time: number): Drawn {
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
    else if (what < 0.62) graph.apply();
    else if (what < 0.7) graph.again();
    else if (what < 0.8) graph.handOver();
    else if (what < 0.85) graph.bothWays();
    else if (what < 0.89) graph.cross();
    else if (what < 0.97) graph.together(drawAttention(random, scope.draws, graph.nodes));
    else graph.together(drawDot(random, graph.nodes));
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
