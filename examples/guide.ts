/** `deno task guide`: runs every section of the guide, one after the other, and says how long each took. */
import { main as firstModel } from "./01_first_model.ts";
import { main as outputsAndStates } from "./02_outputs_and_states.ts";
import { main as encoderDecoder } from "./03_encoder_decoder.ts";
import { main as cells } from "./04_cells.ts";
import { main as stateful } from "./05_stateful.ts";
import { main as stateReuse } from "./06_state_reuse.ts";
import { main as bidirectional } from "./07_bidirectional.ts";
import { main as fusedPath } from "./08_fused_path.ts";
import { main as nestedInputs } from "./09_nested_inputs.ts";
import type { Section } from "./support/section.ts";

/** The sections by title, in order. */
export const sections: Readonly<Record<string, Section>> = {
  "1. A first model": firstModel,
  "2. Outputs and states": outputsAndStates,
  "3. Encoder and decoder": encoderDecoder,
  "4. Layers and cells": cells,
  "5. State across batches": stateful,
  "6. Reusing a state": stateReuse,
  "7. Both ways": bidirectional,
  "8. One path for every cell": fusedPath,
  "9. Nested inputs": nestedInputs,
};

if (import.meta.main) {
  const seconds = (since: number) => `${((performance.now() - since) / 1000).toFixed(1)} s`;
  const start = performance.now();
  for (const [title, section] of Object.entries(sections)) {
    console.log(`\n${title}\n`);
    const begun = performance.now();
    await section();
    console.log(`  took ${seconds(begun)}`);
  }
  console.log(`\nall ${Object.keys(sections).length} sections: ${seconds(start)}`);
}
