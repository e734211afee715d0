/**
 * Random models held to a step-by-step interpreter and to what must change nothing.
 *
 *     deno task fuzz:models [--models 10000] [--seed N] [--backend wasm]
 *
 * A fault is shrunk and printed as a program. `--seed` is the seed of the first model, the next ones follow it. On
 * webgpu most of the time goes to the compiling of pipelines; on llvmpipe `LP_NUM_THREADS=0` saves more than half of
 * it, which its threads spend waiting for each other.
 */
import { coverageText, createCoverage } from "./coverage.ts";
import { drawCase } from "./generate.ts";
import type { Device } from "./properties/context.ts";
import { runCase } from "./run.ts";
import { shrunk } from "./shrink.ts";

/** What a run of the fuzzer is given. */
export interface FuzzOptions {
  readonly models: number;
  readonly seed: number;
  readonly backend: Device;
  /** How many faults end the run. */
  readonly most?: number;
  /** The properties to check; default: those that the case draws. */
  readonly only?: string;
  /** A property that is not checked. */
  readonly without?: string;
  /** Whether programs are left out. */
  readonly brief?: boolean;
  readonly log?: (text: string) => void;
}

/** A fault as it is told. */
export interface Found {
  readonly seed: number;
  readonly property: string;
  readonly message: string;
  readonly program?: string;
}

/** Runs models one after another. */
export async function fuzz(
  { models, seed, backend, most = 1, only, without, brief = false, log = () => {} }: FuzzOptions,
) {
  const coverage = createCoverage();
  const found: Found[] = [];
  for (let index = 0; index < models && found.length < most; index++) {
    const drawn = drawCase((seed + index) >>> 0);
    const chosen = only ? [only] : drawn.properties.filter((property) => property !== without);
    const one = { ...drawn, properties: chosen };
    const verdicts = await runCase(one, backend);
    coverage.count(one, verdicts);
    for (const { property, fault } of verdicts) {
      if (!fault) continue;
      const small = await shrunk(one, property, fault, backend);
      found.push({ seed: one.seed, property, ...small });
      log(`seed ${one.seed}, ${property}: ${small.message}\n${brief ? "" : small.program ?? ""}`);
      break;
    }
    if ((index + 1) % 100 === 0) log(`${index + 1} models`);
  }
  return { found, coverage };
}

if (import.meta.main) {
  const option = (name: string) => {
    const at = Deno.args.indexOf(`--${name}`);
    return at < 0 ? undefined : Deno.args[at + 1];
  };
  const seed = Number(option("seed") ?? crypto.getRandomValues(new Uint32Array(1))[0]);
  const models = Number(option("models") ?? 10_000);
  const backend = (option("backend") ?? "wasm") as Device; // an unknown one is refused by the library
  console.log(`${models} models from seed ${seed} on ${backend}`);
  const { found, coverage } = await fuzz({
    models,
    seed,
    backend,
    most: Number(option("faults") ?? 1),
    only: option("only"),
    without: option("without"),
    brief: Deno.args.includes("--brief"),
    log: console.log,
  });
  console.log(coverageText(coverage));
  if (found.length > 0) {
    console.log(
      `${found.length} faults: ${found.map(({ seed, property }) => `${property} ${seed}`).join(", ")}`,
    );
  }
  Deno.exit(found.length === 0 ? 0 : 1);
}
