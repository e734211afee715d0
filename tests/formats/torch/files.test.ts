/** Files of PyTorch and NumPy are read as Python reads them. */
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { type HostTensor } from "@cellfold/cellfold";
import {
  decodeNpy,
  decodeNpz,
  decodeTorchFile,
  NumpyFileError,
  TorchFileError,
} from "@cellfold/cellfold/torch";
import { expectedFiles, fixture, numbersOf, type Printed } from "./fixtures.ts";

function assertSame(tensors: Readonly<Record<string, HostTensor>>, expected: Record<string, Printed>): void {
  assertEquals(Object.keys(tensors), Object.keys(expected));
  for (const [name, printed] of Object.entries(expected)) {
    const { shape, data } = tensors[name];
    assertEquals([name, shape, [...data]], [name, printed.shape, numbersOf(printed)]);
  }
}

for (const [name, { tensors, path, others }] of Object.entries(expectedFiles)) {
  if (name.endsWith(".npz")) {
    Deno.test(`decodeNpz: ${name} is read as NumPy reads it`, async () => {
      assertSame(await decodeNpz(await fixture(name)), tensors);
    });
  } else if (Object.keys(tensors).length > 0) {
    Deno.test(`decodeTorchFile: ${name} is read as PyTorch reads it, at the place where it is`, async () => {
      const file = await decodeTorchFile(await fixture(name));
      assertSame(file.tensors, tensors);
      assertEquals([file.path, file.others], [path, others]);
      assertSame((await decodeTorchFile(await fixture(name), { path })).tensors, tensors);
    });
  }
}

Deno.test("decodeTorchFile: dtypes are those of safetensors files", async () => {
  const { tensors } = await decodeTorchFile(await fixture("dtypes, protocol 2"));
  const floats = { float32: "float32", float64: "float64", float16: "float32", bfloat16: "float32" };
  for (const [name, { dtype }] of Object.entries(tensors)) {
    const expected = { ...floats, bool: "bool" }[name] ?? "int32";
    assertEquals([name, dtype], [name, expected]);
  }
});

Deno.test("decodeTorchFile: a path chooses, nested names are joined, what is no tensor is listed", async () => {
  const file = await fixture("checkpoint");
  const rest = await decodeTorchFile(file, { path: "" });
  assertEquals(rest.others.slice(0, 1), ["step"]);
  assertEquals(rest.tensors["model_state.fc.bias"].shape, [2]);
  assertEquals(
    rest.tensors["optimizer.state.0.exp_avg"].shape,
    rest.tensors["model_state.rnn.weight_ih_l0"].shape,
  );
  const own = await decodeTorchFile(file, { path: "optimizer/state/0" });
  assertEquals([Object.keys(own.tensors), own.path], [
    ["step", "exp_avg", "exp_avg_sq"],
    "optimizer/state/0",
  ]);
  await assertRejects(
    () => decodeTorchFile(file, { path: "optimizer/stat" }),
    TorchFileError,
    'the path "optimizer": it has nothing at "stat": it is a dict of 2 with "state", "param_groups"',
  );
  await assertRejects(() => decodeTorchFile(file, { path: "step" }), TorchFileError, "it is the number 1");
  await assertRejects(
    () => decodeTorchFile(file, { path: "model_state/fc.bias" }),
    TorchFileError,
    "there are no named tensors",
  );
});

Deno.test("decodeTorchFile: what a file wants beside plain data is refused by name", async () => {
  await assertRejects(
    async () => await decodeTorchFile(await fixture("whole module")),
    TorchFileError,
    'it wants "torch.nn.modules.linear.Linear", expected tensors, dicts, lists, texts and numbers alone',
  );
});

Deno.test("decodeTorchFile, decodeNpz: sizes are limited", async () => {
  const old = await fixture("views, before 1.6");
  await assertRejects(
    () => decodeTorchFile(old, { maxBytes: 300 }),
    TorchFileError,
    'the tensor "wide": the tensors up to it have 360 bytes, at most 300 are read',
  );
  const archive = await fixture("views");
  await assertRejects(() => decodeTorchFile(archive, { maxBytes: 300 }), TorchFileError, "raise maxBytes");
  const arrays = await fixture("compressed.npz");
  await assertRejects(() => decodeNpz(arrays, { maxBytes: 4000 }), NumpyFileError, "raise maxBytes");
});

for (
  const [name, reason] of Object.entries({
    object: 'its elements are "|O", which are objects of Python, whose pickles could run code',
    complex: 'its elements are "<c8", which are complex numbers',
    text: 'its elements are "<U1", which are texts',
    structure: "its elements are structures",
    date: 'its elements are "<M8[s]"',
  })
) {
  Deno.test(`decodeNpy: an array of ${name}s is refused`, async () => {
    const file = await fixture(`${name}.npy`);
    assertThrows(() => decodeNpy(file), NumpyFileError, reason);
  });
}
