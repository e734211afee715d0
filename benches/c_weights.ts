/**
 * What weights in fewer bits cost a model in C: `deno run --allow-read --allow-write --allow-run --allow-env
 * benches/c_weights.ts [directory of the digits]`. The guide's model is trained for an epoch on handwritten digits,
 * written as C with weights in each format, compiled by `cc`, and tested on the 10,000 digits that it has not seen.
 */
import {
  batchNormalization,
  dense,
  fit,
  init,
  key,
  lstm,
  sequential,
  sparseCategoricalCrossentropy,
  spec,
  toHost,
} from "@cellfold/cellfold";
import { toC } from "@cellfold/cellfold/standalone";
import { loadMnist } from "../examples/support/mnist_data.ts";

const SIZE = 28;
const [data] = Deno.args;
const { train, test, source } = await loadMnist({ data });
console.log(source);
const model = sequential([lstm({ units: 64 }), batchNormalization(), dense({ units: 10 })]);
const { variables } = await fit(model, init(model, key(0), spec([null, SIZE, SIZE])), {
  x: train.images,
  y: train.labels,
}, {
  loss: sparseCategoricalCrossentropy({ fromLogits: true }),
  optimizer: "adam",
  batchSize: 64,
  epochs: 1,
  report: "none",
});
const trained = await toHost({ params: variables.params, state: variables.state });

/** Reads digits and writes the class of each. */
const MAIN = `#include "digits.h"
#include <stdio.h>
static float input[${SIZE * SIZE}], output[10], work[DIGITS_WORK + 1];
int main(void) {
  while (fread(input, sizeof input, 1, stdin) == 1) {
    digits_predict(input, output, work);
    int best = 0;
    for (int i = 1; i < 10; i++) if (output[i] > output[best]) best = i;
    putchar(best);
  }
}
`;

async function run(command: string, args: readonly string[], input = new Uint8Array()): Promise<Uint8Array> {
  const process = new Deno.Command(command, { args: [...args], stdin: "piped", stdout: "piped" }).spawn();
  const output = process.output();
  const writer = process.stdin.getWriter();
  await writer.write(input);
  await writer.close();
  const { success, stdout } = await output;
  if (!success) throw new Error(`${command} failed`);
  return stdout;
}

const folder = await Deno.makeTempDir();
const images = new Uint8Array(Float32Array.from(test.images.data).buffer);
for (const weights of ["float32", "float16", "int8"] as const) {
  const { source, header, bytes } = toC(model, trained, {
    input: spec([1, SIZE, SIZE]),
    name: "digits",
    weights,
  });
  const files = { "digits.c": source, "digits.h": header, "main.c": MAIN };
  for (const [file, text] of Object.entries(files)) await Deno.writeTextFile(`${folder}/${file}`, text);
  await run("cc", [
    "-O3",
    "-march=native",
    "-o",
    `${folder}/digits`,
    `${folder}/digits.c`,
    `${folder}/main.c`,
  ]);
  const classes = await run(`${folder}/digits`, [], images);
  const right = classes.reduce((sum, each, index) => sum + (each === test.labels.data[index] ? 1 : 0), 0);
  console.log(
    `${weights.padEnd(8)} ${
      (right / classes.length * 100).toFixed(2)
    } % right, ${bytes.constants} bytes of constants`,
  );
}
await Deno.remove(folder, { recursive: true });
