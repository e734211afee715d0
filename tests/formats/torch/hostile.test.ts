/** Files that no torch.save and no NumPy writes are refused with the place, in bounded time and memory. */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  decodeNpy,
  decodeNpz,
  decodeTorchFile,
  NumpyFileError,
  TorchFileError,
  type TorchFileOptions,
} from "@cellfold/cellfold/torch";
import {
  call,
  type Code,
  dict,
  floats,
  global,
  int,
  oldFile,
  pickle,
  storage,
  tensor,
  text,
  tuple,
  zip,
} from "./pickles.ts";

/** How long a file may take in milliseconds. */
const LIMIT = 2000;

async function refuses(
  file: Uint8Array,
  reason: string,
  options: TorchFileOptions = {},
): Promise<void> {
  const start = performance.now();
  await assertRejects(() => decodeTorchFile(file, options), TorchFileError, reason);
  assert(performance.now() - start < LIMIT, "it takes too long");
}

const one = { shape: [1], strides: [1] };
const ones = (count: number) => ({ 0: [count, new Uint8Array(4 * count)] } as const);
const weight = (code: Code) => pickle(dict([text("w"), code]));
const orderedDict = global("collections", "OrderedDict");

const pickles: Readonly<Record<string, { readonly code: Code; readonly reason: string }>> = {
  "a function": { code: call(global("os", "system"), text("true")), reason: 'it wants "os.system"' },
  "a function by a name on the stack": {
    code: [...text("builtins"), ...text("eval"), 0x93],
    reason: 'it wants "builtins.eval"',
  },
  "a name inside a name that is known": {
    code: global("torch", "_utils._rebuild_tensor_v2.__globals__"),
    reason: 'it wants "torch._utils._rebuild_tensor_v2.__globals__"',
  },
  "a NumPy scalar": {
    code: global("numpy.core.multiarray", "scalar"),
    reason: 'it wants "numpy.core.multiarray.scalar"',
  },
  "an object of a class": { code: [...global("a", "B"), 0x29, 0x81], reason: 'it wants "a.B"' },
  "a property of every object": {
    code: global("torch", "constructor"),
    reason: 'it wants "torch.constructor"',
  },
  "a call of a text": { code: call(text("print")), reason: 'it calls the text "print"' },
  "a call of a type": {
    code: call(global("torch", "FloatStorage"), int(3)),
    reason: "it calls torch.FloatStorage",
  },
  "a call without a tuple": { code: [...orderedDict, ...int(1), 0x52], reason: "with the number 1" },
  "an opcode of classes": { code: [0x28, 0x69], reason: "it has the opcode 0x69" },
  "an opcode of extensions": { code: [0x82, 1], reason: "it has the opcode 0x82" },
  "a value that is not there": { code: [0x30], reason: "it takes a value where there is none" },
  "a value below a mark": { code: [0x4e, 0x28, 0x30], reason: "it takes a value where there is none" },
  "a mark that is not there": { code: [0x4e, 0x74], reason: "up to a mark where there is none" },
  "a memory that is not there": { code: [0x68, 5], reason: "it recalls number 5" },
  "a key without a value": { code: [0x7d, 0x28, 0x4e, 0x75], reason: "a key without a value" },
  "items of a list": { code: [0x5d, 0x28, 0x4e, 0x4e, 0x75], reason: "it sets items of a list of 0" },
  "an appended dict": { code: [0x7d, 0x4e, 0x61], reason: "it appends to a dict of 0" },
  "a text that is too long": { code: [0x58, 255, 255, 255, 255], reason: "bytes" },
  "a text that is none": { code: [0x58, 1, 0, 0, 0, 0xff], reason: "it has a text that is not UTF-8" },
  "a number that is too long": { code: [0x8b, 255, 255, 255, 127], reason: "it has a number of" },
  "attributes of a list": { code: [0x5d, 0x7d, 0x62], reason: "as attributes to a list of 0" },
  "a persistent id of something else": {
    code: [...tuple(text("module"), text("a")), 0x51],
    reason: "it has the persistent id a tuple, expected a storage",
  },
  "a negative size": {
    code: tensor(storage("FloatStorage", "0", 1), { shape: [-1], strides: [1] }),
    reason: "a tensor has the size a tuple",
  },
  "a negative stride": {
    code: tensor(storage("FloatStorage", "0", 1), { shape: [1], strides: [-1] }),
    reason: "a tensor has the stride a tuple",
  },
  "a negative offset": {
    code: tensor(storage("FloatStorage", "0", 1), { ...one, offset: -1 }),
    reason: "a tensor has the offset the number -1",
  },
  "other sizes than strides": {
    code: tensor(storage("FloatStorage", "0", 1), { shape: [1, 1], strides: [1] }),
    reason: "a tensor has 2 sizes and 1 strides",
  },
  "too many axes": {
    code: tensor(storage("FloatStorage", "0", 1), {
      shape: new Array(65).fill(1),
      strides: new Array(65).fill(1),
    }),
    reason: "expected a tuple of at most 64",
  },
};

