import { assert, assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  compile,
  type HostTensor,
  hostTensor,
  mapTree,
  mul,
  spec,
  type Tensor,
  tensor,
  type Tree,
} from "@cellfold/cellfold";
import {
  decodeSafetensors,
  encodeSafetensors,
  readSafetensors,
  restoreTree,
  writeSafetensors,
} from "@cellfold/cellfold/safetensors";
import { fileOf, streamOf, textOf } from "./helpers.ts";

const tree = {
  params: [{ kernel: tensor([[1, 2], [3, 4]]), bias: tensor([5, 6]) }, {}],
  state: {
    mask: tensor([true, false, true]),
    step: tensor(7, { dtype: "int32" }),
    none: tensor([], { shape: [0, 2] }),
  },
  wide: tensor([1 / 3], { dtype: "float64" }),
};

Deno.test("a tree is written under its paths and read back, value for value", () => {
  const { tensors, metadata } = decodeSafetensors(encodeSafetensors(tree, { metadata: { by: "us" } }));
  assertEquals(metadata, { by: "us" });
  assertEquals(Object.keys(tensors).sort(), [
    "params/0/bias",
    "params/0/kernel",
    "state/mask",
    "state/none",
    "state/step",
    "wide",
  ]);
  assertEquals(restoreTree(tree, tensors), tree);
});

Deno.test("floats are written in 16 bits if that is asked for, at once and in pieces, and read as the nearest", async () => {
  const values = [1, -1 / 3, 2 ** -30, -0, Infinity, NaN];
  const given = { x: tensor(values), count: tensor([3], { dtype: "int32" }), flag: tensor([true]) };
  const brain = new Float32Array(Uint32Array.of(0xbeab << 16).buffer)[0]; // -1/3 to 8 bits
  for (
    const [floats, type, read] of [
      ["float32", "F32", [...Float32Array.from(values)]],
      ["float16", "F16", values.map((value) => Math.f16round(value))],
      ["bfloat16", "BF16", [1, brain, 2 ** -30, -0, Infinity, NaN]],
    ] as const
  ) {
    const bytes = encodeSafetensors(given, { floats });
    assertStringIncludes(new TextDecoder().decode(bytes), `"x":{"dtype":"${type}","shape":[6]`);
    const { tensors } = decodeSafetensors(bytes);
    assertEquals([tensors.x.dtype, ...tensors.x.data], ["float32", ...read]);
    assertEquals([tensors.count, tensors.flag], [given.count, given.flag]);
    const pieces = new Uint8Array(await new Response(writeSafetensors(given, { floats })).arrayBuffer());
    assertEquals(pieces, bytes);
  }
  const large = { layers: [{ kernel: tensor([1, -65520]) }] };
  assertThrows(
    () => encodeSafetensors(large, { floats: "float16" }),
    RangeError,
    'Cannot write "layers/0/kernel" as F16: it has -65520, which would be infinite',
  );
  await assertRejects(
    () => new Response(writeSafetensors(large, { floats: "float16" })).arrayBuffer(),
    RangeError,
  );
  assertEquals(
    decodeSafetensors(encodeSafetensors({ x: tensor([65519]) }, { floats: "float16" })).tensors.x.data[0],
    65504,
  );
  assertThrows(
    () => encodeSafetensors({ x: tensor([3.4e38]) }, { floats: "bfloat16" }),
    RangeError,
    "as BF16",
  );
  const wide = decodeSafetensors(
    encodeSafetensors({ x: tensor([1 / 3], { dtype: "float64" }) }, { floats: "float16" }),
  );
  assertEquals(wide.tensors.x.data[0], 1 / 3, "float64 stays");
  assertThrows(
    () => encodeSafetensors(given, { floats: "float8" as "float16" }),
    RangeError,
    'format of floats "float8"',
  );
  assertThrows(() => writeSafetensors(given, { floats: 16 as never }), TypeError, "expected one of float32");
  assertThrows(() => encodeSafetensors({}, { floats: "float8" as "float16" }), RangeError, '"float8"');
});

