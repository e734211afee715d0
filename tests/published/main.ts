/**
 * Reads every published model file of a folder, compares what it computes with its own framework, and trains a step:
 *
 *     bash ../shared/models/fetch.sh FOLDER && python tests/published/outputs.py FOLDER && deno task models FOLDER
 *
 * Prints a line for each file, and how many pass; `--only TEXT` takes the files whose path has this text, `--device NAME`
 * says where they run.
 */
import { parseArgs } from "node:util";
import type { Device } from "@cellfold/cellfold";
import { differenceOf, QUANTIZED_SHARE, QUANTIZED_TOLERANCE, SHARE, TOLERANCE, trainStep } from "./check.ts";
import { expectedOf, modelFiles } from "./files.ts";
import { readers } from "./readers.ts";

/** How many files have to pass; the others have layers of their own code. */
const LEAST = 105;

/** Models that compute with whole numbers; their weights are floats here. */
const QUANTIZED = /(common_old|int8)\.onnx$/;

interface Outcome {
  readonly path: string;
  readonly passed: boolean;
  readonly text: string;
}

const short = (value: number) => value.toExponential(1);

function reasonOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split("\n")[0].slice(0, 300);
}

async function check(folder: string, path: string, device: Device): Promise<Outcome> {
  const fail = (text: string) => ({ path, passed: false, text });
  const expected = await expectedOf(folder, path);
  if (!expected) return fail("its own framework does not run it");
  const [, read] = readers.find(([ending]) => ending.test(path)) ?? [];
  if (!read) return fail("there is no reader");
  try {
    const model = await read(await Deno.readFile(`${folder}/${path}`), expected);
    const [tolerance, share] = QUANTIZED.test(path)
      ? [QUANTIZED_TOLERANCE, QUANTIZED_SHARE]
      : [TOLERANCE, SHARE];
    const { largest, agrees } = differenceOf(
      await model.run(expected.inputs, { device }),
      expected.outputs,
      tolerance,
    );
    if (!agrees) return fail(`differs by ${short(largest)}`);
    const { before, after, promised } = await trainStep(model, expected, { device, share });
    const text = `differs by ${short(largest)}, loss ${short(before)}: ${short(after - before)} in a step, ` +
      `${short(-promised)} by its gradient`;
    return { path, passed: Number.isFinite(after) && after < before, text };
  } catch (error) {
    return fail(reasonOf(error));
  }
}

const { values, positionals } = parseArgs({
  args: Deno.args,
  allowPositionals: true,
  options: { only: { type: "string" }, device: { type: "string", default: "wasm" } },
});
const [folder] = positionals;
if (folder === undefined) {
  console.error("usage: deno task models FOLDER [--only TEXT] [--device NAME]");
  Deno.exit(2);
}
const paths = (await modelFiles(folder)).filter((path) => path.includes(values.only ?? ""));
let passed = 0;
for (const path of paths) {
  const outcome = await check(folder, path, values.device as Device); // what is none is refused
  if (outcome.passed) passed++;
  console.log(`${outcome.passed ? "ok  " : "FAIL"} ${path}: ${outcome.text}`);
}
console.log(`${passed} of ${paths.length} pass`);
Deno.exit(passed >= Math.min(LEAST, paths.length) ? 0 : 1);
