import { assert } from "@std/assert";
import { fuzz } from "../fuzz/mutate.ts";
import { safetensorsTargets } from "../fuzz/safetensors.ts";

for (const [name, target] of Object.entries(safetensorsTargets)) {
  Deno.test(`mutated ${name} are read, or refused as documented`, async () => {
    const { read, refused } = await fuzz(target, 400);
    assert(read > 0 && refused > 0, `${read} read, ${refused} refused: mutations reach both`);
  });
}
