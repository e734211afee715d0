/**
 * Kills a run at random moments and resumes it each time: what it ends with is bit for bit that of a run that
 * was left alone.
 *
 * `deno run -A tests/training/interrupted/kill.ts [moments] [seed] [device]`
 */

/** What came of a run that was killed again and again. */
export interface Survival {
  /** How often a process was killed. */
  readonly killed: number;
  /** After how many updates the newest checkpoint was then written; -1 if there was none. */
  readonly moments: readonly number[];
  /** How many runs were brought to their end. */
  readonly runs: number;
  /** How many of them ended with other values than the run that was left alone. */
  readonly different: number;
  /** The seed of the moments. */
  readonly seed: number;
}

const PROGRAM = new URL("run.ts", import.meta.url).href;

function start(directory: string, device: string): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-all", "--no-check", PROGRAM, directory, device],
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** The result of a process; undefined if it was killed, after a time in milliseconds. */
async function attempt(directory: string, device: string, killAfter?: number): Promise<string | undefined> {
  const child = start(directory, device);
  const timer = killAfter === undefined ? undefined : setTimeout(() => child.kill("SIGKILL"), killAfter);
  const { signal, success, stdout, stderr } = await child.output();
  clearTimeout(timer);
  if (signal === "SIGKILL") return undefined;
  const decoder = new TextDecoder();
  if (!success) throw new Error(`the run failed: ${decoder.decode(stderr)}`);
  return decoder.decode(stdout);
}

/** The number of updates in the newest checkpoint; -1 if there is none. */
function newestIn(directory: string): number {
  const updates = [...Deno.readDirSync(directory)].flatMap(({ name }) =>
    Number(/^checkpoint-(\d+)\.safetensors$/.exec(name)?.[1] ?? -1)
  );
  return Math.max(-1, ...updates);
}

async function inDirectory<Result>(use: (directory: string) => Promise<Result>): Promise<Result> {
  const directory = await Deno.makeTempDir();
  try {
    return await use(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** Numbers from 0 to 1 (Park and Miller, "Random number generators: good ones are hard to find", 1988). */
function uniforms(seed: number): () => number {
  let state = seed % 2147483646 + 1;
  return () => (state = state * 48271 % 2147483647) / 2147483647;
}

/** Kills runs until that many were killed, and compares what each ends with. */
export async function killAndResume(
  { moments, seed, device = "wasm" }: {
    readonly moments: number;
    readonly seed: number;
    readonly device?: string;
  },
): Promise<Survival> {
  const draw = uniforms(seed);
  const began = performance.now();
  const expected = await inDirectory((directory) => attempt(directory, device));
  /** About how long a run takes, in milliseconds: the first one compiles, and other programs come and go. */
  let whole = performance.now() - began;
  const newest: number[] = [];
  let [runs, different] = [0, 0];
  while (newest.length < moments) {
    await inDirectory(async (directory) => {
      for (let first = true;; first = false) {
        const killAfter = newest.length < moments ? whole * (0.4 + 0.6 * draw()) : undefined;
        const began = performance.now();
        const result = await attempt(directory, device, killAfter);
        if (result === undefined) {
          newest.push(newestIn(directory));
          if (newest.at(-1) === -1) whole *= 1.1; // killed before it began
        } else {
          runs++;
          if (first) whole = Math.min(whole, performance.now() - began);
          if (result !== expected) different++;
          return;
        }
      }
    });
  }
  return { killed: newest.length, moments: newest, runs, different, seed };
}

if (import.meta.main) {
  const [moments = "50", seed = String(Date.now() % 1e6), device] = Deno.args;
  console.log(await killAndResume({ moments: Number(moments), seed: Number(seed), device }));
}
