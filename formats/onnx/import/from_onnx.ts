/** `fromOnnx`: reads an ONNX file as a model. */
import { checkBytes, checkFunction, wrongKind } from "../../../src/describe.ts";
import type { Layer, Variables } from "../../../src/layers/layer.ts";
import { checkOptions } from "../../../src/option_names.ts";
import { host, type Tensor } from "../../../src/tensor/tensor.ts";
import { mapTree } from "../../../src/tree/tree.ts";
import { OnnxError } from "../errors.ts";
import { decodeModel, type ModelProto } from "../protos.ts";
import type { ExternalData } from "../tensors.ts";
import { type BatchAxes, checkBatchAxes } from "./axes.ts";
import { boundInputs, type OnnxConstant } from "./bound.ts";
import { type OnnxShapes, withShapes } from "./declared.ts";
import { checkOperators, hasWeights, readGraph } from "./graph.ts";
import { graphFunction } from "./graph_function.ts";
import { type OnnxInput, readInput } from "./inputs.ts";
import { layerOf, selfOf } from "./layer.ts";
import { limitNames, limitsOf, type OnnxLimits } from "./limits.ts";
import { operators } from "./operators/mod.ts";
import { takesDoubles, withoutDoubles } from "./precision.ts";
import { type OnnxRun, runOf } from "./run.ts";
import { checkStates, statefulLayerOf } from "./states.ts";
import { collectVariables } from "./variables.ts";

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
   * Whether the numbers among the initializers are weights too, which training changes: those without axes, exponents,
   * bounds, epsilons, fill values. Default false: they are constants of the graph.
   */
  readonly trainNumbers?: boolean;
  /** Values of inputs that are the same in every call, by name, as `{ sr: 16000 }`; they are no inputs of the model then. */
  readonly constants?: { readonly [input: string]: OnnxConstant };
  /**
   * Shapes of inputs instead of those that the file declares, by name; null is an open size. Files are often written for
   * a batch of 1 whose graph takes any batch, as `{ image: [null, 1, 64, null] }` says. If the graph was written for its
   * sizes, a call with others throws.
   */
  readonly shapes?: OnnxShapes;
  /**
   * The axis of the batch in all inputs and outputs, or in those named; default 0. The model takes and gives the batch as
   * the first axis, wherever it is in the graph. Null for a graph that takes a single sample and has no such axis: the
   * model takes batches of 1.
   */
  readonly batchAxis?: BatchAxes;
  /**
   * Inputs that are the graph's state, each with the output that it gets at the next step, as `{ h: "hn" }`. The model is
   * a recurrent layer then: a step is a call of the graph, the state begins with zeros and is no input or output. It takes
   * sequences of the other inputs, `[batch, steps, ...]`, and can be given to `streaming` and `streams`.
   */
  readonly states?: { readonly [input: string]: string };
}

/** The result of {@linkcode fromOnnx}. */
export interface OnnxModel {
  /**
   * The model: a layer. It takes the graph's input, or an object by name if there are several, and likewise
   * for its outputs. Each has the batch as its first axis; `predict`, `evaluate` and `fit` refuse a graph in which
   * that is seen not to be so, until `batchAxis` says where it is.
   */
  readonly model: Layer;
  /**
   * Runs the graph as the file has it: all inputs by name, in the file's order of axes, whether or not there is a batch;
   * all outputs by name. It is compiled once for all sizes that the file leaves open, or for each where the graph needs
   * them as numbers. The states of the option `states` are inputs and outputs here.
   *
   * @throws TypeError for inputs that do not fit; OnnxError for what a node cannot compute.
   */
  readonly run: OnnxRun;
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
const OPSETS = { first: 7, last: 28 };

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
 *
 * @example By name, and as a stream that keeps the state of the graph
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { init, key, type Layer, lstm, spec, streaming, type Tensor, zeros } from "@cellfold/cellfold";
 * import { fromOnnx, toOnnx } from "@cellfold/cellfold/onnx";
 * const layer = lstm({ units: 4, returnSequences: true });
 * const input = spec([null, null, 3]);
 * const bytes = toOnnx(layer, init(layer, key(0), input), { input, states: true });
 * const h = zeros([1, 4]), c = zeros([1, 4]), frame = zeros([1, 1, 3]);
 * const { run } = fromOnnx(bytes);
 * const results = await run({ input: frame, "lstm.initial_h": h, "lstm.initial_c": c });
 * const states = { "lstm.initial_h": "lstm.final_h", "lstm.initial_c": "lstm.final_c" };
 * const { model, variables } = fromOnnx(bytes, { states });
 * using stream = streaming(model as Layer<Tensor>, variables); // one output is no state
 * const output = await stream.step(frame); // the next call goes on from the state after this one
 * assertEquals(output.data, results.output.data);
 * ```
 */
export function fromOnnx(bytes: Uint8Array, options: FromOnnxOptions = {}): OnnxModel {
  checkOptions("fromOnnx", options, [
    "name",
    "externalData",
    "trainable",
    "trainNumbers",
    "constants",
    "shapes",
    "batchAxis",
    "states",
    ...limitNames,
  ]);
  const { name, batchAxis, constants, shapes, states, trainable = () => true, trainNumbers = false } =
    options;
  checkFunction("use fromOnnx", trainable, "trainable");
  if (typeof trainNumbers !== "boolean") {
    throw wrongKind("use fromOnnx", trainNumbers, "trainNumbers", "true or false");
  }
  checkBytes("read an ONNX file", bytes);
  const limits = limitsOf("fromOnnx", options);
  const proto = decodeModel(bytes);
  if (!proto.graph) throw new OnnxError("the model", "it has no graph");
  const root = takesDoubles(proto.graph) ? proto.graph : withoutDoubles(proto.graph);
  const opset = opsetOf(proto);
  const reader = {
    opset,
    operators,
    externalData: options.externalData,
    constantsAreWeights: !hasWeights(root),
    maxNodes: limits.maxNodes,
  };
  checkOperators(reader, root);
  const graph = readGraph(reader, root, "the graph");
  if (graph.outputs.length === 0) throw new OnnxError("the graph", "it has no outputs");
  const all = withShapes(shapes, graph.inputs.map(readInput));
  if (all.length === 0) throw new OnnxError("the graph", "it has no inputs");
  const bound = boundInputs(constants, all);
  if (bound.size === all.length) {
    throw new RangeError(
      "Cannot use fromOnnx: constants binds all inputs, expected one that is given in a call",
    );
  }
  const collected = collectVariables(graph, trainNumbers);
  const called = graphFunction(graph, all, bound, collected, limits);
  const { inputs, outputs } = called;
  const inputNames = inputs.map(({ name }) => name);
  if (batchAxis !== undefined) checkBatchAxes(batchAxis, [...inputNames, ...outputs]);
  if (states !== undefined) checkStates(states, inputNames, outputs);
  const file = {
    params: mapTree(collected.variables.params, (leaf: Tensor) => host(leaf)),
    state: collected.variables.state,
  };
  const parts = { name, batchAxis, trainable };
  return {
    model: states ? statefulLayerOf(called, states, parts) : layerOf(called, parts),
    variables: states ? { ...file, state: [] } : file,
    run: runOf(called, selfOf(name), file),
    inputs,
    outputs,
    opset,
    producer: [proto.producerName, proto.producerVersion].filter((text) => text !== "").join(" "),
    metadata: Object.fromEntries(proto.metadataProps.map(({ key, value }) => [key, value])),
  };
}
