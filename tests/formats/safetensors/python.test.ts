/** Files go to Python's safetensors package and come back. */
import { assertEquals } from "@std/assert";
import { init, key, lstm, mapTree, type Tensor, tensor } from "@cellfold/cellfold";
import { decodeSafetensors, encodeSafetensors, restoreTree } from "@cellfold/cellfold/safetensors";
import { spec } from "@cellfold/cellfold";
import { testWithPython } from "../support/python.ts";

testWithPython("Python's safetensors reads what is written here", "safetensors and numpy", async (folder) => {
  const tree = {
    params: init(lstm({ units: 3 }), key(0), spec([null, null, 2])).params,
    flags: tensor([true, false]),
    steps: [
      tensor([1, -2], { dtype: "int32" }),
      tensor([], { shape: [0, 4] }),
      tensor(0.1, { dtype: "float64" }),
    ],
    umlaut_ä: tensor(1),
  };
  await Deno.writeFile(
    folder.path("here.safetensors"),
    encodeSafetensors(tree, { metadata: { by: "here" } }),
  );
  const printed = await folder.run(`
import json
from safetensors import safe_open
from safetensors.numpy import save_file
with safe_open("here.safetensors", "numpy") as file:
    tensors = {name: file.get_tensor(name) for name in file.keys()}
    metadata = file.metadata()
save_file(tensors, "there.safetensors", metadata={"by": "there"})
print(json.dumps([metadata, {name: [str(t.dtype), list(t.shape)] for name, t in tensors.items()}]))
`);
  const [metadata, described] = JSON.parse(printed);
  assertEquals(metadata, { by: "here" });
  assertEquals(described["params/recurrentKernel"], ["float32", [3, 12]]);
  assertEquals(described["flags"], ["bool", [2]]);
  assertEquals(described["steps/0"], ["int32", [2]]);
  assertEquals(described["steps/1"], ["float32", [0, 4]]);
  assertEquals(described["steps/2"], ["float64", []]);
  const back = decodeSafetensors(await Deno.readFile(folder.path("there.safetensors")));
  assertEquals(back.metadata, { by: "there" });
  assertEquals(restoreTree(tree, back.tensors), tree);
});

testWithPython(
  "PyTorch reads floats in 16 bits, and would round as is done here",
  "safetensors and torch",
  async (folder) => {
    const x = tensor([1, -2.5, 65504, 2 ** -24, Infinity, 1 / 3, 0.1, 1e-7]);
    for (const floats of ["float16", "bfloat16"] as const) {
      await Deno.writeFile(folder.path(`${floats}.safetensors`), encodeSafetensors({ x }, { floats }));
    }
    const printed = await folder.run(`
import torch
from safetensors.torch import load_file
x = torch.tensor([1.0, -2.5, 65504.0, 2.0**-24, float("inf"), 1/3, 0.1, 1e-7])
half, brain = (load_file(f"{name}.safetensors")["x"] for name in ("float16", "bfloat16"))
print(half.dtype, brain.dtype, torch.equal(half, x.half()), torch.equal(brain, x.bfloat16()))
`);
    assertEquals(printed.trim(), "torch.float16 torch.bfloat16 True True");
  },
);

testWithPython("element types of PyTorch are read", "safetensors and torch", async (folder) => {
  await folder.run(`
import torch
from safetensors.torch import save_file
x = torch.tensor([1.0, -2.5, 65504.0, 2.0**-24, float("inf"), 1/3])
save_file({
    "half": x.half(), "brain": x.bfloat16(), "double": x.double(),
    "long": torch.tensor([[-5, 7]]), "short": torch.tensor([-3], dtype=torch.int16),
    "byte": torch.tensor([200], dtype=torch.uint8), "bool": torch.tensor([True, False]),
    "halfAsFloat": x.half().float(), "brainAsFloat": x.bfloat16().float(),
}, "types.safetensors")
`);
  const { tensors } = decodeSafetensors(await Deno.readFile(folder.path("types.safetensors")));
  assertEquals(tensors.half, tensors.halfAsFloat);
  assertEquals(tensors.brain, tensors.brainAsFloat);
  assertEquals(tensors.double.dtype, "float64");
  const whole = mapTree(
    { long: tensors.long, short: tensors.short, byte: tensors.byte, bool: tensors.bool },
    (leaf: Tensor) => leaf,
  );
  assertEquals(whole, {
    long: tensor([[-5, 7]], { dtype: "int32" }),
    short: tensor([-3], { dtype: "int32" }),
    byte: tensor([200], { dtype: "int32" }),
    bool: tensor([true, false]),
  });
});
