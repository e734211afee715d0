import { safetensors } from "../fuzz/safetensors.ts";
import { fuzzEach } from "../fuzz/target.ts";

Deno.test("mutated safetensors files are read, or refused as documented", () => fuzzEach(safetensors, 350));
