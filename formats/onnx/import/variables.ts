/**
 * Which initializers of a graph are weights, which are state and which are constants. The weights of a
 * recurrent node that nothing else reads are kept in the layout of the library's cells, so that the step
 * computes only the cell.
 */
import type { Variables } from "../../../src/layers/layer.ts";
import { quoted } from "../../../src/quoted.ts";
import { cast } from "../../../src/operations/elementwise.ts";
import { host, type HostTensor, hostTensor, isLeaf, type Tensor } from "../../../src/tensor/tensor.ts";
import type { Tree } from "../../../src/tree/tree.ts";
import { reading } from "../errors.ts";
import { type Constant, hostTensorOf } from "../tensors.ts";
import { fixedConstants } from "./fixed.ts";
import { countReads } from "./graph.ts";
import type { Node } from "./node.ts";
import type { Graph } from "./operator.ts";
import { layoutOf, QUANTIZED_LSTM } from "./operators/recurrent.ts";
import { checkScales, lstmWeights, quantizedWeights } from "./quantized_weights.ts";
import { type OnnxValue, valueOf } from "./values.ts";
import { cellWeights, type OnnxWeights, weightTree } from "./recurrent_weights.ts";

/** Params by name: tensors, or the trees of recurrent nodes. */
type Params = { readonly [name: string]: Tree<Tensor> };
/** State by name. */
type State = { readonly [name: string]: Tensor };

/** The variables of a graph, and how its nodes find theirs. */
export interface Collected {
  readonly variables: Variables<Params, State>;
  /** The weight or state behind an initializer. */
  variableOf(graph: Graph, name: string, params: Params, state: State): OnnxValue | undefined;
  /** The weights of a recurrent node, if they are kept in our layout. */
  weightsOf(node: Node, params: Params): Tree<Tensor> | undefined;
  /** Throws unless these are variables of this graph. */
  checkParams(self: string, params: Params, state: State): void;
}

/** Names of variables, each once. */
function uniqueNames(): (wanted: string) => string {
  const taken = new Set(["__proto__"]); // it would not become an ordinary key
  return (wanted) => {
    let name = wanted;
    for (let number = 1; taken.has(name); number++) name = `${wanted}_${number}`;
    taken.add(name);
    return name;
  };
}

function floatTensor({ shape, type, data }: Constant): HostTensor | undefined {
  if (data instanceof Float32Array && type === "float") return hostTensor(data, shape);
  if (data instanceof Float64Array) return hostTensor(data, shape);
  return undefined;
}

/** The inputs of recurrent operators that are weights. */
const weightInputs: { readonly [operator: string]: Partial<Record<keyof OnnxWeights, number>> } = {
  LSTM: { W: 1, R: 2, B: 3, P: 7 },
  GRU: { W: 1, R: 2, B: 3 },
  RNN: { W: 1, R: 2, B: 3 },
  [QUANTIZED_LSTM]: { W: 1, R: 2, B: 3, P: 7 },
};

/** The weights of a quantized LSTM as floats in the layout of the operator LSTM, if all of them are initializers. */
function quantizedLstm(node: Node, graph: Graph): OnnxWeights | undefined {
  const constant = (index: number) => {
    const name = node.inputs[index] ?? "";
    const found = graph.constants.get(name);
    return found && hostTensorOf(`initializer ${quoted(name)}`, found);
  };
  const matrix = (what: string, whole: number, scale: number, zero: number) => {
    const [q, factor, offset] = [constant(whole), constant(scale), constant(zero)];
    if (!q || !factor || ((node.inputs[zero] ?? "") !== "" && !offset)) return undefined;
    const floats = (x: Tensor) => cast(x, "float32");
    return host(lstmWeights({ whole: floats(q), scale: factor, zero: offset && floats(offset) }, what));
  };
  const [W, R, B, P] = [matrix("W", 1, 8, 9), matrix("R", 2, 10, 11), constant(3), constant(7)];
  const complete = [3, 7].every((index) => (node.inputs[index] ?? "") === "" || constant(index));
  return W && R && complete ? { W, R, B, P } : undefined;
}

