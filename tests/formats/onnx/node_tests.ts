/**
 * `deno task onnx:tests [FOLDER] [--device NAME] [--all] [NAME ...]`: runs ONNX's node tests whose operators are supported
 * here, or those of these names. FOLDER is what python/node_cases.py wrote. Without it the tests are written first, by the
 * Python of CELLFOLD_PYTHON, else in an environment of their own, into which pip installs the package `onnx`. `--all` also
 * lists which operators the other tests lack. The exit status: 0 all pass, but for reasons that are known, 1 some
 * do not, 2 nothing could be run.
 */
import type { Device } from "../../../kernels/mod.ts";
import { type NodeTest, type Outcome, runNodeTest } from "./support/node_tests.ts";
import { knownReason } from "./support/node_exceptions.ts";

const USAGE = "deno task onnx:tests [FOLDER] [--device NAME] [--all] [NAME ...]";

interface Arguments {
  readonly folder: string | undefined;
  readonly device: Device | undefined;
  readonly all: boolean;
  readonly names: readonly string[];
}

function parseArguments(args: readonly string[]): Arguments {
  const rest = [...args];
  const names: string[] = [];
  let folder: string | undefined, device: Device | undefined, all = false;
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    if (arg === "--all") all = true;
    else if (arg === "--device") device = rest.shift() as Device; // what is no device is refused
    else if (arg.startsWith("--")) throw new Error(`there is no option ${arg}`);
    else if (arg.startsWith("test_")) names.push(arg);
    else if (folder === undefined) folder = arg;
    else throw new Error(`expected one folder at most, got ${folder} and ${arg}`);
  }
  return { folder, device, all, names };
}

async function run(command: string, args: readonly string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, {
    args: [...args],
    env: { CUDA_VISIBLE_DEVICES: "" },
  }).output();
  if (!success) throw new Error(`${command} ${args[0]} fails:\n${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout);
}

/** Writes the tests into a folder. */
async function writeTests(folder: string): Promise<void> {
  let python = Deno.env.get("CELLFOLD_PYTHON");
  if (python === undefined) {
    await run("python3", ["-m", "venv", `${folder}/python`]);
    python = `${folder}/python/bin/python`;
    await run(python, ["-m", "pip", "install", "--quiet", "onnx", "pillow"]);
  }
  const script = new URL("./python/node_cases.py", import.meta.url).pathname;
  console.log((await run(python, [script, `${folder}/tests`])).trim());
}

async function readTests(folder: string, names: readonly string[]): Promise<NodeTest[]> {
  const found = (await Array.fromAsync(Deno.readDir(folder))).filter(({ isDirectory }) => isDirectory);
  const wanted = found.map(({ name }) => name).sort().filter((name) =>
    names.length === 0 || names.includes(name)
  );
  if (wanted.length === 0) throw new Error(`there are no such tests in ${folder}`);
  return await Promise.all(wanted.map(async (name) => ({
    name,
    model: await Deno.readFile(`${folder}/${name}/model.onnx`),
    data: await Deno.readFile(`${folder}/${name}/data.onnx`),
  })));
}

/** Lines by reason, the most frequent first. */
function grouped(outcomes: readonly (readonly [string, Outcome])[]): string[] {
  const byReason = Map.groupBy(
    outcomes,
    ([, { reason }]) => reason?.replaceAll(/"[^"]*"|node \d+/g, "…") ?? "",
  );
  return [...byReason].sort(([, a], [, b]) => b.length - a.length).map(([reason, tests]) =>
    `  ${String(tests.length).padStart(4)} ${reason} (${tests.slice(0, 3).map(([name]) => name).join(", ")}${
      tests.length > 3 ? " …" : ""
    })`
  );
}

async function main(args: readonly string[]): Promise<number> {
  let tests: readonly NodeTest[], given: Arguments;
  let made: string | undefined;
  try {
    given = parseArguments(args);
    if (given.folder === undefined) {
      made = await Deno.makeTempDir();
      await writeTests(made);
    }
    tests = await readTests(given.folder ?? `${made}/tests`, given.names);
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\nusage: ${USAGE}`);
    return 2;
  } finally {
    if (made !== undefined) await Deno.remove(made, { recursive: true });
  }
  const outcomes: [string, Outcome][] = [];
  for (const test of tests) outcomes.push([test.name, await runNodeTest(test, given.device)]);
  const of = (result: Outcome["result"]) => outcomes.filter(([, outcome]) => outcome.result === result);
  const reasonOf = ([name, { reason }]: [string, Outcome]) => knownReason(name, reason ?? "");
  const [passed, notPassed] = [of("passed"), [...of("failed"), ...of("refused")]];
  const known = notPassed.filter((outcome) => reasonOf(outcome) !== undefined);
  const others = notPassed.filter((outcome) => reasonOf(outcome) === undefined);
  const [failed, refused] = Array.from(
    ["failed", "refused"],
    (kind) => others.filter(([, { result }]) => result === kind),
  );
  for (const [name, { reason }] of failed) console.log(`failed: ${name}: ${reason}`);
  if (refused.length > 0) console.log("refused:", ...grouped(refused).map((line) => `\n${line}`));
  for (const [why, tests] of Map.groupBy(known, reasonOf)) {
    console.log(`not passed, as is known: ${tests.length}: ${why}`);
  }
  if (given.all) {
    console.log(
      "operators that are lacking:",
      ...grouped(of("unclaimed")).map((line) => `\n${line}`),
    );
  }
  console.log(
    `${passed.length} passed, ${failed.length} failed, ${refused.length} refused, ${known.length} not passed for known ` +
      `reasons; ${of("unclaimed").length} need other operators`,
  );
  return others.length === 0 ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
