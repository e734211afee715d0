/** `toOnnx`: a model as an ONNX file. */
import { checkLayer, checkVariables } from "../../../src/layers/checks.ts";
import type { Layer, Mask, Variables } from "../../../src/layers/layer.ts";
import { isContainer } from "../../../src/models/container.ts";
import { toJson } from "../../../src/models/json.ts";
import { checkOptions } from "../../../src/option_names.ts";
import { less } from "../../../src/operations/elementwise.ts";
import { iota } from "../../../src/operations/indexing.ts";
import { expandDims } from "../../../src/operations/structure.ts";
import { type Dim, symbol } from "../../../src/tensor/dims.ts";
import { printSpec, type Spec, specOf, type Tensor } from "../../../src/tensor/tensor.ts";
import { trace } from "../../../src/program/functions.ts";
import { flattenTree, type Path, type Tree, unflattenTree } from "../../../src/tree/tree.ts";
import { encodeModel, type ModelProto, type Partly } from "../protos.ts";
import type { ExportContext } from "./context.ts";
import { type Edge, GraphBuilder } from "./graph_builder.ts";
import { exportLayer } from "./layers.ts";
import { translateProgram } from "./program.ts";

/** Options of {@linkcode toOnnx}. */
export interface ToOnnxOptions {
  /**
   * Specs of the input, a tree like the model's input. Symbolic sizes (`null`, or names) stay open in the
   * file. Lengths given as `null` may differ from input to input, unless the model needs them to be equal; sizes of the
   * same name are equal.
   */
  readonly input: Tree<Spec>;
  /**
   * The names of the inputs, in the order of the tree; default: those that the model's inputs were given, else `input`,
   * or their paths in the tree.
   */
  readonly inputNames?: readonly string[];
  /**
   * The names of the outputs, in the order of the tree; default `output`, or their paths in the tree,
   * prefixed with `output_` if an input has that name.
   */
  readonly outputNames?: readonly string[];
  /**
   * Adds an input with this name, int32 `[batch]`: how many steps of each row count, from the first. It acts
   * as the mask of the model's input.
   */
  readonly lengths?: string;
  /**
   * Whether the masks that layers make (`masking`, `embedding` with `maskZero`) are known to be padded on the
   * right: then the operators LSTM, GRU and RNN get `sequence_lens`. Default false: such layers become Scan,
   * which is correct for any mask.
   */
  readonly rightPadded?: boolean;
  /**
   * Adds an input for the initial state of every recurrent layer that is not given one, and an output for its
   * final state: `lstm.initial_h`, `lstm.final_c`. Default false.
   */
  readonly states?: boolean;
}

/** The version of the operators in written files. */
export const OPSET = 17;

/** The version of the format that belongs to it. */
const IR_VERSION = 8;

/** The version of the library; a test checks it against deno.json. */
export const VERSION = "0.1.0";

/** A name for each leaf of a tree: those given, or its path, or `alone` if the tree is one leaf. */
function leafNames(
  option: string,
  given: readonly string[] | undefined,
  paths: readonly Path[],
  alone: string,
): readonly string[] {
  const names = given ?? paths.map((path) => path.length === 0 ? alone : path.join("."));
  if (names.length !== paths.length) {
    throw new RangeError(
      `Cannot export to ONNX: ${option} are ${names.length} names, expected ${paths.length}`,
    );
  }
  const wrong = names.find((name, index) => name === "" || names.indexOf(name) !== index);
  if (wrong === undefined) return names;
  throw new RangeError(
    `Cannot export to ONNX: ${option} has ${JSON.stringify(wrong)} twice, or an empty name`,
  );
}

/** The symbol that a size consists of, if it is one alone. */
function symbolOf(dim: Dim): string | undefined {
  return typeof dim === "number" || !/^[A-Za-z_]\w*$/.test(String(dim)) ? undefined : String(dim);
}

/** The names of the inputs of the graph. */
function inputNamesOf(model: Layer, { input, inputNames }: ToOnnxOptions): readonly string[] {
  const { paths } = flattenTree<Spec>(input, "input");
  if (paths.length === 0) throw new TypeError("Cannot export to ONNX: the input has no tensors");
  const own = model.inputNames?.length === paths.length
    ? model.inputNames.filter((name) => name !== undefined)
    : [];
  const isNamed = own.length === paths.length && new Set(own).size === own.length;
  return leafNames("inputNames", inputNames ?? (isNamed ? own : undefined), paths, "input");
}

/** The size that `null` stands for on the second axis. */
const TIME = String(symbol("time"));

/**
 * The specs with a length of its own for each input; undefined if not several have an unnamed one: the same unnamed
 * symbol in two inputs does not say that they are equally long.
 */
function separateTimes(input: Tree<Spec>, names: readonly string[]): Tree<Spec> | undefined {
  const { leaves, structure } = flattenTree<Spec>(input, "input");
  const isOpen = ({ shape }: Spec) => shape.some((dim) => String(dim) === TIME);
  if (leaves.filter(isOpen).length < 2) return undefined;
  const named = leaves.map((leaf, index): Spec => {
    const own = symbol(`${names[index].replaceAll(/\W/g, "_").replace(/^(?=\d)/, "_")}_${TIME}`);
    return { ...leaf, shape: leaf.shape.map((dim) => String(dim) === TIME ? own : dim) };
  });
  return unflattenTree<Tree<Spec>>(structure, named);
}

