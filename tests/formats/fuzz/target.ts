/** What a reader makes of mutated files: it reads them, or refuses them as documented, soon. */
import process from "node:process";
import { assert } from "@std/assert";
import { drawSeed, type Random, seeded } from "./mutate.ts";

/** Files of one kind, mutated and read in one way. */
export interface FuzzTarget {
  /** Mutates one of the files as drawn, and reads it. */
  readonly mutated: (draw: Random) => unknown;
  /** Reads each file as it is: to be called last, as damaged files must leave nothing behind. */
  readonly whole: () => Promise<void>;
}

/** A reader, and what it is given. */
export interface Fuzzed {
  /** What it reads, such as `Keras`. */
  readonly name: string;
  readonly targets: Readonly<Record<string, FuzzTarget>>;
  /** Whether an error is one that the reader's documentation names. */
  readonly isDocumented: (error: unknown) => error is Error;
}

/** The files of a target, how they are mutated, and how they are read. */
export function fuzzTarget<File>(
  files: readonly File[],
  mutation: (file: File, draw: Random) => File,
  read: (file: File) => unknown,
): FuzzTarget {
  return {
    mutated: (draw) => read(mutation(files[draw(files.length)], draw)),
    async whole() {
      for (const file of files) await read(file);
    },
  };
}

/** How many files were read, and how many refused. */
export interface FuzzCounts {
  readonly read: number;
  readonly refused: number;
  /** The longest time that one file took, in milliseconds of processor time. */
  readonly slowest: number;
}

/** The longest that a file may take, in milliseconds; one that is whole takes at most a few dozen. */
const LIMIT = 2000;

/** What the language itself says of a mistake in the reader, whatever error it is told with. */
const INTERNAL =
  /is not a function|is not iterable|\bof (null|undefined)|Invalid (array|typed array) length|call stack|BigInt|\[object/;

/** The processor time of this process: a file takes no longer because something else runs. */
function milliseconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/**
 * Reads `count` mutated files of a target, and then those that are whole.
 *
 * @throws Error with the seed of the first file that is neither read nor refused as documented, or takes too long.
 */
export async function fuzz(
  { name, targets, isDocumented }: Fuzzed,
  kind: string,
  count: number,
  firstSeed: number,
): Promise<FuzzCounts> {
  const target = targets[kind];
  let [read, refused, slowest] = [0, 0, 0];
  for (let seed = firstSeed; seed < firstSeed + count; seed++) {
    const begun = milliseconds();
    try {
      await target.mutated(seeded(seed));
      read++;
    } catch (cause) {
      if (!isDocumented(cause)) {
        throw new Error(`${name}, ${kind}: seed ${seed} throws what is not documented`, { cause });
      }
      if (INTERNAL.test(cause.message)) {
        throw new Error(`${name}, ${kind}: seed ${seed} is refused by a mistake in the reader`, { cause });
      }
      refused++;
    }
    const took = milliseconds() - begun;
    slowest = Math.max(slowest, took);
    if (took > LIMIT) throw new Error(`${name}, ${kind}: seed ${seed} took ${took.toFixed()} ms`);
  }
  await target.whole();
  return { read, refused, slowest };
}

/** Reads `count` mutated files of every target, the same each time, and those that are whole. */
export async function fuzzEach(fuzzed: Fuzzed, count: number): Promise<void> {
  for (const kind of Object.keys(fuzzed.targets)) {
    const { read, refused } = await fuzz(fuzzed, kind, count, 20_250);
    assert(refused > 0, `${kind}: ${read} are read, and none is refused: mutations do not reach the reader`);
  }
}

/**
 * Reads mutated files of every target, and prints what came of them.
 *
 * @param args How many files in all, default 100,000, and the first seed: without one it is drawn.
 */
export async function fuzzAll(fuzzed: Fuzzed, args: readonly string[]): Promise<void> {
  const [count = 100_000, seed = drawSeed()] = args.map(Number);
  const kinds = Object.keys(fuzzed.targets);
  const share = Math.ceil(count / kinds.length);
  console.log(`${fuzzed.name}: ${kinds.length} kinds of ${share} files, from seed ${seed}`);
  for (const kind of kinds) {
    const { read, refused, slowest } = await fuzz(fuzzed, kind, share, seed);
    console.log(`  ${kind}: ${read} read, ${refused} refused, the slowest took ${slowest.toFixed()} ms`);
  }
}
