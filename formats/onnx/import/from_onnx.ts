/** `fromOnnx`: reads an ONNX file as a model. */
import { checkBytes, checkFunction, wrongKind } from "../../../src/describe.ts";
import { defineLayer } from "../../../src/layers/define.ts";
import type { Applied, ApplyContext, Layer, Variables } from "../../../src/layers/layer.ts";
import { checkOptions } from "../../../src/option_names.ts";
import { quoted } from "../../../src/quoted.ts";
import { foldIn } from "../../../src/operations/random.ts";
import { functionOption } from "../../../src/options/json.ts";
import { type Dim, printShape, type Shape, symbol } from "../../../src/tensor/dims.ts";
import { type DType, host, isLeaf, printSpec, type Spec, type Tensor } from "../../../src/tensor/tensor.ts";
import { flattenTree, mapTree, type Tree, treeLeaves, unflattenTree } from "../../../src/tree/tree.ts";
import { OnnxError, reading } from "../errors.ts";
import { decodeModel, type ModelProto, type ValueInfoProto } from "../protos.ts";
import { dtypeOf, type ExternalData, sizesOf } from "../tensors.ts";
import { evaluate, RUN } from "./evaluate.ts";
import { checkOperators, readGraph } from "./graph.ts";
import { checkWork, limitNames, limitsOf, type Mark, type OnnxLimits } from "./limits.ts";
import type { Graph } from "./operator.ts";
import { operators } from "./operators/mod.ts";
import { tensorOf, valueOf } from "./values.ts";
import { type Collected, collectVariables } from "./variables.ts";

/** Options of {@linkcode fromOnnx}. */
export interface FromOnnxOptions extends OnnxLimits {
  /** The name of the layer in summaries and errors. */
  readonly name?: string;
  /**
   * Reads data that the model stores in another file of its folder: `length` bytes (or the rest, if
   * undefined) from `offset`. Without it, such a model is refused. It is never called with locations outside
   * the folder.
   */
  readonly externalData?: ExternalData;
  /** Whether training changes the weight of this name; default: all are trained. */
  readonly trainable?: (weight: string) => boolean;
  /**
   * Whether training also changes the numbers among the initializers, for which `trainable` is asked then too:
   * those without axes, exponents, bounds, epsilons, fill values; default false.
   */
  readonly trainNumbers?: boolean;
}

/** An input of an imported model. */
export interface OnnxInput {
  /** Its name in the graph. */
  readonly name: string;
  /** The dtype in which it is given; integers of any width are int32. */
  readonly dtype: DType;
  /** Sizes that the file leaves open are symbols; undefined if the file does not give a shape. */
  readonly shape: Shape | undefined;
}

/** The result of {@linkcode fromOnnx}. */
export interface OnnxModel {
  /**
   * The model: a layer. It takes the graph's input, or an object by name if there are several, and likewise
   * for its outputs.
   */
  readonly model: Layer;
  /** The weights and the state of the file. */
  readonly variables: Variables;
  /** The inputs, in order. */
  readonly inputs: readonly OnnxInput[];
  /** The names of the outputs, in order. */
  readonly outputs: readonly string[];
  /** The version of the operators. */
  readonly opset: number;
  /** The program that wrote the file, with its version. */
  readonly producer: string;
  /** The file's metadata. */
  readonly metadata: { readonly [key: string]: string };
}

/** The supported versions of the standard operators. */
const OPSETS = { first: 7, last: 26 };

function opsetOf({ opsetImport }: ModelProto): number {
  const standard = opsetImport.find(({ domain }) => domain === "" || domain === "ai.onnx");
  const version = Number(standard?.version ?? 0n);
  if (version >= OPSETS.first && version <= OPSETS.last) return version;
  throw new OnnxError(
    "its operator sets",
    standard
      ? `the version is ${version}, expected ${OPSETS.first} to ${OPSETS.last}`
      : "the standard one, ai.onnx, is not among them",
  );
}

/** A size of an input as ours; names that are not identifiers are rewritten. */
function dimOf(name: string, axis: number, value: bigint | undefined, param: string): Dim {
  if (value !== undefined) return sizesOf(`input ${quoted(name)}`, [value])[0];
  const text = (param === "" ? `${name}_${axis}` : param).replaceAll(/\W/g, "_");
  return symbol(/^[A-Za-z_]/.test(text) ? text : `_${text}`);
}

