/** What an operator of ONNX is to the importer: its valid use, and its computation. */
import type { Tensor } from "../../../src/tensor/tensor.ts";
import type { Tree } from "../../../src/tree/tree.ts";
import type { ValueInfoProto } from "../protos.ts";
import type { Constant, ElementType } from "../tensors.ts";
import type { Node } from "./node.ts";
import type { OnnxValue } from "./values.ts";

/** How a graph inside a node is computed. */
export interface Inside {
  /** The outputs to compute; default: those of the graph. */
  readonly only?: readonly string[];
  /** Values of the graph that are given: the nodes that would compute them are left out. */
  readonly preset?: ReadonlyMap<string, OnnxValue>;
}

/** The context of the call in which operators compute. */
export interface Call {
  /** Dropout is active and batch normalization uses the batch's statistics. */
  readonly training: boolean;
  /** A random key for a node, if there is one. */
  keyFor(node: Node): Tensor | undefined;
  /** The weights of a recurrent node in our layout, if the model keeps them that way. */
  weightsOf(node: Node): Tree<Tensor> | undefined;
  /** The element type that the file means for a value of the node's graph, where it can be read off it. */
  elementTypeOf(name: string): ElementType | undefined;
  /** Whether this value is part of the model's state, which training updates. */
  isState(name: string): boolean;
  /** Puts a new value in the model's state. */
  setState(name: string, tensor: Tensor): void;
  /**
   * Computes a graph inside a node; it can read the names of the graphs around it. An input that is undefined must not
   * be read.
   */
  inside(graph: Graph, inputs: readonly (OnnxValue | undefined)[], options?: Inside): OnnxValue[];
  /** The value of a name where the node is. */
  valueOf(name: string): OnnxValue | undefined;
  /** The tensors of a sequence. */
  sequenceOf(name: string): readonly OnnxValue[];
  /** Makes an output of the node a sequence. */
  setSequence(name: string, values: readonly OnnxValue[]): void;
  /** The graph of an attribute. */
  graphOf(node: Node, attribute: string): Graph;
}

/** The inputs of a node; undefined for an omitted optional one. */
export type Inputs = readonly (OnnxValue | undefined)[];

/** An operator. */
export interface Operator {
  /** Its attributes, in any version. */
  readonly attributes: readonly string[];
  /** The minimum and maximum number of inputs; those up to the minimum are always present. */
  readonly inputs: readonly [least: number, most: number];
  /** The maximum number of outputs; default 1. */
  readonly outputs?: number;
  /** Whether it reads or makes sequences of tensors, by the names of its inputs and outputs. */
  readonly takesSequences?: boolean;
  /** Its outputs. Errors that it throws are reported with the node. */
  compute(node: Node, inputs: Inputs, call: Call): OnnxValue[];
}

/** Operators by name. */
export type Operators = { readonly [name: string]: Operator };

/** A required input; the number of inputs was checked when the file was read. */
export function given(inputs: Inputs, index: number): OnnxValue {
  const value = inputs[index];
  if (value) return value;
  throw new TypeError(`its input ${index} is left out, which it needs`);
}

/** A node with its computation. */
export interface Step {
  readonly node: Node;
  readonly operator: Operator;
  /** The graphs in its attributes, by attribute. */
  readonly graphs: ReadonlyMap<string, Graph>;
}

/** A checked graph. */
export interface Graph {
  /** `the graph`, or its place in another one. */
  readonly place: string;
  /** For the whole model, without those that an initializer provides. */
  readonly inputs: readonly ValueInfoProto[];
  readonly outputs: readonly string[];
  /** The initializers, by name. */
  readonly constants: ReadonlyMap<string, Constant>;
  /** The element types of its values, and of those around it, as far as they are known. */
  readonly types: ReadonlyMap<string, ElementType | undefined>;
  /** In order of computation. */
  readonly steps: readonly Step[];
}
