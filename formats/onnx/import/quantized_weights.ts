/**
 * Weights that a file stores as whole numbers with scales. They are kept as the floats that they stand for, so that
 * training goes on in floats; operators that take whole numbers get them back, divided by their scale.
 */
import { add, cast, div, mul, sub } from "../../../src/operations/elementwise.ts";
import { reshape, transpose } from "../../../src/operations/structure.ts";
import { host, type HostTensor, printSpec, type Tensor } from "../../../src/tensor/tensor.ts";
import { OnnxError, reading } from "../errors.ts";
import { type Constant, hostTensorOf } from "../tensors.ts";
import { countReads } from "./graph.ts";
import { attribute, axisOf, type Node } from "./node.ts";
import type { Graph } from "./operator.ts";
import { roundToEven } from "./operators/rounding.ts";
import { type Blocks, dequantized, rangeOf, spread } from "./quantized.ts";
import { type OnnxValue, wholeValue } from "./values.ts";

/** Which inputs are scales and which zero points of what is quantized, by operator. */
const PARTS: {
  readonly [operator: string]: { readonly scales: readonly number[]; readonly zeros: readonly number[] };
} = {
  QuantizeLinear: { scales: [1], zeros: [2] },
  DequantizeLinear: { scales: [1], zeros: [2] },
  "com.microsoft.QuantizeLinear": { scales: [1], zeros: [2] },
  "com.microsoft.DequantizeLinear": { scales: [1], zeros: [2] },
  "com.microsoft.DynamicQuantizeLSTM": { scales: [8, 10], zeros: [9, 11] },
  "com.microsoft.QLinearAdd": { scales: [1, 4, 6], zeros: [2, 5, 7] },
  "com.microsoft.QLinearLeakyRelu": { scales: [1, 3], zeros: [2, 4] },
  "com.microsoft.QLinearMul": { scales: [1, 4, 6], zeros: [2, 5, 7] },
  "com.microsoft.QLinearSigmoid": { scales: [1, 3], zeros: [2, 4] },
  QLinearConv: { scales: [1, 4, 6], zeros: [2, 5, 7] },
  QLinearMatMul: { scales: [1, 4, 6], zeros: [2, 5, 7] },
};

/** The inputs of an operator that are scales. */
export function scaleInputs(operator: string): readonly number[] {
  return PARTS[operator]?.scales ?? [];
}

/**
 * Throws unless the scales that a graph, or one inside it, has as constants are above 0, and zero points have the type of
 * what they belong to, or one that floats are quantized to.
 */
export function checkScales(
  { steps, constants, types }: Graph,
  outer: ReadonlyMap<string, Constant> = new Map(),
): void {
  const all = new Map([...outer, ...constants]);
  for (const { node, graphs } of steps) {
    const { scales, zeros } = PARTS[node.operator] ?? { scales: [], zeros: [] };
    for (const index of scales) {
      const scale = all.get(node.inputs[index] ?? "");
      const wrong = scale && Array.from(scale.data, Number).find((value) => !(value > 0 && value < Infinity));
      if (wrong !== undefined) {
        throw new OnnxError(
          node.place,
          `its scale (input ${index}) has the element ${wrong}, expected numbers above 0`,
        );
      }
    }
    for (const index of zeros) {
      const type = types.get(node.inputs[index] ?? "");
      if (!type) continue;
      const of = node.operator.endsWith("DequantizeLinear") ? types.get(node.inputs[0]) : undefined;
      if (of && of !== type) {
        throw new OnnxError(
          node.place,
          `its zero point (input ${index}) is ${type}, expected ${of}, as what it belongs to`,
        );
      }
      if (!of) reading(`${node.place}, zero point (input ${index})`, () => rangeOf(type));
    }
    for (const inner of graphs.values()) checkScales(inner, all);
  }
}

