/**
 * ONNX's node tests: for each operator, small models with inputs and outputs, written by ../python/node_cases.py. A test gives
 * every operand from outside, also those that determine shapes; what must be known is made a constant then.
 */
import {
  compile,
  type Device,
  host,
  type HostTensor,
  type Layer,
  type Tensor,
  tensor,
  type Tree,
} from "@cellfold/cellfold";
import { fromOnnx, OnnxError } from "@cellfold/cellfold/onnx";
import { operators } from "../../../../formats/onnx/import/operators/mod.ts";
import { qualified } from "../../../../formats/onnx/import/node.ts";
import {
  attributeTypes,
  decodeModel,
  encodeModel,
  type GraphProto,
  type ModelProto,
  type TensorProto,
} from "../../../../formats/onnx/protos.ts";
import { dataTypes, hostTensorOf, readTensor } from "../../../../formats/onnx/tensors.ts";

/** A test as it is stored. */
export interface NodeTest {
  readonly name: string;
  readonly model: Uint8Array;
  /** A model whose initializers are `in:NAME` and `out:NAME`. */
  readonly data: Uint8Array;
}

/** What came of a test; `unclaimed` is one with operators that are not supported. */
export interface Outcome {
  readonly result: "passed" | "failed" | "refused" | "unclaimed";
  readonly reason?: string;
}

/**
 * As far as the tests' own runner lets values differ; the absolute part is of the largest value of a tensor, as sums are
 * rounded by that.
 */
const RELATIVE = 1e-3, ABSOLUTE = 1e-7;

/** Halves are computed as floats here: their roundings on the way make several units of the last place. */
const HALVES: { readonly [type: number]: number } = {
  [dataTypes.float16]: 8 * 2 ** -11,
  [dataTypes.bfloat16]: 8 * 2 ** -9,
};

/** Operators whose values are random: the shapes are compared. */
const DRAWS = ["Bernoulli", "RandomUniformLike"];

/** The operators of a graph, and of those inside it. */
export function operatorsOf({ node }: GraphProto): string[] {
  return node.flatMap(({ opType, domain, attribute }) => [
    qualified(opType, domain),
    ...attribute.flatMap(({ g }) => g ? operatorsOf(g) : []),
  ]);
}

/** Runs a test: each operand from outside, where that can be; else whole numbers as constants, else all but the first. */
export async function runNodeTest({ model, data }: NodeTest, device?: Device): Promise<Outcome> {
  const proto = decodeModel(model);
  const { graph } = proto;
  if (!graph) return { result: "failed", reason: "it has no graph" };
  const needed = operatorsOf(graph);
  const lacking = needed.filter((name) => !Object.hasOwn(operators, name));
  if (lacking.length > 0) return { result: "unclaimed", reason: [...new Set(lacking)].join(", ") };
  const stored = decodeModel(data).graph?.initializer ?? [];
  const inputs = new Map(
    stored.filter(({ name }) => name.startsWith("in:")).map((t) => [t.name.slice(3), t]),
  );
  const isWhole = (name: string) => !FLOATS.includes(inputs.get(name)?.dataType ?? dataTypes.float);
  const names = graph.input.map(({ name }) => name);
  const fixings = [[], names.filter(isWhole), names.slice(1), names];
  const isRandom = needed.some((name) => DRAWS.includes(name));
  let refusal: string | undefined;
  for (const fixed of fixings) {
    try {
      return await compare(
        await outputsOf(withConstants(proto, inputs, fixed), inputs, device),
        stored,
        isRandom,
      );
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      refusal = error instanceof OnnxError ? error.message : `${error.name}: ${error.message}`;
      if (!error.message.includes("known")) break; // what must be known is not the matter
    }
  }
  return { result: "refused", reason: refusal };
}

const FLOATS: readonly number[] = [dataTypes.float, dataTypes.float16, dataTypes.double];

/** The model with some inputs as constants. A model without inputs gets one that nothing reads. */
function withConstants(
  proto: ModelProto,
  inputs: ReadonlyMap<string, TensorProto>,
  fixed: readonly string[],
): Uint8Array {
  const graph = proto.graph as GraphProto; // there is one, as was seen
  const left = graph.input.filter(({ name }) => !fixed.includes(name));
  const unread = { name: "unread", type: { tensorType: { elemType: dataTypes.float, shape: { dim: [] } } } };
  const constants = fixed.flatMap((name) => {
    const found = inputs.get(name);
    const value = { name: "value", type: attributeTypes.tensor, t: found };
    return found ? [{ opType: "Constant", output: [name], attribute: [value] }] : [];
  });
  return encodeModel(plain({
    ...proto,
    graph: {
      ...graph,
      input: left.length > 0 ? left : [unread],
      node: [...constants, ...graph.node],
    },
  }));
}

/** Messages that were read as those that can be written: without what the codec adds to them. */
function plain<T>(value: T): T {
  if (Array.isArray(value)) return value.map(plain) as T;
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
  const fields = Object.entries(value).filter(([name]) => !name.startsWith("$"));
  return Object.fromEntries(fields.map(([name, field]) => [name, plain(field)])) as T;
}

async function outputsOf(
  bytes: Uint8Array,
  given: ReadonlyMap<string, TensorProto>,
  device: Device | undefined,
): Promise<Map<string, HostTensor>> {
  const { model, variables, inputs, outputs } = fromOnnx(bytes);
  const named = Object.fromEntries(inputs.map(({ name }) => {
    const found = given.get(name);
    return [name, found ? valueOf(found) : tensor(0)];
  }));
  const input: Tree<Tensor> = inputs.length === 1 ? Object.values(named)[0] : named;
  const run = (x: Tree<Tensor>) => (model as Layer).apply(variables, x, { training: false }).output;
  const output = device === undefined ? run(input) : await (async () => {
    using compiled = compile(run, { device });
    return await compiled(input);
  })();
  const all = outputs.length === 1 ? { [outputs[0]]: output } : output;
  return new Map(
    Object.entries(all as { readonly [name: string]: Tensor }).map(([name, x]) => [name, host(x)]),
  );
}

function valueOf(proto: TensorProto): HostTensor {
  return hostTensorOf(proto.name, readTensor(proto.name, proto, undefined));
}

/** Whether outputs are those of the test. */
function compare(
  outputs: ReadonlyMap<string, HostTensor>,
  stored: readonly TensorProto[],
  onlyShapes: boolean,
): Outcome {
  for (const proto of stored) {
    if (!proto.name.startsWith("out:")) continue;
    const name = proto.name.slice(4), expected = valueOf(proto), actual = outputs.get(name);
    if (!actual) return { result: "failed", reason: `there is no output ${name}` };
    if (String(actual.shape) !== String(expected.shape)) {
      return {
        result: "failed",
        reason: `${name} has the shape [${actual.shape}], expected [${expected.shape}]`,
      };
    }
    if (onlyShapes) continue;
    const largest = Array.from(expected.data, Math.abs).filter(Number.isFinite).reduce(
      (a, b) => Math.max(a, b),
      1,
    );
    const relative = HALVES[proto.dataType] ?? RELATIVE;
    const wrong = actual.data.findIndex((value, index) => {
      const wanted = expected.data[index];
      return !(Object.is(value, wanted) ||
        Math.abs(value - wanted) <= ABSOLUTE * largest + relative * Math.abs(wanted));
    });
    if (wrong >= 0) {
      return {
        result: "failed",
        reason: `${name}[${wrong}] is ${actual.data[wrong]}, expected ${expected.data[wrong]}`,
      };
    }
  }
  return { result: "passed" };
}
