import { assert } from "@std/assert";
import { fuzz } from "../fuzz/mutate.ts";
import { slowTargets, torchTargets } from "../fuzz/torch.ts";

for (const [name, target] of Object.entries(torchTargets)) {
  Deno.test(`mutated ${name} are read, or refused as documented`, async () => {
    const { read, refused } = await fuzz(target, slowTargets.includes(name) ? 40 : 300);
    assert(read > 0 && refused > 0, `${read} read, ${refused} refused: mutations reach both`);
  });
}
