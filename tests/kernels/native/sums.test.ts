import { fewExamples } from "../../support/examples.ts";
import { testProducts } from "../products.ts";
import { testSums } from "../sums.ts";
import { backends, missing } from "./backends.ts";

// Each case is compiled: with few examples, only by the backend that divides sums the most.
for (const backend of fewExamples ? backends.slice(-1) : backends) {
  testSums(`native, ${backend.name}`, backend, missing !== undefined, 1_000_000);
  testProducts(`native, ${backend.name}`, backend, missing !== undefined, "open");
}
