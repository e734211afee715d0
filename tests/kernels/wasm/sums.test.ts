import { testProducts } from "../products.ts";
import { testSums } from "../sums.ts";
import { backends } from "./backends.ts";

for (const backend of backends) {
  testSums(`wasm, ${backend.name}`, backend, false, 1_000_000);
  testProducts(`wasm, ${backend.name}`, backend, false, "fixed");
}
