import { testSums } from "../sums.ts";
import { backends, missing } from "./backends.ts";

for (const backend of backends) {
  testSums(`native, ${backend.name}`, backend, missing !== undefined, 1_000_000);
}
