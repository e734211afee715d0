/** Weights that ship in half the bytes. */
import { assertEquals, assertThrows } from "@std/assert";
import { tensor } from "@cellfold/cellfold";
import { decodeSafetensors, encodeSafetensors } from "@cellfold/cellfold/safetensors";
import { inHalves } from "../../site/training/halves.ts";

Deno.test("inHalves: each value becomes the nearest float16, names, shapes and metadata stay", () => {
  const tree = { a: [tensor([[0.5, 1 / 3], [-65504, 1e-9]])], b: tensor([7, 8, 9]) };
  const file = encodeSafetensors(tree, { metadata: { units: "3" } });
  const { tensors, metadata } = decodeSafetensors(inHalves(file));
  // A third is 1365 · 2⁻¹² in float16, and 1e-9 is below half of the smallest, 2⁻²⁴.
  assertEquals(tensors, { "a/0": tensor([[0.5, 1365 / 4096], [-65504, 0]]), b: tensor([7, 8, 9]) });
  assertEquals(metadata, { units: "3" });
});

Deno.test("inHalves: what is not float32 is refused by name", () => {
  const file = encodeSafetensors({ steps: tensor([1, 2], { dtype: "int32" }) });
  assertThrows(() => inHalves(file), TypeError, "Cannot halve steps: it is I32, expected F32");
});
