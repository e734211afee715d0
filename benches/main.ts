/**
 * The benchmark: every workload, with the peers in the same run.
 *
 * ```sh
 * deno task bench --peers --json figures.json --markdown docs/performance.md
 * ```
 */
import { productFlops } from "./cellfold/program.ts";
import { sharedCeiling } from "./support/ceiling.ts";
import { bestEntries, type Entry, entryOf } from "./support/measurements.ts";
import { adapterLine, machineLine } from "./support/machine.ts";
import { type BenchOptions, HELP, isNamed, parseOptions } from "./support/options.ts";
import { markdownTable, pageWithTable, printTable, type Results } from "./support/report.ts";
import { Contest } from "./support/rounds.ts";
import { smallTask, type Task } from "./support/tasks.ts";
import { webGpuWorkloads, workloadsForAdapter } from "./webgpu_workloads.ts";
import { nativeWorkloads, type Workload, workloads } from "./workloads.ts";

/** The workloads of a backend that this machine can run. */
async function workloadsOf({ backend, device }: BenchOptions): Promise<readonly Workload[]> {
  if (backend === undefined) return device === "native" ? nativeWorkloads : workloads;
  const possible = await workloadsForAdapter();
  if (!possible) throw new Error("Cannot measure webgpu: there is no adapter");
  for (const { name } of webGpuWorkloads.filter((workload) => !possible.includes(workload))) {
    console.error(`${name} is left out: there is no graphics processor`);
  }
  return possible;
}

/** The requested workloads, and those that their targets compare them with. */
function chosen(workloads: readonly Workload[], only: readonly string[] | undefined): readonly Workload[] {
  if (!only) return workloads;
  const named = workloads.filter(({ name }) => only.some((asked) => isNamed(name, asked)));
  const needed = new Set(
    named.flatMap(({ name, targets }) => [
      name,
      ...targets.flatMap((target) => target.kind === "workload" ? [target.workload] : []),
    ]),
  );
  return workloads.filter(({ name }) => needed.has(name));
}

/** Groups workloads by what they are compared with: those in one group take turns. */
function groupsOf(asked: readonly Workload[]): readonly (readonly Workload[])[] {
  const groups = new Map<string, Workload[]>();
  for (const workload of asked) {
    const other = workload.targets.find((target) => target.kind === "workload");
    const name = other ? other.workload : workload.name;
    groups.set(name, [...groups.get(name) ?? [], workload]);
  }
  return [...groups.values()];
}

/** Returns the least time that the products of a task can take with a number of threads, in milliseconds. */
function leastTimes(
  { backend, device, small }: BenchOptions,
  ceilings: Map<number, number>,
): (task: Task, threads: number) => Promise<number | undefined> {
  return async (task, threads) => {
    const isModel = task.kind === "train" || task.kind === "predict" || task.kind === "nested";
    // The ceiling is that of wasm.
    if (!isModel || backend !== undefined || device === "native" || small) return undefined;
    const ceiling = ceilings.get(threads) ?? await sharedCeiling(threads);
    ceilings.set(threads, ceiling);
    return productFlops(task) / ceiling / 1e6;
  };
}

async function run(options: BenchOptions): Promise<Results> {
  const { runs, peers, threads, device, small, only } = options;
  const log = (line: string) => console.error(line);
  const entries: Entry[] = [];
  const asked = chosen(await workloadsOf(options), only);
  await using contest = new Contest({
    runs,
    peers,
    threads,
    device,
    python: Deno.env.get("CELLFOLD_PYTHON"),
    log,
    taskOf: small ? smallTask : (task) => task.kind === "epoch" ? { ...task, folder: options.data } : task,
  });
  const machine = await machineLine();
  /** GFLOP/s by number of threads. */
  const ceilings = new Map<number, number>();
  const leastOf = leastTimes(options, ceilings);
  const adapter = options.backend === "webgpu" ? [await adapterLine()] : [];
  for (const group of groupsOf(asked)) {
    log(`${group.map(({ name }) => name).join(", ")} …`);
    const measured = await contest.run(group);
    for (const measurement of measured.filter(({ times }) => times.length > 0)) {
      const { workload, subject, threads } = measurement;
      const task = subject === "cellfold" ? group.find(({ name }) => name === workload)?.task : undefined;
      const leastMs = task && await leastOf(task, threads);
      entries.push({ ...entryOf(measurement), ...(leastMs === undefined ? {} : { leastMs }) });
    }
    // Written after each group, so that an interrupted run keeps its results.
    if (options.json) await writeJson(options.json, bestEntries(entries));
  }
  const heading = [
    machine,
    ...adapter,
    [...contest.versions].map(([name, version]) => `${name} ${version}`).join(", "),
    `Medians of ${runs} runs that take turns; peers with 1 or 2 threads, whichever is faster`,
    ...[...ceilings].map(([threads, ceiling]) =>
      `Lower bound: matrix products alone at the peak rate of 128-bit multiply-adds, ${
        ceiling.toFixed(1)
      } GFLOP/s on ${threads} threads`.replace("1 threads", "1 thread")
    ),
  ];
  return { workloads: asked, entries: bestEntries(entries), heading };
}

async function writeJson(path: string, entries: readonly Entry[]): Promise<void> {
  await Deno.writeTextFile(path, `${JSON.stringify(entries, null, 2)}\n`);
}

/** Writes the table to a file; a page such as docs/performance.md keeps the text around its table. */
async function writeTable(path: string, backend: string, table: string): Promise<void> {
  const page = await Deno.readTextFile(path).catch((error: unknown) => {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  });
  await Deno.writeTextFile(path, pageWithTable(page, backend, table));
}

async function main(options: BenchOptions): Promise<void> {
  if (options.help) {
    console.log(HELP);
    return;
  }
  if (options.profile !== undefined) {
    const workload = [...workloads, ...webGpuWorkloads].find(({ name }) => name === options.profile);
    if (options.backend === "webgpu") {
      const { profileDispatches } = await import("./webgpu_profile.ts");
      console.log(await profileDispatches(workload, options));
      return;
    }
    const { profile } = await import("./profile.ts");
    console.log(await profile(workload, options));
    return;
  }
  const results = await run(options);
  console.log(printTable(results));
  if (options.markdown) {
    const { backend, device } = options;
    await writeTable(
      options.markdown,
      backend ?? (device === "native" ? device : "wasm"),
      markdownTable(results),
    );
  }
}

if (import.meta.main) {
  const names = [...workloads, ...webGpuWorkloads].map(({ name }) => name);
  const options = await Promise.resolve(Deno.args).then((args) => parseOptions(args, names)).catch(
    (error: unknown) => {
      console.error(error instanceof Error ? error.message : error);
      Deno.exit(1);
    },
  );
  await main(options);
}
