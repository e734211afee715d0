/** Models in C on a Cortex-M4: the same results as here, and as many bytes as was said. */
import { assert, assertEquals } from "@std/assert";
import { type HostTensor, type Spec, streaming, toHost, type Tree, treeLeaves } from "@cellfold/cellfold";
import { toC } from "@cellfold/cellfold/standalone";
import { assertOutput, bytesOf, has } from "./c_program.ts";
import { buildForCortexM4, bytesOfSymbols, runOnCortexM4, WORDS } from "./cortex_m4.ts";
import { maskedModels, maskOf, predictionOf } from "./masked_models.ts";
import { models } from "./models.ts";
import { DEVICE, inputOf, stepOf, variablesOf } from "./support.ts";

const canRun = (await Deno.permissions.query({ name: "run" })).state === "granted";
const isHere = canRun && await has("arm-none-eabi-gcc") && await has("qemu-system-arm");
const STEPS = 5, LENGTH = 7;

function wordsText(bytes: Uint8Array): string {
  return [...new Uint32Array(bytes.slice().buffer)].map((word) => `0x${word.toString(16)}`).join(", ") || "0";
}

for (
  const name of [
    "1. a first model",
    "1. gru and simpleRnn",
    "4. a cell of one's own",
    "7. both ways",
    "masked tokens",
    "a mask of both ways, stacked",
  ]
) {
  Deno.test({
    name: `toC on a Cortex-M4: ${name}`,
    ignore: !isHere,
    async fn() {
      const exported = { ...models, ...maskedModels }[name];
      assert(exported, `there is no model ${name}`);
      const { model, input, mask, refused } = exported;
      const variables = variablesOf(exported);
      const isStream = refused === undefined;
      const inC = toC(model, variables, { input, mask, name: "net", stream: isStream });
      const sizes = { batch: 1, time: LENGTH, words: LENGTH };
      const x = inputOf(exported, sizes, 3);
      const given = maskOf(exported, sizes, 3);
      const expected = await predictionOf(exported, variables, x, given);
      const [whole] = treeLeaves<HostTensor>(expected);
      const steps = isStream ? Array.from({ length: STEPS }, (_, seed) => stepOf(exported, seed)) : [];
      const outputs: Tree<HostTensor>[] = [];
      if (isStream) {
        using stream = streaming(model, variables, { device: DEVICE, batch: 1 });
        for (const step of steps) outputs.push(await toHost(await stream.step(step)) as Tree<HostTensor>);
      }
      const each = steps.length === 0 ? 0 : treeLeaves<HostTensor>(steps[0])[0].data.length;
      const out = outputs.length === 0 ? 0 : treeLeaves<HostTensor>(outputs[0])[0].data.length;
      const [spec] = treeLeaves<Spec>(input);
      const isOpen = spec.shape.length > 1 && typeof spec.shape[1] !== "number";
      const type = spec.dtype === "float32" ? "float" : "int32_t";
      const work = isOpen ? `NET_WORK(${LENGTH})` : "NET_WORK";
      const main = `#include "net.h"
${WORDS}
static const uint32_t whole_input[] = {${wordsText(bytesOf(x))}};
static const uint32_t mask[] = {${given ? wordsText(bytesOf(given)) : "0"}};
static const uint32_t step_inputs[] = {${wordsText(bytesOf(steps as unknown as Tree<HostTensor>))}};
static float output[${whole.data.length}], step_output[${Math.max(1, out)}], work[${work} + 1];
${isStream ? "net_state net_memory;" : ""}
int main(void) {
  net_predict((const ${type} *)(const void *)whole_input, ${
        given ? "(const int32_t *)(const void *)mask, " : ""
      }${isOpen ? `${LENGTH}, ` : ""}output, work);
  say_words(output, ${whole.data.length});
${given ? "" : "  (void)mask;\n"}${
        isStream
          ? `  net_reset(&net_memory);
  for (int i = 0; i < ${STEPS}; i++) {
    net_step(&net_memory, (const ${type} *)(const void *)(step_inputs + i * ${each}), step_output);
    say_words(step_output, ${out});
  }`
          : "  (void)step_inputs, (void)step_output;"
      }
  return 0;
}
`;
      const directory = await Deno.makeTempDir();
      try {
        const files = { "net.c": inC.source, "net.h": inC.header, "main.c": main };
        for (const [file, text] of Object.entries(files)) {
          await Deno.writeTextFile(`${directory}/${file}`, text);
        }
        const program = await buildForCortexM4(directory, [`${directory}/net.c`, `${directory}/main.c`]);
        const words = await runOnCortexM4(program);
        const all = [expected, ...outputs] as unknown as Tree<HostTensor>;
        assertOutput(new Uint8Array(words.buffer), all, 1e-6, name);
        assertEquals(
          await bytesOfSymbols(program, /^weight_\d+(_scale)?$/),
          inC.bytes.constants,
          "constants",
        );
        if (isStream) assertEquals(await bytesOfSymbols(program, /^net_memory$/), inC.bytes.state, "a state");
        assertEquals(await bytesOfSymbols(program, /^work$/), inC.bytes.work(sizes) + 4, "a workspace");
      } finally {
        await Deno.remove(directory, { recursive: true });
      }
    },
  });
}