/** A weight that is stored as whole numbers. */
export interface QuantizedWeight {
  /** The floats that they stand for: what is trained. */
  readonly floats: HostTensor;
  /** The initializer with the scales, which are numbers and no weights. */
  readonly scale: string;
  /** The whole numbers again, of floats that training may have moved between them. */
  restore(floats: Tensor): OnnxValue;
}

/** The scale and zero point of an initializer as one of its readers has them. */
interface Scaling {
  readonly scale: string;
  readonly zero: string;
  readonly blocks: Blocks;
}

/** A node that reads a value, and as which of its inputs. */
interface Reader {
  readonly node: Node;
  readonly index: number;
}

/** The nodes of a graph around their values. */
class Edges {
  readonly #readers = new Map<string, Reader[]>();
  readonly #makers = new Map<string, Node>();

  constructor({ steps }: Graph) {
    for (const { node } of steps) {
      node.inputs.forEach((name, index) =>
        this.#readers.set(name, [...this.#readers.get(name) ?? [], { node, index }])
      );
      for (const name of node.outputs) this.#makers.set(name, node);
    }
  }

  readersOf(name: string): readonly Reader[] {
    return this.#readers.get(name) ?? [];
  }

  makerOf(name: string): Node | undefined {
    return this.#makers.get(name);
  }
}

/** The operators between a product of whole numbers and its scale: a bias is added, and all of it becomes floats. */
const BETWEEN = ["Cast", "Add", "Reshape", "Squeeze", "Unsqueeze", "Transpose"];

/** How many of them there may be. */
const MOST_BETWEEN = 6;

/**
 * The scale of the right operand of an integer product, from the factor that turns its results into floats: the product of
 * both scales, of which the left one is that of DynamicQuantizeLinear.
 */
function scaleBehind(product: Node, edges: Edges): string | undefined {
  const left = edges.makerOf(product.inputs[0]);
  if (left?.operator !== "DynamicQuantizeLinear") return undefined;
  let [name] = product.outputs;
  for (let steps = 0; steps < MOST_BETWEEN; steps++) {
    const readers = edges.readersOf(name);
    if (readers.length !== 1) return undefined;
    const [{ node, index }] = readers;
    if (node.operator === "Mul") {
      const scales = edges.makerOf(node.inputs[1 - index]);
      if (scales?.operator !== "Mul" || !scales.inputs.includes(left.outputs[1])) return undefined;
      return scales.inputs.find((input) => input !== left.outputs[1]);
    }
    if (!BETWEEN.includes(node.operator)) return undefined;
    [name] = node.outputs;
  }
  return undefined;
}

/** How a node that reads whole numbers scales them. */
function scalingBy({ node, index }: Reader, rank: number, edges: Edges): Scaling | undefined {
  const [, , , fourth = "", fifth = "", sixth = ""] = node.inputs;
  const along = (axis: number): Blocks => ({ axis, size: 0 });
  const product = (axis: number): Scaling | undefined => {
    const scale = index === 1 ? scaleBehind(node, edges) : undefined;
    return scale === undefined ? undefined : { scale, zero: fourth, blocks: along(axis) };
  };
  switch (node.operator) {
    case "DequantizeLinear":
    case "com.microsoft.DequantizeLinear": {
      const axis = attribute(node, "axis", "int") ?? 1;
      const size = attribute(node, "block_size", "int") ?? 0;
      if (index !== 0 || (size === 0 && axis >= rank)) return undefined;
      return {
        scale: node.inputs[1],
        zero: node.inputs[2] ?? "",
        blocks: { axis: axisOf(axis, rank), size },
      };
    }
    case "MatMulInteger":
      return product(rank - 1);
    case "ConvInteger":
      return product(0);
    case "com.microsoft.QLinearAdd":
    case "com.microsoft.QLinearMul":
      return index === 0 || index === 3
        ? { scale: node.inputs[index + 1] ?? "", zero: node.inputs[index + 2] ?? "", blocks: along(rank) }
        : undefined;
    case "QLinearMatMul":
    case "QLinearConv":
      return index === 3
        ? { scale: fifth, zero: sixth, blocks: along(node.operator === "QLinearConv" ? 0 : rank - 1) }
        : undefined;
    default:
      return undefined;
  }
}

