/** What an operator of ONNX is to the importer: how it is used rightly, and what it computes. */
import type { Tensor } from "../../../src/tensor/tensor.ts";
import type { Tree } from "../../../src/tree/tree.ts";
import type { ValueInfoProto } from "../protos.ts";
import type { Constant } from "../tensors.ts";
import type { Node } from "./node.ts";
import type { OnnxValue } from "./values.ts";

/** What operators are told about the call in which they compute. */
export interface Call {
  /** Dropout acts and batch normalisation uses the batch's statistics. */
  readonly training: boolean;
  /** A random key for a node, where there is one. */
  keyFor(node: Node): Tensor | undefined;
  /** The weights of a recurrent node in our layout, where the model keeps them so. */
  weightsOf(node: Node): Tree<Tensor> | undefined;
  /** Whether this value is part of the model's state, which training moves. */
  isState(name: string): boolean;
  /** Puts a new value in the model's state. */
  setState(name: string, tensor: Tensor): void;
  /** Computes a graph inside a node; names of the graphs around it are known to it. */
  inside(graph: Graph, inputs: readonly OnnxValue[]): OnnxValue[];
  /** The graph of an attribute. */
  graphOf(node: Node, attribute: string): Graph;
}

/** The inputs of a node; undefined where an optional one is left out. */
export type Inputs = readonly (OnnxValue | undefined)[];

/** An operator. */
export interface Operator {
  /** The attributes that it has, in any version. */
  readonly attributes: readonly string[];
  /** How many inputs it takes, least and most; those up to the least are given. */
  readonly inputs: readonly [least: number, most: number];
  /** How many outputs it gives at most; default 1. */
  readonly outputs?: number;
  /** Its outputs. What it throws is told together with the node. */
  compute(node: Node, inputs: Inputs, call: Call): OnnxValue[];
}

/** Operators by name. */
export type Operators = { readonly [name: string]: Operator };

/** An input that must be there; the number of inputs was checked when the file was read. */
export function given(inputs: Inputs, index: number): OnnxValue {
  const value = inputs[index];
  if (value) return value;
  throw new TypeError(`its input ${index} is left out, which it needs`);
}

/** A node with what it computes. */
export interface Step {
  readonly node: Node;
  readonly operator: Operator;
  /** The graphs in its attributes, by attribute. */
  readonly graphs: ReadonlyMap<string, Graph>;
}

/** A graph that was checked. */
export interface Graph {
  /** `the graph`, or where it is in another. */
  readonly place: string;
  /** Of the whole model, without those that an initialiser gives. */
  readonly inputs: readonly ValueInfoProto[];
  readonly outputs: readonly string[];
  /** The initialisers, by name. */
  readonly constants: ReadonlyMap<string, Constant>;
  /** In order of computation. */
  readonly steps: readonly Step[];
}
