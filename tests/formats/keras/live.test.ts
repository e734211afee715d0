/** With Keras itself, where CELLFOLD_PYTHON names a Python that has it: files go over and come back. */
import { assert, assertEquals } from "@std/assert";
import { fromKeras, loadKerasWeights, saveKerasWeights, toKeras } from "../../../formats/keras/mod.ts";
import { penaltyOf } from "../../../src/layers/mod.ts";
import { item, type Tensor } from "../../../src/tensor/tensor.ts";
import { type Tree, treeLeaves } from "../../../src/tree/tree.ts";
import { examples, variablesOf } from "./models.ts";
import { assertNear, cases, fixtures, plain, type PlainTensor, predictions, tensors } from "./support.ts";

const granted = (["env", "read", "write", "run"] as const).every((name) =>
  Deno.permissions.querySync({ name }).state === "granted"
);
const python = granted ? Deno.env.get("CELLFOLD_PYTHON") : undefined;
const ignore = python === undefined;
const why = ignore ? " (needs CELLFOLD_PYTHON, --allow-env --allow-read --allow-write --allow-run)" : "";

async function run(script: string, ...args: string[]): Promise<void> {
  const path = new URL(script, import.meta.url).pathname;
  const { success, stderr } = await new Deno.Command(python ?? "", {
    args: [path, ...args],
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr).slice(-4000));
}

interface Answer {
  readonly name: string;
  /** What the regularizers of the model add to the loss. */
  readonly penalty: number;
  readonly outputs: Tree<PlainTensor>;
}

async function inFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test({
  name: `Keras loads what we write, predicts the same, and writes what we read again${why}`,
  ignore,
  fn: () =>
    inFolder(async (folder) => {
      const all = Object.entries(examples).map(([name, make]) => ({ name, ...make() }));
      for (const { name, model, input, ...example } of all) {
        const variables = variablesOf({ model, input, ...example });
        await Deno.writeFile(`${folder}/${name}.keras`, await toKeras(model, variables, { input }));
        await Deno.writeFile(`${folder}/${name}.weights.h5`, await saveKerasWeights(model, variables));
      }
      const jobs = all.flatMap(({ name, x }) => {
        const job = { model: `${folder}/${name}.keras`, inputs: plain(x) };
        return [
          { ...job, save: `${folder}/${name}.again.keras` },
          {
            ...job,
            weights: `${folder}/${name}.weights.h5`,
            saveWeights: `${folder}/${name}.again.weights.h5`,
          },
        ];
      });
      await Deno.writeTextFile(`${folder}/jobs.json`, JSON.stringify(jobs));
      await run("python/peer.py", `${folder}/jobs.json`, `${folder}/results.json`);
      const answers: Answer[] = JSON.parse(await Deno.readTextFile(`${folder}/results.json`));
      for (const [index, { name, model, input, x }] of all.entries()) {
        const variables = variablesOf({ model, input, x });
        const expected = treeLeaves<Tensor>(await predictions(model, variables, x));
        const penalty = item(
          penaltyOf(model, variables.params, model.apply(variables, x, { training: false })),
        );
        for (const answer of [answers[2 * index], answers[2 * index + 1]]) {
          assertNear(treeLeaves(tensors(answer.outputs)), expected, 1e-5, `${name} in Keras`);
          assert(
            Math.abs(answer.penalty - penalty) <= 1e-5 * penalty,
            `${name}: ${answer.penalty}, ${penalty}`,
          );
        }
        const again = await fromKeras(await Deno.readFile(`${folder}/${name}.again.keras`));
        const kept = treeLeaves<Tensor>(await predictions(again.model, again.variables, x));
        assertNear(kept, expected, 1e-6, `${name} back from Keras`);
        const weights = await Deno.readFile(`${folder}/${name}.again.weights.h5`);
        assertEquals((await loadKerasWeights(model, variables, weights)).params, variables.params, name);
      }
    }),
});

Deno.test({
  name: `what this Keras writes is read and predicts the same${why}`,
  ignore,
  fn: () =>
    inFolder(async (folder) => {
      await run("fixtures/make.py", folder);
      const url = new URL(`file://${folder}/`);
      const made = cases(url);
      assertEquals(Object.keys(made), Object.keys(cases(fixtures)));
      for (const [name, { inputs, outputs }] of Object.entries(made)) {
        const { model, variables } = await fromKeras(await Deno.readFile(`${folder}/${name}.keras`));
        assertNear(await predictions(model, variables, tensors(inputs)), tensors(outputs), 1e-5, name);
      }
    }),
});