for (const [name, { code, reason }] of Object.entries(pickles)) {
  Deno.test(`decodeTorchFile refuses ${name}`, () => refuses(oldFile(pickle(code)), reason));
}

const tensors: Readonly<Record<string, { readonly code: Code; readonly reason: string }>> = {
  "an offset outside of the storage": {
    code: tensor(storage("FloatStorage", "0", 2), { ...one, offset: 2 }),
    reason: 'the tensor "w": its last element is in the first 12 bytes of its storage, which has 8',
  },
  "strides out of the storage": {
    code: tensor(storage("FloatStorage", "0", 2), { shape: [2, 2], strides: [2, 1] }),
    reason: "its last element is in the first 16 bytes",
  },
  "sizes that no number holds": {
    code: tensor(storage("FloatStorage", "0", 2), { shape: [2 ** 40, 2 ** 40], strides: [2 ** 40, 1] }),
    reason: "its last element is in the first Infinity bytes",
  },
  "one number expanded to more than memory": {
    code: tensor(storage("FloatStorage", "0", 2), { shape: [2 ** 40, 2 ** 40], strides: [0, 0] }),
    reason: "raise maxBytes",
  },
  "complex numbers": {
    code: tensor(storage("ComplexFloatStorage", "0", 1), one),
    reason: 'the tensor "w": it has the dtype complex64',
  },
  "another count of elements than there are": {
    code: tensor(storage("FloatStorage", "0", 1), one),
    reason: 'the storage "0": it has 2 elements, expected 1',
  },
  "a storage that is not there": {
    code: tensor(storage("FloatStorage", "1", 1), one),
    reason: "so the size of its elements is unknown",
  },
};

for (const [name, { code, reason }] of Object.entries(tensors)) {
  Deno.test(`decodeTorchFile refuses ${name}`, () => {
    const count = name === "complex numbers" ? 1 : 2; // in the same bytes
    return refuses(oldFile(weight(code), { 0: [count, floats(1, 2)] }), reason);
  });
}

Deno.test("decodeTorchFile refuses whole numbers that int32 cannot hold, with the tensor", async () => {
  const long = tensor(storage("LongStorage", "0", 1), one);
  const bytes = new Uint8Array(BigInt64Array.of(2n ** 40n).buffer);
  await refuses(oldFile(weight(long), { 0: [1, bytes] }), 'the tensor "w": element 0 is 1099511627776');
});

Deno.test("decodeTorchFile reads a part of a storage as old files have it", async () => {
  const view = (first: number, count: number) => tuple(text("7"), int(first), int(count));
  const part = (first: number, count: number, offset = 0) =>
    oldFile(weight(tensor(storage("FloatStorage", "0", 4, view(first, count)), { ...one, offset })), {
      0: [4, floats(1, 2, 3, 4)],
    });
  assertEquals([...(await decodeTorchFile(part(1, 2))).tensors.w.data], [2]);
  assertEquals([...(await decodeTorchFile(part(1, 2, 1))).tensors.w.data], [3]);
  await refuses(part(1, 2, 2), "its last element is in the first 12 bytes of its storage, which has 8");
  await refuses(part(3, 2), "it has the persistent id a tuple");
});

Deno.test("decodeTorchFile: texts and ordered dicts of Python 2 are read", async () => {
  const old = (value: string): Code => [0x55, value.length, ...new TextEncoder().encode(value)];
  const pairs: Code = [0x5d, 0x28, ...tuple(old("w"), tensor(storage("FloatStorage", "0", 1), one)), 0x65];
  const { tensors } = await decodeTorchFile(oldFile(pickle(call(orderedDict, pairs)), ones(1)));
  assertEquals([...tensors.w.data], [0]);
});

Deno.test("decodeTorchFile refuses several state dicts, and none, with what there is", async () => {
  const inner = dict([text("w"), tensor(storage("FloatStorage", "0", 1), one)]);
  const two = dict([text("model"), inner], [text("ema"), dict([text("net"), inner])]);
  const file = oldFile(pickle(two), ones(1));
  await refuses(file, 'it has 2 state dicts, "model", "ema/net"; choose one with the option path');
  assertEquals((await decodeTorchFile(file, { path: "ema/net" })).path, "ema/net");
  await refuses(oldFile(pickle(dict([text("epoch"), int(3)]))), 'it is a dict of 1 with "epoch"');
  await refuses(oldFile(pickle(text("hello"))), 'it is the text "hello"');
  const twice = dict(
    [text("a"), dict([text("b"), tensor(storage("FloatStorage", "0", 1), one)])],
    [text("a.b"), tensor(storage("FloatStorage", "0", 1), one)],
  );
  await refuses(oldFile(pickle(twice), ones(1)), 'the tensor "a.b": it is there twice', { path: "" });
});

