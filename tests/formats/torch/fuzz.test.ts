import { fuzzEach } from "../fuzz/target.ts";
import { numpy, torch } from "../fuzz/torch.ts";

for (const fuzzed of [torch, numpy]) {
  Deno.test(`mutated files of ${fuzzed.name} are read, or refused as documented`, () =>
    fuzzEach(fuzzed, 300));
}
