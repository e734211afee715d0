/**
 * Random models in Keras, where CELLFOLD_PYTHON names a Python that has it: written as `.keras` files, loaded there,
 * and predicting the same at every place that counts.
 *
 *     CELLFOLD_PYTHON=… deno run --allow-read --allow-write --allow-env --allow-run tests/fuzz/keras.ts [--models 500] [--seed N]
 */
import * as cf from "@cellfold/cellfold";
import { toKeras } from "@cellfold/cellfold/keras";
import { libraryInput, placesOf, realize, type Realized, treeOfPlaces } from "./data.ts";
import type { Case } from "./description.ts";
import { drawCase } from "./generate.ts";
import { nest, type Nested } from "./interpreter/nested.ts";
import { differences } from "./keras_differences.ts";
import { flatPlaces, program } from "./program.ts";
import { counted, exactOutputs, firstApart } from "./properties/context.ts";
import { comparePrediction } from "./properties/predictions.ts";
import { Skipped } from "./skipped.ts";

/** A model on its way to Keras. */
interface Sent {
  readonly realized: Realized;
  readonly job: { readonly model: string; readonly inputs: unknown };
}

/** What Keras gave. */
type Answer =
  | {
    readonly outputs: readonly {
      readonly shape: readonly number[];
      readonly data: readonly (number | null)[];
    }[];
  }
  | { readonly error: string };

/** What came of all models. */
export interface Compared {
  /** How many predict the same. */
  readonly same: number;
  /** How many have numbers that leave what float32 has. */
  readonly skipped: number;
  /** How many the file format has no words for, by what it says. */
  readonly refused: ReadonlyMap<string, number>;
  /** How many differ on purpose, by the difference. */
  readonly onPurpose: ReadonlyMap<string, number>;
  readonly faults: readonly { readonly seed: number; readonly message: string; readonly program: string }[];
}

const count = (map: Map<string, number>, name: string) => map.set(name, (map.get(name) ?? 0) + 1);

/** A case as Keras can be given it: JSON has no NaN, and what is masked may be any number. */
function tame(one: Case): Case {
  return {
    ...one,
    inputs: one.inputs.map((input) =>
      input.padding.kind === "wild" ? { ...input, padding: { kind: "tame" } } : input
    ),
  };
}

function plain(tensor: cf.Tensor) {
  const { shape, dtype, data } = cf.host(tensor);
  return { shape, dtype, data: [...data] };
}

