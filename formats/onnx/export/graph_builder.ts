/**
 * An ONNX graph under construction. Graphs nest (the body of a Scan); names are unique across all of them,
 * and inner graphs can read the names of outer ones. Weights, constants and sizes known only at run time live
 * in the outermost graph, so that nothing is recomputed at every step.
 */
import { type Dim, type Shape, symbolsOf } from "../../../src/tensor/dims.ts";
import { quotientOf } from "../../../src/tensor/quotients.ts";
import { type DType, host, type HostTensor, type Spec, type Tensor } from "../../../src/tensor/tensor.ts";
import {
  type AttributeProto,
  attributeTypes,
  type GraphProto,
  type NodeProto,
  type Partly,
} from "../protos.ts";
import { dataTypes, elementTypes, int64Proto, tensorProto, valueInfo } from "../tensors.ts";

/** A tensor of the graph: its spec, and the name under which nodes read it. */
export interface Edge extends Spec {
  readonly edge: string;
  /** For a mask known to be padded on the right: int32 `[batch]`, how many steps of each row count. */
  readonly lengths?: string;
}

/** The value of an attribute. Numbers in a list are integers. */
export type AttributeValue =
  | { readonly float: number }
  | { readonly int: number }
  | { readonly string: string }
  | { readonly ints: readonly number[] }
  | { readonly floats: readonly number[] }
  | { readonly strings: readonly string[] }
  | { readonly graph: Partly<GraphProto> };

/** Attributes by name; undefined ones are omitted. */
export type Attributes = { readonly [name: string]: AttributeValue | undefined };

function attributeProto(name: string, value: AttributeValue): Partly<AttributeProto> {
  const bytes = (text: string) => new TextEncoder().encode(text);
  if ("float" in value) return { name, type: attributeTypes.float, f: value.float };
  if ("int" in value) return { name, type: attributeTypes.int, i: BigInt(value.int) };
  if ("string" in value) return { name, type: attributeTypes.string, s: bytes(value.string) };
  if ("ints" in value) return { name, type: attributeTypes.ints, ints: value.ints.map(BigInt) };
  if ("floats" in value) return { name, type: attributeTypes.floats, floats: value.floats };
  if ("strings" in value) return { name, type: attributeTypes.strings, strings: value.strings.map(bytes) };
  return { name, type: attributeTypes.graph, g: value.graph };
}

/** The value that means "to the end" in a Slice. */
export const FAR = Number.MAX_SAFE_INTEGER;

/** What all graphs of one model share. */
interface Model {
  readonly names: Set<string>;
  readonly initializers: Partly<GraphProto>["initializer"] & unknown[];
  readonly weights: Map<HostTensor, string>;
  readonly constants: Map<string, string>;
  /** Where the value of each symbol is found: an input of the model and one of its axes. */
  readonly symbols: Map<string, { readonly edge: string; readonly axis: number }>;
  readonly sizes: Map<Dim, string>;
}

/** A graph under construction. */
export class GraphBuilder {
  readonly nodes: Partly<NodeProto>[] = [];
  readonly #model: Model;
  readonly #root: GraphBuilder;
  /** The prefix of names in this part of the graph: the layer. */
  readonly #prefix: string;

  private constructor(
    model: Model,
    root: GraphBuilder | undefined,
    prefix: string,
    nodes?: Partly<NodeProto>[],
  ) {
    this.#model = model;
    this.#root = root ?? this;
    this.#prefix = prefix;
    if (nodes) this.nodes = nodes;
  }

  /** The outermost graph of a new model. */
  static create(): GraphBuilder {
    const model: Model = {
      names: new Set(),
      initializers: [],
      weights: new Map(),
      constants: new Map(),
      symbols: new Map(),
      sizes: new Map(),
    };
    return new GraphBuilder(model, undefined, "");
  }