Deno.test("the bytes are those that the format describes", () => {
  const bytes = encodeSafetensors({ b: tensor([true]), a: tensor([1, 2]) }, { metadata: { k: "v" } });
  const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  assertEquals(length % 8, 0);
  assertEquals(JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length))), {
    __metadata__: { k: "v" },
    a: { dtype: "F32", shape: [2], data_offsets: [0, 8] },
    b: { dtype: "BOOL", shape: [1], data_offsets: [8, 9] },
  });
  assertEquals([...bytes.subarray(8 + length)], [0, 0, 0x80, 0x3f, 0, 0, 0, 0x40, 1]);
});

const leaf: fc.Arbitrary<HostTensor> = fc.tuple(
  fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 3 }),
  fc.constantFrom("float32", "float64", "int32", "bool"),
  fc.integer(),
).map(([shape, dtype, seed]) => {
  const size = shape.reduce((a, b) => a * b, 1);
  const values = Array.from({ length: size }, (_, i) => dtype === "bool" ? (seed + i) & 1 : (seed ^ i) | 0);
  return tensor(values, { shape, dtype });
});
const trees: fc.Arbitrary<Tree<Tensor>> = fc.letrec<{ tree: Tree<Tensor> }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 3 },
    leaf,
    fc.array(tie("tree"), { maxLength: 3 }),
    fc.dictionary(fc.string().filter((key) => !key.includes("/") && !key.startsWith("__")), tie("tree"), {
      maxKeys: 3,
      noNullPrototype: true,
    }),
  ),
})).tree;

Deno.test("any tree comes back from bytes and from a stream, which has the same bytes", async () => {
  await fc.assert(
    fc.asyncProperty(trees, fc.integer({ min: 1, max: 50 }), async (tree, portion) => {
      const bytes = encodeSafetensors(tree);
      assertEquals(new Uint8Array(await new Response(writeSafetensors(tree)).arrayBuffer()), bytes);
      const { tensors } = decodeSafetensors(bytes);
      assertEquals(restoreTree(tree, tensors), tree);
      assertEquals((await readSafetensors(streamOf(bytes, portion))).tensors, tensors);
      assertEquals(
        (await readSafetensors(streamOf(bytes, portion), { length: bytes.length })).tensors,
        tensors,
      );
    }),
    { numRuns: 200 },
  );
});

Deno.test("NaN, infinities and zeros of both signs keep their bits", () => {
  const bits = Uint32Array.of(0x7fc00001, 0xffc00002, 0x7f800000, 0xff800000, 0x80000000, 1);
  const { tensors } = decodeSafetensors(
    encodeSafetensors({ x: hostTensor(new Float32Array(bits.buffer), [6]) }),
  );
  assertEquals(new Uint32Array(tensors.x.data.buffer), bits);
});

/** A file of one tensor `x`. */
function oneTensor(dtype: string, shape: number[], data: Uint8Array): Uint8Array {
  return fileOf({ x: { dtype, shape, data_offsets: [0, data.length] } }, data);
}