/** The weights of a recurrent node in ONNX's layout, if all are initializers that nothing else reads. */
function ownWeights(node: Node, graph: Graph, reads: ReadonlyMap<string, number>): OnnxWeights | undefined {
  if (node.operator === QUANTIZED_LSTM) {
    const given = Object.values(weightInputs[QUANTIZED_LSTM]).map((index) => node.inputs[index] ?? "");
    const alone = given.every((name) => name === "" || reads.get(name) === 1);
    return alone ? quantizedLstm(node, graph) : undefined;
  }
  const found: Partial<Record<keyof OnnxWeights, HostTensor>> = {};
  for (const [key, index] of Object.entries(weightInputs[node.operator] ?? {})) {
    const name = node.inputs[index] ?? "";
    if (name === "") continue;
    const constant = graph.constants.get(name);
    const tensor = constant && floatTensor(constant);
    if (!tensor || reads.get(name) !== 1 || tensor.dtype !== "float32") return undefined;
    found[key as keyof OnnxWeights] = tensor; // a key of the table above
  }
  const { W, R, B, P } = found;
  return W && R ? { W, R, B, P } : undefined;
}

/** The names of initializers that are statistics of batch normalization. */
function statistics(graph: Graph): Set<string> {
  const names = graph.steps.flatMap(({ node }) =>
    node.operator === "BatchNormalization" ? node.inputs.slice(3, 5) : []
  );
  return new Set(names.filter((name) => graph.constants.has(name)));
}

/**
 * Finds the variables of a graph and of those inside it.
 *
 * @param withNumbers Whether numbers such as exponents are among them; otherwise they are constants, so that what is
 *   computed from them may determine shapes and branches.
 */
export function collectVariables(root: Graph, withNumbers: boolean): Collected {
  const unique = uniqueNames();
  const params: Record<string, Tree<Tensor>> = {};
  const state: Record<string, Tensor> = {};
  const keys = new Map<Graph, Map<string, string>>();
  const recurrent = new Map<Node, string>();
  const moving = statistics(root);
  const reads = countReads(root);
  const within = new Set<string>();
  const isNumber = fixedConstants(root);
  const restored = new Map<string, (floats: Tensor) => OnnxValue>();
  checkScales(root);
  for (const { node } of root.steps) {
    const weights = ownWeights(node, root, reads);
    if (!weights) continue;
    const tree = reading(node.place, () => {
      const layout = layoutOf(node, weights);
      return weightTree(cellWeights(layout, weights));
    });
    for (const index of Object.values(weightInputs[node.operator])) within.add(node.inputs[index] ?? "");
    const key = unique(node.name);
    recurrent.set(node, key);
    params[key] = tree;
  }
  const collect = (graph: Graph, prefix: string) => {
    const own = new Map<string, string>();
    keys.set(graph, own);
    const quantized = quantizedWeights(graph);
    const scales = new Set([...quantized.values()].map(({ scale }) => scale));
    for (const [name, constant] of graph.constants) {
      const stored = quantized.get(name);
      const tensor = stored?.floats ?? floatTensor(constant);
      if (!tensor || (graph === root && within.has(name))) continue;
      const isMoving = graph === root && moving.has(name);
      if (!isMoving && !withNumbers && (scales.has(name) || isNumber(name, constant))) continue;
      const key = isMoving ? name : unique(prefix + name);
      own.set(name, key);
      if (isMoving) state[key] = tensor;
      else params[key] = tensor;
      if (stored) restored.set(key, stored.restore);
    }
    for (const { node, graphs } of graph.steps) {
      for (const inner of graphs.values()) collect(inner, `${prefix}${node.name}/`);
    }
  };
  collect(root, "");
  return {
    variables: { params, state },
    variableOf: (graph, name, params, state) => {
      const key = keys.get(graph)?.get(name);
      if (key === undefined) return undefined;
      const tensor = graph === root && moving.has(name) ? state[key] : params[key] as Tensor; // a tensor, as collected
      return restored.get(key)?.(tensor) ?? valueOf(tensor);
    },
    weightsOf: (node, params) => {
      const key = recurrent.get(node);
      return key === undefined ? undefined : params[key];
    },
    checkParams: (self, given, givenState) => {
      check(self, "params", params, given);
      check(self, "state", state, givenState);
    },
  };
}

function check(self: string, what: string, expected: Params, given: unknown): void {
  const isObject = typeof given === "object" && given !== null && !isLeaf(given);
  const found = isObject ? Object.keys(given) : [];
  const missing = Object.keys(expected).find((name) => !found.includes(name));
  if (isObject && missing === undefined && found.length === Object.keys(expected).length) return;
  throw new TypeError(
    `Cannot use ${self} with these ${what}: ` +
      (missing === undefined ? "there are others than its own" : `there is no ${JSON.stringify(missing)}`) +
      "; give the variables that fromOnnx gave, or make them with init(model, key, input)",
  );
}
