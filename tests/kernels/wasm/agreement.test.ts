import { createWasm } from "../../../kernels/wasm/mod.ts";
import { hasRelaxedSimd } from "../../../kernels/wasm/assembler.ts";
import { allExamples, exampleCount } from "../../support/examples.ts";
import { testAgreement } from "../agree.ts";

/** The cases are small: threads share them only where `shareFrom` says so. */
const configurations = [
  { threads: 1, relaxed: true, shareFrom: undefined },
  { threads: 1, relaxed: false, shareFrom: undefined },
  { threads: 2, relaxed: true, shareFrom: 0 },
  { threads: 3, relaxed: false, shareFrom: 0 },
];

for (
  const [index, { threads, relaxed, shareFrom }] of configurations.slice(
    0,
    exampleCount(configurations.length),
  )
    .entries()
) {
  const backend = createWasm({ threads, relaxed: relaxed && hasRelaxedSimd(), shareFrom });
  const name = `wasm with ${threads} threads and ${relaxed ? "relaxed" : "plain"} SIMD`;
  // Where not all are wanted, the first has all cases, and each of the others a third.
  testAgreement(name, backend, relaxed && !hasRelaxedSimd(), allExamples || index === 0 ? 1 : 3);
}
