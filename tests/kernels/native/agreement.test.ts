import { fewExamples } from "../../support/examples.ts";
import { testAgreement } from "../agree.ts";
import { backends, missing } from "./backends.ts";

// Each case is compiled for each backend: with few examples, one that shares work stands for all, with a sixth of the cases.
const isFew = fewExamples;
for (const backend of isFew ? backends.slice(1, 2) : backends) {
  testAgreement(`native with ${backend.name}`, backend, missing !== undefined, isFew ? 6 : 1);
}
