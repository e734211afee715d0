/** Compiles a model that was written as C, and runs it on sequences. */
import type { HostTensor } from "@cellfold/cellfold";
import type { CModel } from "@cellfold/cellfold/standalone";

/** A program that reads sequences from its input, one after the other, and writes one number for each. */
const mainOf = (name: string, floats: number, steps: number) => `
#include <stdio.h>
#include "${name}.h"
static float input[${floats}], work[${name.toUpperCase()}_WORK(${steps})];
int main(void) {
  float output;
  while (fread(input, sizeof input, 1, stdin) == 1) {
    if (!${name}_predict(input, ${steps}, &output, work)) return 1;
    fwrite(&output, sizeof output, 1, stdout);
  }
  return 0;
}
`;

/**
 * The outputs of the model in C for sequences `[samples, time, features]`, one number each; undefined where there is no
 * C compiler.
 */
export async function runC(model: CModel, { data, shape }: HostTensor): Promise<Float32Array | undefined> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/${model.name}.c`, model.source);
    await Deno.writeTextFile(`${folder}/${model.name}.h`, model.header);
    await Deno.writeTextFile(`${folder}/main.c`, mainOf(model.name, shape[1] * shape[2], shape[1]));
    const compiler = new Deno.Command("cc", {
      args: ["-O2", "-o", "model", "main.c", `${model.name}.c`, "-lm"],
      cwd: folder,
    });
    const compiled = await compiler.output().catch((error: unknown) => {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    });
    if (!compiled) return undefined;
    if (!compiled.success) throw new Error(`Cannot compile: ${new TextDecoder().decode(compiled.stderr)}`);
    const child = new Deno.Command(`${folder}/model`, { stdin: "piped", stdout: "piped" }).spawn();
    const output = child.output();
    await new Blob([Float32Array.from(data)]).stream().pipeTo(child.stdin);
    const { code, stdout } = await output;
    if (code !== 0) throw new Error(`Cannot run the model in C: it ends with status ${code}`);
    return new Float32Array(stdout.slice().buffer);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
