/**
 * How long the first step of `guide/train` takes on native in a process of its own, beside one that only traces it:
 * `deno run -A benches/native_compile.ts [rounds]`. Cold is without a cache, so that the runtime and the step are compiled;
 * warm is with what the cold process left. Other devices can be named after the rounds.
 */
import { createTrainer, type Device, init, key, mapTree, type Spec } from "@cellfold/cellfold";
import { specOf } from "@cellfold/cellfold/internal";
import { dataFor, lossOf, modelOf } from "./cellfold/models.ts";
import { GUIDE } from "./workloads.ts";

/** What a process prints: milliseconds. */
interface Times {
  readonly traced?: number;
  readonly first?: number;
}

async function measure(what: string): Promise<Times> {
  const data = dataFor(GUIDE, 1), model = modelOf(GUIDE), variables = init(model, key(0), data.x);
  const device = what === "trace" ? "reference" : what as Device; // a word of the command line; it is checked
  using trainer = createTrainer(model, { ...lossOf(GUIDE), device });
  const begin = performance.now();
  if (what === "trace") {
    const session = trainer.session("fit", variables, data);
    const { params, state } = variables;
    const optimizer = trainer.initOptimizer(variables), metrics = session.objective.initState();
    session.train().program(
      ...mapTree([params, state, optimizer, metrics, key(0), data], (leaf: Spec) => specOf(leaf)),
    );
    return { traced: performance.now() - begin };
  }
  let state = await trainer.trainOnBatch({ variables }, data);
  const first = performance.now() - begin;
  let later = Infinity;
  for (let i = 0; i < 10; i++) {
    const begin = performance.now();
    state = await trainer.trainOnBatch(state, data);
    later = Math.min(later, performance.now() - begin);
  }
  return { first: first - later };
}

/** Where Deno keeps what it made of the modules, which all processes have: it would otherwise lie in their caches. */
function denoDirectory(): string {
  const { DENO_DIR, XDG_CACHE_HOME, HOME } = Deno.env.toObject();
  return DENO_DIR ?? `${XDG_CACHE_HOME ?? `${HOME}/.cache`}/deno`;
}

async function inProcess(what: string, cache: string): Promise<number> {
  const args = ["run", "-A", "--no-check", import.meta.filename!, "child", what];
  const { stdout, success } = await new Deno.Command(Deno.execPath(), {
    args,
    env: { XDG_CACHE_HOME: cache, DENO_DIR: denoDirectory() },
    stderr: "inherit",
  }).output();
  if (!success) throw new Error(`The process for ${what} failed`);
  const { traced, first }: Times = JSON.parse(new TextDecoder().decode(stdout));
  return traced ?? first ?? NaN;
}

async function main(rounds: number, devices: readonly string[]): Promise<void> {
  const times = new Map<string, number[]>();
  const add = (name: string, time: number) => times.set(name, [...times.get(name) ?? [], time]);
  for (let round = 0; round < rounds; round++) {
    const cache = await Deno.makeTempDir();
    try {
      add("tracing alone", await inProcess("trace", cache));
      add("native, cold", await inProcess("native", cache));
      add("native, warm", await inProcess("native", cache));
      for (const device of devices) add(device, await inProcess(device, cache));
    } finally {
      await Deno.remove(cache, { recursive: true });
    }
  }
  for (const [name, each] of times) {
    each.sort((a, b) => a - b);
    console.log(
      `${name.padEnd(16)}${each[each.length >> 1].toFixed(0).padStart(6)} ms, ${each[0].toFixed(0)} at best`,
    );
  }
}

if (Deno.args[0] === "child") console.log(JSON.stringify(await measure(Deno.args[1])));
else await main(Number(Deno.args[0] ?? 5), Deno.args.slice(1));