/** The inputs of the graph. */
function inputEdges(builder: GraphBuilder, input: Tree<Spec>, names: readonly string[]): Tree<Edge> {
  const { leaves, structure } = flattenTree<Spec>(input, "input");
  const edges = leaves.map((leaf, index): Edge => {
    const edge = builder.fresh(names[index]);
    leaf.shape.forEach((dim, axis) => {
      const symbol = symbolOf(dim);
      if (symbol !== undefined) builder.bindSymbol(symbol, edge, axis);
      else if (typeof dim !== "number") {
        throw new RangeError(
          `Cannot export to ONNX: axis ${axis} of ${
            printSpec(leaf)
          } is ${dim}; name it, as in spec([null, "steps"])`,
        );
      }
    });
    return { ...specOf(leaf), edge };
  });
  return unflattenTree<Tree<Edge>>(structure, edges);
}

/** The input of lengths, and the mask made from it. */
function lengthsMask(
  builder: GraphBuilder,
  name: string | undefined,
  input: Tree<Edge>,
): { readonly edges: readonly Edge[]; readonly mask: Mask } {
  if (name === undefined) return { edges: [], mask: undefined };
  const sequence = flattenTree<Edge>(input).leaves.find(({ shape }) => shape.length >= 2);
  if (!sequence) throw new TypeError("Cannot export to ONNX with lengths: no input has an axis of time");
  const [batch, time] = sequence.shape;
  const edge: Edge = { shape: [batch], dtype: "int32", edge: builder.fresh(name) };
  const count = (lengths: Tensor) => less(iota([1, time]), expandDims(lengths, 1));
  const { program } = trace(count, specOf(edge));
  const [counted] = translateProgram(builder.within("mask"), program, () => edge.edge);
  const mask: Edge = { shape: [batch, time], dtype: "bool", edge: counted, lengths: edge.edge };
  return { edges: [edge], mask: mask as Spec as Tensor }; // an edge stands for a tensor
}

/** The metadata of the file. */
function metadata(model: Layer): Partly<ModelProto>["metadataProps"] {
  try {
    return [{ key: "cellfold.model", value: JSON.stringify(toJson(model)) }];
  } catch (error) {
    if (error instanceof TypeError) return []; // a function is not data
    throw error;
  }
}

/**
 * Writes a model as an ONNX file, for inference: operators of version 17, which `onnx.checker` accepts and
 * onnxruntime and onnxruntime-web run.
 *
 * LSTM, GRU and RNN layers become the operators of these names (both directions of `bidirectional` in one
 * node), and likewise the normalizations. Every other cell, an LSTM with a projection, a layer whose mask may
 * have holes and one with activations that ONNX lacks become `Scan`, whose body is the cell's own Program;
 * all other layers are written operation by operation. The metadata holds the model's JSON under
 * `cellfold.model`, unless a function is among its options.
 *
 * @param model Any layer or model.
 * @param variables Its variables, on the host.
 * @returns The bytes of the file, weights included.
 * @throws TypeError or RangeError for what ONNX cannot express, or options that do not fit the model.
 *
 * @example
 * ```ts
 * import { assert } from "@std/assert";
 * import { dense, init, key, lstm, sequential, spec } from "@cellfold/cellfold";
 * import { toOnnx } from "@cellfold/cellfold/onnx";
 * const model = sequential([lstm({ units: 4 }), dense({ units: 2 })]);
 * const input = spec([null, null, 3]);
 * const bytes = toOnnx(model, init(model, key(0), input), { input });
 * assert(new TextDecoder().decode(bytes).includes("hidden_size"));
 * ```
 */
export function toOnnx(model: Layer, variables: Variables, options: ToOnnxOptions): Uint8Array<ArrayBuffer> {
  checkLayer("export to ONNX", model);
  checkVariables("export to ONNX", variables);
  checkOptions("toOnnx", options, ["input", "inputNames", "outputNames", "lengths", "rightPadded", "states"]);
  const input = separateTimes(options.input, inputNamesOf(model, options));
  if (input) {
    try {
      return written(model, variables, { ...options, input });
    } catch {
      // It needs equal lengths, or has another fault, which is told without the names that were made up.
    }
  }
  return written(model, variables, options);
}

/** The file. */
function written(model: Layer, variables: Variables, options: ToOnnxOptions): Uint8Array<ArrayBuffer> {
  const builder = GraphBuilder.create();
  const input = inputEdges(builder, options.input, inputNamesOf(model, options));
  const lengths = lengthsMask(builder, options.lengths, input);
  const context: ExportContext = {
    builder,
    rightPadded: options.rightPadded ?? false,
    states: options.states ?? false,
    stateInputs: [],
    stateOutputs: [],
    weights: new Map(),
    lengths: new Map(),
  };
  const name = isContainer(model) ? "" : model.name ?? model.type;
  const { output } = exportLayer(context, name, model, variables, {
    input,
    mask: lengths.mask,
    initialState: undefined,
  });
  const { leaves, paths } = flattenTree<Edge>(output);
  const names = leafNames("outputNames", options.outputNames, paths, "output");
  const outputs = leaves.map(({ shape, dtype, edge }, index): Edge => {
    const wanted = names[index];
    const free = builder.fresh(wanted);
    if (free !== wanted && options.outputNames) {
      throw new RangeError(`Cannot export to ONNX: the name ${JSON.stringify(wanted)} of an output is taken`);
    }
    const name = free === wanted ? wanted : builder.fresh(`output_${wanted}`);
    builder.named("Identity", [edge], name);
    return { shape, dtype, edge: name };
  });
  const inputs = [...flattenTree<Edge>(input).leaves, ...lengths.edges, ...context.stateInputs];
  return encodeModel({
    irVersion: BigInt(IR_VERSION),
    opsetImport: [{ domain: "", version: BigInt(OPSET) }],
    producerName: "cellfold",
    producerVersion: VERSION,
    metadataProps: metadata(model),
    graph: builder.graph(model.name ?? model.type, inputs, [...outputs, ...context.stateOutputs]),
  });
}