Deno.test("other element types become the dtype that holds their values", () => {
  const read = (dtype: string, data: ArrayBufferView) => {
    const bytes = new Uint8Array(data.buffer);
    const size = { I8: 1, U8: 1, I64: 8, U64: 8, U32: 4 }[dtype] ?? 2;
    const { x } = decodeSafetensors(oneTensor(dtype, [bytes.length / size], bytes)).tensors;
    return [x.dtype, ...x.data];
  };
  assertEquals(
    read("F16", Uint16Array.of(0x3c00, 0xc000, 0x7bff, 0x0001, 0x03ff, 0x0400, 0x7c00, 0xfc00, 0x8000)),
    ["float32", 1, -2, 65504, 2 ** -24, 1023 * 2 ** -24, 2 ** -14, Infinity, -Infinity, -0],
  );
  assert(Number.isNaN(read("F16", Uint16Array.of(0x7e00))[1]));
  assertEquals(read("BF16", Uint16Array.of(0x3f80, 0xc040, 0x7f80)), ["float32", 1, -3, Infinity]);
  assertEquals(read("I8", Int8Array.of(-128, 127)), ["int32", -128, 127]);
  assertEquals(read("U8", Uint8Array.of(0, 255)), ["int32", 0, 255]);
  assertEquals(read("I16", Int16Array.of(-32768)), ["int32", -32768]);
  assertEquals(read("U16", Uint16Array.of(65535)), ["int32", 65535]);
  assertEquals(read("U32", Uint32Array.of(2 ** 31 - 1)), ["int32", 2 ** 31 - 1]);
  assertEquals(read("I64", BigInt64Array.of(-(2n ** 31n), 5n)), ["int32", -(2 ** 31), 5]);
  assertEquals(read("U64", BigUint64Array.of(9n)), ["int32", 9]);
  const fails = (dtype: string, data: ArrayBufferView, reason: string) =>
    assertThrows(() => read(dtype, data), SyntaxError, reason);
  fails("I64", BigInt64Array.of(0n, 2n ** 31n), 'the tensor "x" (I64): element 1 is 2147483648');
  fails("U32", Uint32Array.of(2 ** 31), "element 0 is 2147483648");
  fails("U64", BigUint64Array.of(2n ** 63n), "int32, the only dtype of whole numbers here, cannot hold");
  assertThrows(
    () => decodeSafetensors(oneTensor("BOOL", [2], Uint8Array.of(1, 2))),
    SyntaxError,
    "element 1 is the byte 2",
  );
  assertThrows(
    () => decodeSafetensors(oneTensor("F8_E4M3", [1], Uint8Array.of(1))),
    SyntaxError,
    'the tensor "x" has the dtype "F8_E4M3", expected one of F32, F64',
  );
});

Deno.test("tensors that begin at odd bytes are read", () => {
  const file = fileOf({
    flag: { dtype: "BOOL", shape: [1], data_offsets: [0, 1] },
    x: { dtype: "F32", shape: [1], data_offsets: [1, 5] },
  }, Uint8Array.of(1, 0, 0, 0x80, 0x3f));
  assertEquals(decodeSafetensors(file).tensors.x, tensor([1]));
});

const entry = (shape: unknown, offsets: unknown, dtype: unknown = "F32") => ({
  dtype,
  shape,
  data_offsets: offsets,
});