/** The types of weights; int32 is that of biases. */
const WHOLE: readonly string[] = ["int8", "uint8", "int16", "uint16", "int32"];

/** Initializers of whole numbers that are weights, by name: those whose readers all scale them by the same constants. */
export function quantizedWeights(graph: Graph): Map<string, QuantizedWeight> {
  const edges = new Edges(graph);
  const reads = countReads(graph);
  const found = new Map<string, QuantizedWeight>();
  for (const [name, constant] of graph.constants) {
    if (!WHOLE.includes(constant.type)) continue;
    const readers = edges.readersOf(name);
    if (readers.length === 0 || readers.length !== reads.get(name)) continue; // or graphs inside read it
    const scalings = readers.map((reader) => scalingBy(reader, constant.shape.length, edges));
    const [scaling] = scalings;
    const agree = scaling &&
      scalings.every((other) =>
        other && other.scale === scaling.scale && other.zero === scaling.zero &&
        other.blocks.axis === scaling.blocks.axis && other.blocks.size === scaling.blocks.size
      );
    const weight = agree ? weightOf(graph, name, constant, scaling, readers[0].node) : undefined;
    if (weight) found.set(name, weight);
  }
  return found;
}

function weightOf(
  { constants }: Graph,
  name: string,
  constant: Constant,
  { scale, zero, blocks }: Scaling,
  { place }: Node,
): QuantizedWeight | undefined {
  const [scales, zeros] = [constants.get(scale), constants.get(zero)];
  if (!scales || scales.type !== "float" || (zero !== "" && !zeros)) return undefined;
  return reading(`${place}, with the quantized weights ${JSON.stringify(name)}`, () => {
    const floatsOf = (name: string, constant: Constant) => cast(hostTensorOf(name, constant), "float32");
    const whole = floatsOf(name, constant);
    const factor = spread(floatsOf(scale, scales), whole, blocks, "scale");
    const offset = zeros && spread(floatsOf(zero, zeros), whole, blocks, "zero point");
    return {
      floats: host(dequantized(whole, factor, offset)),
      scale,
      restore: (floats: Tensor) => {
        const steps = div(floats, factor);
        const again = offset ? add(steps, offset) : steps;
        return wholeValue(again, () => cast(roundToEven(again), "int32"));
      },
    };
  });
}

/** The quantized weights of a node `DynamicQuantizeLSTM`: `[directions, inputs, 4·units]`, one scale for each direction or column. */
export interface QuantizedMatrix {
  readonly whole: Tensor;
  readonly scale: Tensor;
  readonly zero: Tensor | undefined;
}

/** Such weights as the operator LSTM has them: `[directions, 4·units, inputs]`. */
export function lstmWeights({ whole, scale, zero }: QuantizedMatrix, what: string): Tensor {
  const [directions, , gates] = whole.shape;
  const wide = (part: Tensor): Tensor => {
    const { shape } = part;
    if (shape.length === 1 && shape[0] === directions) return reshape(part, [directions, 1, 1]);
    if (shape.length === 2 && shape[0] === directions && shape[1] === gates) {
      return reshape(part, [directions, 1, gates]);
    }
    throw new TypeError(
      `its ${what} is ${printSpec(whole)}, with ${
        printSpec(part)
      } for its scales or zero points; expected three axes, and ` +
        `one for each direction or for each of its columns`,
    );
  };
  if (whole.shape.length !== 3) return wide(whole);
  const floats = mul(zero ? sub(whole, wide(zero)) : whole, wide(scale));
  return transpose(floats, { permutation: [0, 2, 1] });
}