  /** The same graph, with names for a layer. */
  within(layer: string): GraphBuilder {
    const root = this.#root === this ? undefined : this.#root;
    return new GraphBuilder(this.#model, root, `${this.#prefix}${layer}/`, this.nodes);
  }

  /** A graph inside a node of this one. */
  inner(): GraphBuilder {
    return new GraphBuilder(this.#model, this.#root, this.#prefix);
  }

  /** A unique name. */
  fresh(wanted: string): string {
    const { names } = this.#model;
    let name = wanted;
    for (let number = 1; names.has(name); number++) name = `${wanted}_${number}`;
    names.add(name);
    return name;
  }

  /** A unique name for this part of the graph. */
  local(wanted: string): string {
    return this.fresh(this.#prefix + wanted);
  }

  /** Adds a node; returns the names of its outputs, which are empty for unwanted ones. */
  nodeOf(
    operator: string,
    inputs: readonly string[],
    wanted: readonly boolean[],
    attributes: Attributes = {},
  ): string[] {
    const name = this.local(operator);
    const outputs = wanted.map((isWanted, index) =>
      isWanted ? this.fresh(index === 0 ? `${name}:0` : `${name}:${index}`) : ""
    );
    this.nodes.push({
      name,
      opType: operator,
      input: trimmed(inputs),
      output: trimmed(outputs),
      attribute: Object.entries(attributes).flatMap(([key, value]) =>
        value === undefined ? [] : [attributeProto(key, value)]
      ),
    });
    return outputs;
  }

  /** Adds a node with one output. */
  node(operator: string, inputs: readonly string[], attributes: Attributes = {}): string {
    return this.nodeOf(operator, inputs, [true], attributes)[0];
  }

  /** Adds a node whose output has this name, chosen by the caller. */
  named(operator: string, inputs: readonly string[], output: string): void {
    this.nodes.push({
      name: this.fresh(`${output}/${operator}`),
      opType: operator,
      input: inputs,
      output: [output],
    });
  }

  /** A weight or another known tensor; the same tensor is written once. */
  tensor(given: Tensor, name = "constant"): string {
    const tensor = host(given);
    const { weights, initializers } = this.#model;
    const known = weights.get(tensor);
    if (known !== undefined) return known;
    const fresh = this.fresh(name);
    weights.set(tensor, fresh);
    initializers.push(tensorProto(fresh, tensor));
    return fresh;
  }

  /** A constant that is written once for all its readers. */
  #constant(key: string, make: (name: string) => ReturnType<typeof int64Proto>): string {
    const { constants, initializers } = this.#model;
    let name = constants.get(key);
    if (name === undefined) {
      constants.set(key, name = this.fresh("constant"));
      initializers.push(make(name));
    }
    return name;
  }

  /** 64-bit integers: axes and sizes. */
  ints(values: readonly number[]): string {
    return this.#constant(`int64[${values}]`, (name) => int64Proto(name, values));
  }

  /** A scalar. */
  scalar(value: number, dtype: DType): string {
    const key = `${dtype} ${Object.is(value, -0) ? "-0" : value}`;
    return this.#constant(key, (name) => tensorProto(name, scalarTensor(value, dtype)));
  }

  /** Declares that an axis of an input is the value of a symbol. */
  bindSymbol(symbol: string, edge: string, axis: number): void {
    const { symbols } = this.#model;
    if (!symbols.has(symbol)) symbols.set(symbol, { edge, axis });
  }

  /** A size as int64 `[1]`; one known only at run time is computed once, in the outermost graph. */
  size(dim: Dim): string {
    if (typeof dim === "number") return this.ints([dim]);
    const { sizes } = this.#model;
    let name = sizes.get(dim);
    if (name === undefined) sizes.set(dim, name = this.#root.#compute(dim));
    return name;
  }

  #compute(dim: Exclude<Dim, number>): string {
    const terms = Object.entries(dim.terms).map(([monomial, coefficient]) => {
      const factors = symbolsOf(monomial).map((symbol) => this.#symbol(symbol));
      if (coefficient !== 1 || factors.length === 0) factors.push(this.ints([coefficient]));
      return factors.reduce((a, b) => this.node("Mul", [a, b]));
    });
    return terms.reduce((a, b) => this.node("Add", [a, b]));
  }

  #symbol(symbol: string): string {
    const found = this.#model.symbols.get(symbol);
    const quotient = quotientOf(symbol);
    if (!found && quotient) {
      return this.node("Div", [this.size(quotient.dividend), this.ints([quotient.divisor])]);
    }
    if (!found) {
      throw new RangeError(
        `Cannot export to ONNX: the size ${symbol} is not the size of an axis of an input`,
      );
    }
    const { edge, axis } = found;
    const key = `size of ${symbol}`;
    const { constants } = this.#model;
    let name = constants.get(key);
    if (name === undefined) {
      name = this.node("Shape", [edge], { start: { int: axis }, end: { int: axis + 1 } });
      constants.set(key, name);
    }
    return name;
  }

  /** A shape as int64, one element for each axis. */
  shape(dims: Shape): string {
    if (dims.every((dim) => typeof dim === "number")) return this.ints(dims);
    return this.node("Concat", dims.map((dim) => this.size(dim)), { axis: { int: 0 } });
  }

  /** The graph as a protobuf message. */
  graph(name: string, inputs: readonly Edge[], outputs: readonly Edge[]): Partly<GraphProto> {
    const info = ({ edge, dtype, shape }: Edge) =>
      valueInfo(edge, dataTypes[elementTypes[dtype]], shape.map(sizeText));
    return {
      name,
      node: this.nodes,
      initializer: this.#root === this ? this.#model.initializers : [],
      input: inputs.map(info),
      output: outputs.map(info),
    };
  }
}

/** A size as ONNX's types write it: a number, or a name. */
function sizeText(dim: Dim): number | string {
  return typeof dim === "number" ? dim : dim.toString();
}

/** A list of names without trailing empty ones. */
function trimmed(names: readonly string[]): readonly string[] {
  const last = names.findLastIndex((name) => name !== "");
  return names.slice(0, last + 1);
}

function scalarTensor(value: number, dtype: DType): HostTensor {
  const data = { float32: Float32Array, float64: Float64Array, int32: Int32Array, bool: Uint8Array }[dtype];
  return { kind: "host", shape: [], dtype, data: data.of(value) };
}