const hostile: Readonly<Record<string, { readonly file: Uint8Array; readonly reason: string }>> = {
  "nothing": { file: new Uint8Array(0), reason: "expected at least 8" },
  "seven bytes": { file: new Uint8Array(7), reason: "expected at least 8" },
  "a header of gigabytes": {
    file: Uint8Array.of(0, 0, 0, 0, 1, 0, 0, 0, 0x7b),
    reason: "its header is said to have 4294967296 bytes, expected at most 100000000",
  },
  "a header beyond the end": {
    file: Uint8Array.of(9, 0, 0, 0, 0, 0, 0, 0, 0x7b, 0x7d),
    reason: "its header is said to have 9 bytes, but only 2 follow",
  },
  "a header of all ones": { file: new Uint8Array(64).fill(255), reason: "18446744073709551615 bytes" },
  "a header that is no text": { file: textOf(Uint8Array.of(0x7b, 0xff, 0x7d)), reason: "no UTF-8" },
  "a header that is no object": { file: textOf("[]"), reason: "does not begin with {" },
  "a header that begins with a space": { file: textOf(" {}"), reason: "does not begin with {" },
  "a header that is cut": { file: textOf('{"x":'), reason: "its header is no JSON" },
  "a header nested deep": { file: textOf(`{"x":${"[".repeat(1e6)}`), reason: "its header is no JSON" },
  "an entry nested deep": {
    file: textOf(`{"x":${"[".repeat(1e5)}${"]".repeat(1e5)}}`),
    reason: 'the tensor "x" is described by something that is no object',
  },
  "an entry that is null": { file: fileOf({ x: null }), reason: "no object" },
  "an unknown dtype": { file: fileOf({ x: entry([1], [0, 4], "F33") }), reason: 'has the dtype "F33"' },
  "a dtype that is no text": { file: fileOf({ x: entry([1], [0, 4], 4) }), reason: "has the dtype a number" },
  "a negative size": { file: fileOf({ x: entry([-1], [0, 4]) }), reason: "whole numbers from 0" },
  "a size with a fraction": { file: fileOf({ x: entry([0.5], [0, 2]) }), reason: "whole numbers from 0" },
  "a size that overflows": {
    file: fileOf({ x: entry([2 ** 40, 2 ** 40], [0, 4]) }),
    reason: "more than any file can hold",
  },
  "sizes that overflow to 0 in 64 bits": {
    file: fileOf({ x: entry([2 ** 32, 2 ** 32], [0, 0]) }),
    reason: "more than any file can hold",
  },
  "a size beyond exact numbers": {
    file: fileOf({ x: entry([2 ** 60], [0, 4]) }),
    reason: "whole numbers from 0",
  },
  "offsets beyond the end": {
    file: fileOf({ x: entry([2], [0, 8]) }, new Uint8Array(4)),
    reason: "its tensors have 8 bytes, but 4 follow the header",
  },
  "offsets that go back": {
    file: fileOf({ x: entry([1], [4, 0]) }, new Uint8Array(4)),
    reason: "are [4, 0]",
  },
  "offsets of another size": {
    file: fileOf({ x: entry([2], [0, 4]) }, new Uint8Array(4)),
    reason: "of 8 bytes",
  },
  "three offsets": { file: fileOf({ x: entry([1], [0, 4, 8]) }), reason: "no pair" },
  "a gap": {
    file: fileOf({ x: entry([1], [0, 4]), y: entry([1], [8, 12]) }, new Uint8Array(12)),
    reason: 'the tensor "y" begins at byte 8 of the data and leaves a gap after',
  },
  "an overlap": {
    file: fileOf({ x: entry([2], [0, 8]), y: entry([1], [4, 8]) }, new Uint8Array(8)),
    reason: "overlaps what is before it",
  },
  "bytes that no tensor has": {
    file: fileOf({ x: entry([1], [0, 4]) }, new Uint8Array(5)),
    reason: "but 5 follow",
  },
  "metadata that are no object": { file: fileOf({ __metadata__: [] }), reason: "__metadata__ is no object" },
  "metadata that are no text": {
    file: fileOf({ __metadata__: { a: 1 } }),
    reason: '__metadata__ "a" is no text',
  },
};

for (const [name, { file, reason }] of Object.entries(hostile)) {
  Deno.test(`a file with ${name} is refused, from bytes and from a stream`, async () => {
    assertThrows(() => decodeSafetensors(file), SyntaxError, reason);
    const read = (options: { length?: number }) => readSafetensors(streamOf(file, 3), options);
    await assertRejects(
      () => read({ length: file.length }),
      SyntaxError,
      "Cannot read the safetensors file: ",
    );
    await assertRejects(() => read({}), SyntaxError, "Cannot read the safetensors file: ");
  });
}

Deno.test("a stream that is said to be of another length is refused, and let go", async () => {
  const bytes = encodeSafetensors({ x: tensor([1, 2, 3]) });
  for (const length of [0, 8, bytes.length - 1, bytes.length + 1]) {
    await assertRejects(() => readSafetensors(streamOf(bytes, 7), { length }), SyntaxError);
    await assertRejects(() => readSafetensors(bytes, { length }), SyntaxError);
  }
  await assertRejects(() => readSafetensors(bytes, { length: -1 }), RangeError, "length is -1");
  let cancelled = false;
  const endless = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(new Uint8Array(64).fill(255)),
    cancel: () => void (cancelled = true),
  });
  await assertRejects(() => readSafetensors(endless), SyntaxError);
  assert(cancelled, "the stream is cancelled");
});