Deno.test("decodeTorchFile: nesting of any depth and what contains itself are read without a stack", async () => {
  const deep = pickle([...new Array(100_000).fill(0x5d), ...new Array(99_999).fill(0x61)]);
  await refuses(oldFile(deep), "no dict of nothing but named tensors");
  const tuples = pickle([0x29, ...new Array(100_000).fill(0x85)]);
  await refuses(oldFile(tuples), "no dict of nothing but named tensors");
  const own = pickle([0x7d, 0x71, 0, ...text("a"), 0x68, 0, 0x73]);
  await refuses(oldFile(own), 'it is a dict of 1 with "a"');
  await refuses(oldFile(own), "characters, at most 1000 are read", { path: "" });
  const nameless = pickle([0x7d, 0x71, 0, ...text(""), 0x68, 0, 0x73]);
  await refuses(oldFile(nameless), "more than 100000 values", { path: "" });
});

Deno.test("decodeTorchFile: what is shared many times costs no more than it is long", async () => {
  const doubled = (count: number): Code =>
    Array.from({ length: count }, (_, index) => [
      ...dict(
        [text("a"), index === 0 ? int(1) : [0x68, index - 1]],
        [text("b"), index === 0 ? int(1) : [0x68, index - 1]],
      ),
      ...[0x71, index, 0x30],
    ]).flat();
  const bomb = oldFile(pickle([...doubled(200), 0x68, 199]));
  await refuses(bomb, "no dict of nothing but named tensors");
  await refuses(bomb, "more than 100000 values", { path: "" });
  const pair = tuple(int(1), int(2));
  const pairs: Code = [0x5d, 0x71, 0, 0x28, ...new Array(1000).fill(pair).flat(), 0x65, 0x30];
  const copies = new Array(2000).fill([...call(orderedDict, [0x68, 0]), 0x30]).flat();
  await refuses(oldFile(pickle([...pairs, ...copies, 0x4e])), "it copies more values than it has bytes");
});

Deno.test("decodeTorchFile refuses archives that are no checkpoint", async () => {
  const contents = weight(tensor(storage("FloatStorage", "0", 1), one));
  const whole = { "a/data.pkl": contents, "a/data/0": floats(1) };
  assertEquals([...(await decodeTorchFile(await zip(whole))).tensors.w.data], [1]);
  assertEquals([...(await decodeTorchFile(await zip(whole, 6))).tensors.w.data], [1]);
  const { "a/data/0": _, ...rest } = whole;
  await refuses(await zip(rest), 'it has no entry "a/data/0"');
  await refuses(
    await zip({ ...whole, "a/data/0": floats(1, 2) }),
    "it has 8 bytes, expected 4 for 1 of float32",
  );
  await refuses(await zip({ ...whole, "b/data.pkl": contents }), "it has 2 data.pkl");
  await refuses(await zip({ "data.pkl": contents }), "it has no data.pkl in a folder");
  await refuses(await zip({ ...whole, "a/constants.pkl": contents }), "it is a program of TorchScript");
  await refuses(await zip({ ...whole, "a/code/__torch__.py": contents }), "it is a program of TorchScript");
  await refuses(await zip({ ...whole, "a/../b": contents }), "it leads out of the archive");
  await refuses(await zip({ ...whole, "a/byteorder": floats(1) }), 'expected "little" or "big"');
  const large = await zip({ ...whole, "a/data/1": new Uint8Array(1e6) }, 9); // which no tensor has
  assertEquals([...(await decodeTorchFile(large, { maxBytes: 1000 })).tensors.w.data], [1]);
  const bomb = await zip({ ...whole, "a/data.pkl": new Uint8Array(1e6) }, 9);
  await refuses(bomb, "it inflates to 1000000 bytes, at most 1000 are read", { maxBytes: 1000 });
  await refuses((await zip(whole)).slice(0, -4), "the archive");
});

