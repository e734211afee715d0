/**
 * `deno task oracle [DIR] [--backend NAME] [--group NAMES] [--skip NAMES]`: every case of every file in DIR, or of the
 * cases in this repository, on a backend, a line per group, exit status 1 on any miss. For wasm and native, `--threads N`
 * says how many it has, and `--share` has them share all work, however little; for wasm, `--plain` is SIMD without
 * relaxed instructions.
 */
import { type Device, findBackend } from "../../kernels/mod.ts";
import { isHit, type Outcome, runCase } from "./run.ts";
import { casesFolder, readOracle } from "./files.ts";
import type { OracleFile } from "./format.ts";
import { caseLines, groupLine } from "./report.ts";

const USAGE = "deno task oracle [DIR] [--backend NAME] [--group NAMES] [--skip NAMES] " +
  "[--threads N] [--plain] [--share]";

interface Arguments {
  readonly folder: string | URL;
  readonly device: Device;
  /** Only these groups; all where absent. */
  readonly only?: readonly string[];
  readonly skip: readonly string[];
}

/** Options that have a value. */
const VALUED = ["backend", "group", "skip", "threads"];
/** Options that are there or not. */
const FLAGS = ["plain", "share"];

/** The device for `--backend`, `--threads`, `--plain` and `--share`. */
function deviceOf(name: string, { threads, plain, share }: Record<string, string>): Device {
  if (threads === undefined && plain === undefined && share === undefined) return name as Device; // what is no device is refused
  if (name !== "wasm" && (name !== "native" || plain !== undefined)) {
    throw new Error("--threads and --share are options of --backend wasm and native, --plain of wasm");
  }
  return {
    name: name as "wasm", // or native, whose options are among those
    ...(threads !== undefined && { threads: Number(threads) }),
    ...(plain !== undefined && { relaxed: false }),
    ...(share !== undefined && { shareFrom: 0 }),
  };
}

/** What the command line says; names of groups are joined by commas. */
function parseArguments(args: readonly string[]): Arguments {
  const options: Record<string, string> = {};
  const folders: string[] = [];
  const rest = [...args];
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    const [, name, value] = arg.match(/^--([a-z]+)(?:=(.*))?$/) ?? [];
    if (arg === "--") continue;
    if (name === undefined) folders.push(arg);
    else if (FLAGS.includes(name) && value === undefined) options[name] = "";
    else if (!VALUED.includes(name)) throw new Error(`there is no option ${arg}`);
    else {
      const given = value ?? rest.shift();
      if (given === undefined || given === "") throw new Error(`${arg} needs a value`);
      options[name] = given;
    }
  }
  if (folders.length > 1) throw new Error(`expected one folder at most, got ${folders.length}`);
  return {
    folder: folders[0] ?? casesFolder,
    device: deviceOf(options.backend ?? "reference", options),
    only: options.group?.split(","),
    skip: options.skip?.split(",") ?? [],
  };
}

/** Runs one file and prints what came of it; whether all cases that count were hits. */
async function runGroup({ group, cases }: OracleFile, device: Device): Promise<boolean> {
  const outcomes: Outcome[] = [];
  for (const oracleCase of cases) outcomes.push(await runCase(oracleCase, device));
  console.log([groupLine(group, outcomes), ...caseLines(group, outcomes)].join("\n"));
  return outcomes.every((outcome) => outcome.oracleCase.quirk || isHit(outcome));
}

/** The files that were asked for. */
async function chosen({ folder, only, skip }: Arguments): Promise<OracleFile[]> {
  const files = await readOracle(folder);
  if (files.length === 0) throw new Error(`there are no .json or .json.gz files in ${folder}`);
  const unknown = only?.find((name) => !files.some(({ group }) => group === name));
  if (unknown !== undefined) {
    throw new Error(
      `there is no group ${unknown} in ${folder}, only ${files.map(({ group }) => group).join(", ")}`,
    );
  }
  return files.filter(({ group }) => (only?.includes(group) ?? true) && !skip.includes(group));
}

/** The whole command; the exit status: 0 all right, 1 misses, 2 nothing could be run. */
async function main(args: readonly string[]): Promise<number> {
  let files: OracleFile[];
  let device: Device;
  try {
    const given = parseArguments(args);
    device = given.device;
    await findBackend(device);
    files = await chosen(given);
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\nusage: ${USAGE}`);
    return 2;
  }
  let good = true;
  for (const file of files) good = await runGroup(file, device) && good;
  return good ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