Deno.test("a stream is not believed about sizes: a header of a tensor of terabytes takes no memory", async () => {
  const huge = fileOf({ x: entry([2 ** 40], [0, 2 ** 42]) }, new Uint8Array(100));
  await assertRejects(
    () => readSafetensors(streamOf(huge, 50)),
    SyntaxError,
    'it ends after 100 of the 4398046511104 bytes of the tensor "x"',
  );
});

Deno.test("names such as __proto__ are names", () => {
  const { tensors } = decodeSafetensors(
    textOf(`{"__proto__":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}`),
  );
  assertEquals(Object.keys(tensors), ["__proto__"]);
  assertEquals(Object.getPrototypeOf(tensors), Object.prototype);
});

Deno.test("what cannot be written is refused by name", async () => {
  assertThrows(() => encodeSafetensors({ "a/b": tensor(1), a: { b: tensor(1) } }), RangeError, 'named "a/b"');
  assertThrows(() => encodeSafetensors({ __metadata__: tensor(1) }), RangeError, "reserve");
  const metadata = { epoch: 3 } as unknown as Record<string, string>;
  assertThrows(() => encodeSafetensors({}, { metadata }), TypeError, 'the metadata "epoch"');
  assertThrows(() => encodeSafetensors(spec([2]) as Tensor), TypeError, "float32[2] has no values");
  const misspelt: object = { metdata: {} };
  assertThrows(() => encodeSafetensors({}, misspelt), RangeError, 'did you mean "metadata"?');
  using double = compile((x: Tensor) => mul(x, 2), { device: "reference", keep: true });
  const onDevice = await double(tensor([1, 2]));
  assertThrows(
    () => encodeSafetensors({ x: onDevice }),
    TypeError,
    "it is on the device reference; use await toHost",
  );
  const bytes = new Uint8Array(await new Response(writeSafetensors({ x: onDevice })).arrayBuffer());
  assertEquals(decodeSafetensors(bytes).tensors.x, tensor([2, 4]));
});

Deno.test("restoring names all that is missing, unexpected or different", () => {
  const template = { a: tensor([1]), b: [tensor([1, 2]), tensor([3])] };
  assertThrows(
    () =>
      restoreTree(template, { a: tensor([1, 2]), "b/0": tensor([1, 2], { dtype: "int32" }), c: tensor(1) }),
    TypeError,
    'missing "b/1"; unexpected "c"; of another shape or dtype "a" (float32[2], expected float32[1]), ' +
      '"b/0" (int32[2], expected float32[2])',
  );
  const specs = mapTree(template, ({ shape, dtype }: Tensor) => ({ shape, dtype }));
  assertEquals(
    restoreTree(specs, decodeSafetensors(encodeSafetensors(template)).tensors),
    template,
  );
});

Deno.test("decodeSafetensors: a name that is there twice is refused, at any depth and however it is written", () => {
  const file = (header: string, data: number) => {
    const text = new TextEncoder().encode(header);
    const bytes = new Uint8Array(8 + text.length + data);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
    bytes.set(text, 8);
    return bytes;
  };
  const entry = '{"dtype":"F32","shape":[1],"data_offsets":[0,4]}';
  const refused = (header: string, name: string) =>
    assertThrows(() => decodeSafetensors(file(header, 4)), SyntaxError, `has the name ${name} twice`);
  refused(`{"w":${entry},"w":${entry}}`, '"w"');
  refused(`{"w":${entry},"\\u0077":${entry}}`, '"w"');
  refused(`{"a\\"b":${entry}, "other": ${entry}, "a\\"b" :${entry}}`, '"a\\"b"');
  refused('{"w":{"dtype":"F32","shape":[1],"shape":[1],"data_offsets":[0,4]}}', '"shape"');
  refused(`{"__metadata__":{"k":"1","k":"2"},"w":${entry}}`, '"k"');
  const whole = decodeSafetensors(file(`{"__metadata__":{"w":"a:\\"{w}","x":"w:"},"w":${entry}}`, 4));
  assertEquals(whole.metadata, { w: 'a:"{w}', x: "w:" });
});