Deno.test("decodeTorchFile refuses what is no file of PyTorch", async () => {
  const ustar = new Uint8Array(512);
  ustar.set(new TextEncoder().encode("ustar"), 257);
  await refuses(ustar, "it is a tar archive of PyTorch before 0.2");
  await refuses(new Uint8Array(0), "it is neither a zip archive nor a pickle");
  await refuses(pickle(int(5)), "the first pickle: it is the number 5, expected PyTorch's number");
  const whole = oldFile(weight(tensor(storage("FloatStorage", "0", 2), one)), { 0: [2, floats(1, 2)] });
  for (let length = 0; length < whole.length; length++) await refuses(whole.slice(0, length), "");
  await refuses(oldFile(pickle(dict()), { 0: [2, floats(1, 2)] }), "no tensor has it");
});

/** A `.npy` file of this header and these bytes. */
function npy(header: string, data: Uint8Array = new Uint8Array(0)): Uint8Array {
  const bytes = new TextEncoder().encode(header);
  const length = [bytes.length & 255, bytes.length >> 8];
  return Uint8Array.from([0x93, ...new TextEncoder().encode("NUMPY"), 1, 0, ...length, ...bytes, ...data]);
}

const header = (descr: string, shape: string, fortran = "False") =>
  `{'descr': ${descr}, 'fortran_order': ${fortran}, 'shape': ${shape}, }`;

const arrays: Readonly<Record<string, { readonly file: Uint8Array; readonly reason: string }>> = {
  "too few bytes": {
    file: npy(header("'<f4'", "(3,)"), floats(1)),
    reason: "but 4 bytes follow the header, expected 12",
  },
  "too many bytes": { file: npy(header("'<f4'", "()"), floats(1, 2)), reason: "expected 4" },
  "a shape that no number holds": {
    file: npy(header("'<f4'", "(1152921504606846976, 1152921504606846976)")),
    reason: "its shape is no tuple",
  },
  "sizes whose product no number holds": {
    file: npy(header("'<f4'", "(4503599627370496, 4503599627370496)")),
    reason: "expected Infinity",
  },
  "too many axes": { file: npy(header("'<f4'", `(${"1,".repeat(65)})`)), reason: "at most 64 sizes" },
  "code": { file: npy(header("__import__('os')", "()")), reason: 'it has "_" where no such sign may be' },
  "a field twice": {
    file: npy("{'descr': '<f4', 'descr': '<f4', 'shape': ()}"),
    reason: "it has other fields than descr",
  },
  "a field that is missing": { file: npy("{'descr': '<f4', 'shape': ()}"), reason: "it lacks one of descr" },
  "a rest": { file: npy(`${header("'<f4'", "()")} ()`), reason: "something follows its }" },
  "an end in the middle": { file: npy("{'descr': '<f4'"), reason: "it ends in the middle" },
  "a long double": { file: npy(header("'<f16'", "()")), reason: "floats of another size" },
  "an order that is no truth": { file: npy(header("'<f4'", "()", "'C'")), reason: "neither True nor False" },
  "a shape that is a text": { file: npy(header("'<f4'", "'()'")), reason: "its shape is no tuple" },
  "an element type that is a tuple": { file: npy(header("(1,)", "()")), reason: "its descr is no text" },
  "a whole number that int32 cannot hold": {
    file: npy(header("'>u4'", "(1,)"), Uint8Array.of(255, 0, 0, 0)),
    reason: "element 0 is 4278190080",
  },
};

for (const [name, { file, reason }] of Object.entries(arrays)) {
  Deno.test(`decodeNpy refuses ${name}`, () => {
    assertThrows(() => decodeNpy(file), NumpyFileError, reason);
  });
}

Deno.test("decodeNpy: headers of version 2 and 3, and in another order, are read", () => {
  const text = new TextEncoder().encode(`{"shape":(1L,),"fortran_order":False,"descr":"=f4"}`);
  for (const version of [2, 3]) {
    const magic = [0x93, ...new TextEncoder().encode("NUMPY"), version, 0, text.length, 0, 0, 0];
    assertEquals([...decodeNpy(Uint8Array.from([...magic, ...text, ...floats(2.5)])).data], [2.5]);
  }
});

Deno.test("decodeNpz refuses what is no archive of arrays", async () => {
  const array = npy(header("'<f4'", "(1,)"), floats(1));
  assertEquals([...(await decodeNpz(await zip({ "a.npy": array }))).a.data], [1]);
  const cases: readonly (readonly [Uint8Array, string])[] = [
    [new Uint8Array(8), "it is no zip archive"],
    [await zip({ "a.txt": array }), `the archive's entry "a.txt": it is no array`],
    [await zip({ "../a.npy": array }), "it leads out of the archive"],
    [await zip({ "a.npy": array.slice(0, -1) }), `the archive's entry "a.npy": its shape is`],
  ];
  for (const [file, reason] of cases) await assertRejects(() => decodeNpz(file), NumpyFileError, reason);
});