/** Writes models, has Keras predict, and compares. */
export async function compareWithKeras(
  { models, seed, python }: { readonly models: number; readonly seed: number; readonly python: string },
): Promise<Compared> {
  const folder = await Deno.makeTempDir();
  const refused = new Map<string, number>();
  const onPurpose = new Map<string, number>();
  const faults: Compared["faults"][number][] = [];
  let same = 0, skipped = 0;
  try {
    const sent: Sent[] = [];
    for (let index = 0; index < models; index++) {
      const realized = realizedOf(tame(drawCase((seed + index) >>> 0)));
      if (!realized) {
        skipped++;
        continue;
      }
      const path = `${folder}/${index}.keras`;
      try {
        await Deno.writeFile(path, await toKeras(realized.model, realized.variables, inputOption(realized)));
      } catch (error) {
        if (!(error instanceof TypeError) && !(error instanceof RangeError)) throw error;
        count(refused, error.message.replace(/[\d[\],"]+/g, "…").slice(0, 90));
        continue;
      }
      const x = libraryInput(realized, realized.inputs);
      sent.push({ realized, job: { model: path, inputs: mapLeaves(realized.one, x) } });
    }
    const answers = await ask(python, folder, sent.map(({ job }) => job));
    for (const [index, { realized }] of sent.entries()) {
      const message = difference(realized, answers[index]);
      if (message === "skipped") {
        skipped++;
        continue;
      }
      if (message === undefined) {
        same++;
        continue;
      }
      const known = differences.find(({ concerns }) => concerns(realized.one, message.message));
      if (known) count(onPurpose, known.name);
      else faults.push({ seed: realized.one.seed, ...message });
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  return { same, skipped, refused, onPurpose, faults };
}

/** The case with its numbers; undefined where these leave what float32 has. */
function realizedOf(one: Case): Realized | undefined {
  try {
    return realize(one);
  } catch (error) {
    if (error instanceof Skipped) return undefined;
    throw error;
  }
}

/** A sequential model does not say what it takes. */
function inputOption({ one, model }: Realized) {
  if (model.type === "model") return {};
  const [{ shape, dtype, time }] = one.inputs;
  const open = shape.map((size, axis) => axis === 0 && time > 0 && !one.fixedTime ? null : size);
  return { input: cf.spec([one.statefulBatch, ...open], dtype) };
}

function mapLeaves(one: Case, x: cf.Tree<cf.Tensor>): unknown {
  const leaves = cf.treeLeaves<cf.Tensor>(x);
  const order = placesOf(one.inputTree);
  return treeOfPlaces(one.inputTree, (place) => plain(leaves[order.indexOf(place)]) as unknown as cf.Tensor); // JSON
}

async function ask(python: string, folder: string, jobs: readonly Sent["job"][]): Promise<readonly Answer[]> {
  await Deno.writeTextFile(`${folder}/jobs.json`, JSON.stringify(jobs));
  const { success, stderr } = await new Deno.Command(python, {
    args: [
      new URL("keras_peer.py", import.meta.url).pathname,
      `${folder}/jobs.json`,
      `${folder}/results.json`,
    ],
    env: { OMP_NUM_THREADS: "1", CUDA_VISIBLE_DEVICES: "" },
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) throw new Error(`Python fails:\n${new TextDecoder().decode(stderr).slice(-4000)}`);
  return JSON.parse(await Deno.readTextFile(`${folder}/results.json`));
}

/** How Keras differs from the interpreter; undefined where it does not. */
function difference(
  realized: Realized,
  answer: Answer,
): { readonly message: string; readonly program: string } | "skipped" | undefined {
  if ("error" in answer) return { message: `Keras says ${answer.error}`, program: program(realized, []) };
  const { one } = realized;
  try {
    const { outputs, exact, tolerances } = exactOutputs({ realized });
    const order = placesOf(one.outputTree);
    for (const [place, values] of outputs.entries()) {
      const { shape, data } = answer.outputs[order.indexOf(place)];
      const samples = nest(data.map((value) => value ?? NaN), shape) as Nested[]; // the first axis is the samples
      const got = counted(values, samples).values;
      // Both round, each in its way.
      const tolerance = tolerances[place].map((one) => 2 * one);
      const apart = firstApart(got, exact[place].values, tolerance);
      if (apart === undefined) continue;
      const { places } = exact[place];
      return {
        message: `Keras puts out ${got[apart]} for output ${place} at ${places[apart]}, expected ${
          exact[place].values[apart]
        }`,
        program: program(
          realized,
          comparePrediction(
            realized,
            place,
            flatPlaces(places, samples),
            exact[place].values,
            tolerance[apart],
          ),
        ),
      };
    }
  } catch (error) {
    if (error instanceof Skipped) return "skipped";
    throw error;
  }
}

if (import.meta.main) {
  const option = (name: string) => {
    const at = Deno.args.indexOf(`--${name}`);
    return at < 0 ? undefined : Deno.args[at + 1];
  };
  const python = Deno.env.get("CELLFOLD_PYTHON");
  if (!python) throw new Error("CELLFOLD_PYTHON names no Python with keras and tensorflow");
  const seed = Number(option("seed") ?? crypto.getRandomValues(new Uint32Array(1))[0]);
  const models = Number(option("models") ?? 500);
  console.log(`${models} models from seed ${seed} in Keras`);
  const { same, skipped, refused, onPurpose, faults } = await compareWithKeras({ models, seed, python });
  console.log(`${same} predict the same, ${skipped} leave what float32 has`);
  for (const [name, number] of onPurpose) console.log(`${number} differ on purpose: ${name}`);
  for (const [name, number] of refused) console.log(`${number} are no Keras model: ${name}`);
  for (const { seed, message, program } of faults) console.log(`seed ${seed}: ${message}\n${program}`);
  Deno.exit(faults.length === 0 ? 0 : 1);
}