function readInput({ name, type }: ValueInfoProto): OnnxInput {
  const place = `input ${quoted(name)}`;
  const tensor = type?.tensorType;
  if (!tensor) throw new OnnxError(place, "it is no tensor");
  const shape = tensor.shape?.dim.map((dim, axis) =>
    dimOf(name, axis, Object.hasOwn(dim, "dimValue") ? dim.dimValue : undefined, dim.dimParam)
  );
  return { name, dtype: dtypeOf(place, tensor.elemType), shape };
}

/** Throws unless a tensor can be this input. */
function checkInput({ name, dtype, shape }: OnnxInput, given: Spec): void {
  const fits = given.dtype === dtype &&
    (!shape || (shape.length === given.shape.length &&
      shape.every((dim, axis) =>
        typeof dim !== "number" || typeof given.shape[axis] !== "number" || dim === given.shape[axis]
      )));
  if (fits) return;
  throw new TypeError(
    `Cannot run the ONNX model with ${printSpec(given)} for its input ${quoted(name)}: expected ${dtype}${
      shape ? printShape(shape) : " of any shape"
    }`,
  );
}

/** The inputs of a call, in order. */
function inputsOf(inputs: readonly OnnxInput[], tree: Tree<Tensor>): Tensor[] {
  const names = inputs.map(({ name }) => name);
  const byName = isLeaf(tree) ? undefined : tree as { readonly [name: string]: Tensor }; // checked below
  const given = inputs.length === 1 && !byName ? [tree] : names.map((name) => byName?.[name]);
  const strange = byName ? Object.keys(byName).find((name) => !names.includes(name)) : undefined;
  if (strange !== undefined || !given.every(isLeaf)) {
    const found = byName ? `{${Object.keys(byName).join(", ")}}` : "one tensor";
    throw new TypeError(
      `Cannot run the ONNX model with ${found}: expected ${
        inputs.length === 1 ? "one tensor" : "the inputs by name"
      }, {${names.join(", ")}}`,
    );
  }
  inputs.forEach((input, index) => checkInput(input, given[index] as Spec)); // all are leaves, as just checked
  return given as Tensor[];
}

/** Everything that a call reads. */
interface Read {
  readonly params: { readonly [name: string]: Tree<Tensor> };
  readonly state: Record<string, Tensor>;
  readonly given: readonly Tensor[];
  readonly key: Tensor | undefined;
}

/** The layer of a graph. */
function layerOf(
  graph: Graph,
  inputs: readonly OnnxInput[],
  collected: Collected,
  { name, trainable = () => true, trainNumbers = false }: FromOnnxOptions,
  limits: Required<OnnxLimits>,
): Layer {
  const type = "onnx";
  const self = name === undefined ? type : `${type} ${name}`;
  const { variables } = collected;
  const order = new Map(graph.steps.map(({ node }, index) => [node, index]));
  const apply = (given: Variables, input: Tree<Tensor>, context: ApplyContext): Applied => {
    const refused = context.mask !== undefined
      ? "a mask"
      : context.initialState !== undefined
      ? "an initial state"
      : context.resets !== undefined && "resets";
    if (refused) {
      throw new TypeError(
        `Cannot use ${self} with ${refused}: what its graph takes are its inputs, {${
          inputs.map(({ name }) => name).join(", ")
        }}`,
      );
    }
    const params = given.params as { readonly [name: string]: Tree<Tensor> }; // as `variables` are
    const state = { ...given.state as { readonly [name: string]: Tensor } };
    collected.checkParams(self, params, state);
    const training = context.training && !context.frozen;
    const compute = ({ params, state, given, key }: Read, computed?: Mark): Tensor[] => {
      const values = evaluate(graph, given.map(valueOf), {
        training,
        keyFor: (node) => key && foldIn(key, order.get(node) ?? 0),
        variableOf: (graph, name) => collected.variableOf(graph, name, params, state),
        weightsOf: (node) => collected.weightsOf(node, params),
        isState: (name) => Object.hasOwn(state, name),
        setState: (name, tensor) => state[name] = tensor,
        computed,
      });
      return values.map((value, index) =>
        reading(`output ${quoted(graph.outputs[index])}`, () => tensorOf(value), RUN)
      );
    };
    const read: Read = { params, state, given: inputsOf(inputs, input), key: context.key };
    const { leaves, structure } = flattenTree<Tensor>(read);
    checkWork(limits, graph.place, leaves, (tensors, mark) => {
      const { params, state, given, key } = unflattenTree<Read>(structure, tensors);
      compute({ params, state: { ...state }, given, key }, mark);
    });
    const outputs = compute(read);
    const output = outputs.length === 1
      ? outputs[0]
      : Object.fromEntries(graph.outputs.map((name, index) => [name, outputs[index]]));
    return { output, state };
  };
  return defineLayer({
    type,
    name,
    options: { graph: functionOption(self, "graph") },
    initParams: () => variables.params,
    initState: () => variables.state,
    trainableLeaves: (params) =>
      Object.entries(params).sort(([a], [b]) => a < b ? -1 : 1).flatMap(([weight, tree]) =>
        treeLeaves(tree).map(() => (trainNumbers || !collected.fixed.has(weight)) && trainable(weight))
      ),
    apply,
  });
}

