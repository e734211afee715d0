/** Element types that tensors here do not have: floats of half precision, doubles among floats, unsigned integers. */
import { type HostTensor, tensor } from "@cellfold/cellfold";
import { fromOnnx, OnnxError } from "@cellfold/cellfold/onnx";
import { assertEquals, assertThrows } from "@std/assert";
import { encodeModel, type Partly, type TensorProto } from "../../../formats/onnx/protos.ts";
import { dataTypes } from "../../../formats/onnx/tensors.ts";
import { graphOf, type GraphParts, node } from "./support/graphs.ts";

const x = tensor([[0, 0, 0, 0]]);

/** A file that adds what these nodes make of `w` to the input. */
function fileWith(nodes: GraphParts["nodes"], initializer: Partly<TensorProto>, opset = 21) {
  const graph = graphOf({
    nodes: [...nodes, node("Add", ["x", "sum"], ["out"])],
    inputs: { x },
    outputs: { out: "float32" },
  });
  return encodeModel({
    irVersion: 10n,
    opsetImport: [{ domain: "", version: BigInt(opset) }],
    graph: { ...graph, initializer: [{ name: "w", ...initializer }] },
  });
}

const asFloat = [node("Cast", ["w"], ["sum"], { to: dataTypes.float })];

function valuesOf(bytes: Uint8Array): number[] {
  const { model, variables } = fromOnnx(bytes);
  return [...(model.apply(variables, x, { training: false }).output as HostTensor).data]; // eager, one output
}

const bits = (values: readonly number[]) => new Uint8Array(Uint16Array.from(values).buffer);

Deno.test("fromOnnx: floats of half precision become float32, to the bit", () => {
  // 1, the smallest number and the largest, and minus infinity.
  const half = [0x3c00, 0x0001, 0x7bff, 0xfc00];
  const floats = [1, 2 ** -24, 65504, -Infinity];
  const shape = { dims: [4n], dataType: dataTypes.float16 };
  assertEquals(valuesOf(fileWith(asFloat, { ...shape, rawData: bits(half) })), floats);
  assertEquals(valuesOf(fileWith(asFloat, { ...shape, int32Data: half })), floats);
  const brain = [0x3f80, 0xc020, 0x7f80, 0x0001];
  const brains = { dims: [4n], dataType: dataTypes.bfloat16 };
  assertEquals(valuesOf(fileWith(asFloat, { ...brains, rawData: bits(brain) })), [
    1,
    -2.5,
    Infinity,
    2 ** -133,
  ]);
  assertEquals(valuesOf(fileWith(asFloat, { ...brains, int32Data: brain })), [1, -2.5, Infinity, 2 ** -133]);
  const nan = valuesOf(fileWith(asFloat, { ...shape, rawData: bits([0x7e00, 0, 0x8000, 0]) }));
  assertEquals(nan.map(Number.isNaN), [true, false, false, false]);
});

Deno.test("fromOnnx: doubles beside inputs of floats are computed as floats", () => {
  const doubles = { dims: [4n], dataType: dataTypes.double };
  const values = [0.1, -2, 3e5, 1 / 3];
  const nodes = [
    node("Cast", ["x"], ["wide"], { to: dataTypes.double }),
    node("Add", ["wide", "w"], ["added"]),
    node("Cast", ["added"], ["sum"], { to: dataTypes.float }),
  ];
  const expected = values.map(Math.fround);
  const raw = new Uint8Array(Float64Array.from(values).buffer);
  assertEquals(valuesOf(fileWith(nodes, { ...doubles, rawData: raw })), expected);
  assertEquals(valuesOf(fileWith(nodes, { ...doubles, doubleData: values })), expected);
  assertThrows(() => valuesOf(fileWith(nodes, { ...doubles, rawData: raw.slice(1) })), OnnxError, "31 bytes");
});

Deno.test("fromOnnx: unsigned integers are int32 where they fit", () => {
  const small = [1, 2, 3, 2 ** 31 - 1];
  const raw32 = new Uint8Array(Uint32Array.from(small).buffer);
  const raw64 = new Uint8Array(BigUint64Array.from(small, BigInt).buffer);
  const expected = small.map(Math.fround);
  for (
    const [dataType, rawData] of [[dataTypes.uint32, raw32], [dataTypes.uint64, raw64]] as const
  ) {
    assertEquals(valuesOf(fileWith(asFloat, { dims: [4n], dataType, rawData })), expected);
    assertEquals(
      valuesOf(fileWith(asFloat, { dims: [4n], dataType, uint64Data: small.map(BigInt) })),
      expected,
    );
  }
  const large = new Uint8Array(Uint32Array.from([1, 2, 3, 2 ** 31]).buffer);
  const wide = { dims: [2n, 2n], dataType: dataTypes.uint32, rawData: large }; // no sizes, which may be larger
  assertThrows(() => valuesOf(fileWith(asFloat, wide)), OnnxError, "2147483648, which is no int32");
  const huge = { dims: [1n], dataType: dataTypes.uint64, uint64Data: [2n ** 63n] };
  assertThrows(() => valuesOf(fileWith(asFloat, huge)), OnnxError, "expected less than 2^63");
});

Deno.test("fromOnnx: the newest operator sets are read, and later ones refused", () => {
  const weights = { dims: [4n], dataType: dataTypes.float, floatData: [1, 2, 3, 4] };
  const nodes = [node("Identity", ["w"], ["sum"])];
  assertEquals(valuesOf(fileWith(nodes, weights, 28)), [1, 2, 3, 4]);
  assertThrows(() => valuesOf(fileWith(nodes, weights, 29)), OnnxError, "expected 7 to 28");
});
