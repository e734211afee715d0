/** The options of `deno task bench`, read from the command line. */
import { unknownName } from "../../src/known_names.ts";
import type { Peer } from "./measurements.ts";
import { SUBJECTS } from "./measurements.ts";

/** What one run of the benchmark does. */
export interface BenchOptions {
  /** Workloads by name or by the part before the slash; all if absent. */
  readonly only?: readonly string[];
  /** The peers that take part; none by default. */
  readonly peers: readonly Peer[];
  readonly device?: string;
  /** The backend whose workloads run: those of wasm and the reference if absent, or those of webgpu. */
  readonly backend?: "webgpu";
  /** A folder with the MNIST files; without it epochs use made-up digits. */
  readonly data?: string;
  /** Threads of Cellfold; default: each workload's. */
  readonly threads?: number;
  readonly runs: number;
  /** A file for the figures. */
  readonly json?: string;
  /** A file for the table. */
  readonly markdown?: string;
  /** A workload whose time is broken down by kernel. */
  readonly profile?: string;
  /** Sizes that any device finishes at once. */
  readonly small: boolean;
  readonly help: boolean;
}

/** The text of `--help`. */
export const HELP = `Measures Cellfold, and its peers in the same run.

Usage: deno task bench [options]

  --peers[=NAMES]      with peers: all, or those named, separated by commas; those in Python are run by the
                       one that the variable CELLFOLD_PYTHON names
  --only NAMES         some workloads, separated by commas; "cliff" is all that begin with cliff/
  --json FILE          writes the figures
  --markdown FILE      writes the table; in a page with marks, such as docs/performance.md, between them
  --device NAME        the device of Cellfold (default auto); native has targets of its own
  --backend webgpu     the workloads of WebGPU instead, on that device
  --data FOLDER        the MNIST files, for the workloads of an epoch (default: digits made up)
  --threads N          threads of Cellfold (default: what each workload says)
  --runs N             runs of each subject (default 20)
  --profile WORKLOAD   instead: where the time of a train or predict workload goes, by kernel, on wasm or
                       with --device native; by dispatch with --backend webgpu
  --small              tiny sizes, to try all this out; the figures mean nothing
  --help               this text`;

const DEFAULT_RUNS = 20;

/** The peers by name. */
export const PEERS: readonly Peer[] = SUBJECTS.filter((subject) => subject !== "cellfold");

const FLAGS = ["--peers", "--small", "--help"] as const;
const VALUED = [
  "--only",
  "--json",
  "--markdown",
  "--device",
  "--backend",
  "--data",
  "--threads",
  "--runs",
  "--profile",
] as const;
const KNOWN: readonly string[] = [...FLAGS, ...VALUED];

/**
 * Reads the command line; a leading `--` is skipped, values follow their option after a space or an `=`.
 *
 * @param workloads The names of the workloads.
 * @throws RangeError for an unknown option or name (with the nearest known one), or an invalid value.
 */
export function parseOptions(args: readonly string[], workloads: readonly string[]): BenchOptions {
  const values = new Map<string, string | undefined>();
  const rest = args[0] === "--" ? args.slice(1) : [...args];
  for (let argument = rest.shift(); argument !== undefined; argument = rest.shift()) {
    const equals = argument.indexOf("=");
    const name = equals < 0 ? argument : argument.slice(0, equals);
    const inline = equals < 0 ? undefined : argument.slice(equals + 1);
    if (!KNOWN.includes(name)) throw unknownName("option", name, KNOWN);
    if (values.has(name)) throw new RangeError(`Cannot use the option ${name} twice`);
    if (inline !== undefined && (name === "--small" || name === "--help")) {
      throw new RangeError(`Cannot give ${name} a value: it takes none`);
    }
    const takesValue = VALUED.some((valued) => valued === name);
    const value = takesValue ? inline ?? rest.shift() : inline;
    if (takesValue && (value === undefined || value === "" || value.startsWith("--"))) {
      throw new RangeError(`Cannot use the option ${name}: it needs a value`);
    }
    values.set(name, value);
  }
  const only = values.get("--only")?.split(",");
  for (const name of only ?? []) {
    if (!workloads.some((workload) => isNamed(workload, name))) {
      throw unknownName("workload", name, workloads);
    }
  }
  const profile = values.get("--profile");
  if (profile !== undefined && !workloads.includes(profile)) {
    throw unknownName("workload", profile, workloads);
  }
  const backend = values.get("--backend");
  if (backend !== undefined && backend !== "webgpu") throw unknownName("backend", backend, ["webgpu"]);
  return {
    only,
    peers: values.has("--peers") ? peersOf(values.get("--peers")) : [],
    device: values.get("--device") ?? backend,
    backend,
    data: values.get("--data"),
    threads: countOf("--threads", values.get("--threads")),
    runs: countOf("--runs", values.get("--runs")) ?? DEFAULT_RUNS,
    json: values.get("--json"),
    markdown: values.get("--markdown"),
    profile,
    small: values.has("--small"),
    help: values.has("--help"),
  };
}

/** Whether a workload has this name or belongs to this group. */
export function isNamed(workload: string, name: string): boolean {
  return workload === name || workload.startsWith(`${name}/`);
}

function peersOf(names: string | undefined): readonly Peer[] {
  if (names === undefined) return PEERS;
  return names.split(",").map((name) => {
    const peer = PEERS.find((known) => known === name);
    if (!peer) throw unknownName("peer", name, PEERS);
    return peer;
  });
}

function countOf(name: string, value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const count = Number(value);
  if (Number.isInteger(count) && count >= 1) return count;
  throw new RangeError(`Cannot use ${name} ${value}: expected a whole number from 1`);
}