/**
 * Reads the model in an ONNX file: a layer that predicts, trains and can be combined with other layers, with
 * the file's weights.
 *
 * LSTM, GRU and RNN become the library's own cells wherever these compute the same, so they compile like
 * them; the floats among the initializers are trained, except numbers such as exponents and epsilons, and the
 * moving statistics of batch normalization, which are state. `initParams` of the model returns the file's weights, whatever the key.
 *
 * A call that would exceed the limits on work or tensor sizes is refused before anything is computed.
 *
 * @param bytes The file. What is needed of it is copied.
 * @throws OnnxError for a file that is damaged or uses unsupported features: the message names the node with
 *   its operator and domain, the initializer or the input. Errors of a node in a call are OnnxErrors too.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { dense, init, key, type Layer, predict, sequential, spec, type Tensor, tensor } from "@cellfold/cellfold";
 * import { fromOnnx, toOnnx } from "@cellfold/cellfold/onnx";
 * const layer = sequential([dense({ units: 2 })]);
 * const bytes = toOnnx(layer, init(layer, key(0), spec([null, 3])), { input: spec([null, 3]) });
 * const { model, variables, inputs } = fromOnnx(bytes);
 * const output = await predict(model as Layer<Tensor>, variables, tensor([[1, 2, 3]])); // it has one output
 * assertEquals(String(inputs[0].shape), "batch,3");
 * assertEquals(output.shape, [1, 2]);
 * ```
 */
export function fromOnnx(bytes: Uint8Array, options: FromOnnxOptions = {}): OnnxModel {
  checkOptions("fromOnnx", options, ["name", "externalData", "trainable", "trainNumbers", ...limitNames]);
  if (options.trainable !== undefined) checkFunction("use fromOnnx", options.trainable, "trainable");
  const { trainNumbers } = options;
  if (trainNumbers !== undefined && typeof trainNumbers !== "boolean") {
    throw wrongKind("use fromOnnx", trainNumbers, "trainNumbers", "true or false");
  }
  checkBytes("read an ONNX file", bytes);
  const limits = limitsOf("fromOnnx", options);
  const proto = decodeModel(bytes);
  if (!proto.graph) throw new OnnxError("the model", "it has no graph");
  const opset = opsetOf(proto);
  const reader = { opset, operators, externalData: options.externalData, maxNodes: limits.maxNodes };
  checkOperators(reader, proto.graph);
  const graph = readGraph(reader, proto.graph, "the graph");
  if (graph.outputs.length === 0) throw new OnnxError("the graph", "it has no outputs");
  const inputs = graph.inputs.map(readInput);
  if (inputs.length === 0) throw new OnnxError("the graph", "it has no inputs");
  const collected = collectVariables(graph);
  return {
    model: layerOf(graph, inputs, collected, options, limits),
    variables: {
      params: mapTree(collected.variables.params, (leaf: Tensor) => host(leaf)),
      state: collected.variables.state,
    },
    inputs,
    outputs: graph.outputs,
    opset,
    producer: [proto.producerName, proto.producerVersion].filter((text) => text !== "").join(" "),
    metadata: Object.fromEntries(proto.metadataProps.map(({ key, value }) => [key, value])),
  };
}
