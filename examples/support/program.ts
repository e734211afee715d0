/** What the programs of docs/examples.md share: their options, their pictures, and random numbers from a seed. */
import { parseArgs } from "node:util";
import type { Log } from "./section.ts";

/** How a program is run. */
export interface ProgramOptions {
  /** Less data and fewer epochs, for a test of some seconds. */
  readonly small?: boolean;
  /** The SVG file that its picture is written to; none by default. */
  readonly picture?: string;
  /** Where its words go; by default to the console. */
  readonly log?: Log;
}

/**
 * The options of a program from the command line: `--small` and `--picture FILE`.
 *
 * @throws TypeError for any other argument, naming it.
 */
export function programOptions(args: readonly string[]): ProgramOptions {
  const { values } = parseArgs({
    args: [...args],
    options: { small: { type: "boolean" }, picture: { type: "string" } },
    strict: true,
  });
  return values;
}

/**
 * Writes the picture of a program, where one is wanted.
 *
 * @param draw Makes the SVG text with the functions of `@cellfold/cellfold/display`, which are loaded only here.
 */
export async function writePicture(
  { picture, log = console.log }: ProgramOptions,
  draw: (display: typeof import("@cellfold/cellfold/display")) => string,
): Promise<void> {
  if (picture === undefined) return;
  await Deno.writeTextFile(picture, draw(await import("@cellfold/cellfold/display")));
  log(`picture: ${picture}`);
}

/** Random numbers that are the same for the same seed. */
export interface Random {
  /** From 0 to below 1. */
  uniform(): number;
  /** Normal, with mean 0 and standard deviation 1. */
  normal(): number;
  /** A whole number from 0 to below `bound`. */
  below(bound: number): number;
  /** One of several. */
  pick<T>(choices: readonly T[]): T;
}

/** Random numbers for data that is made up: the generator sfc32 (Doty-Humphrey, PractRand, 2010). */
export function randomFrom(seed: number): Random {
  let [a, b, c, counter] = [seed | 0, 0x9e3779b9 | 0, 0x243f6a88, 1];
  const word = () => {
    const sum = (a + b + counter++) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21 | c >>> 11) + sum) | 0;
    return sum >>> 0;
  };
  for (let i = 0; i < 12; i++) word(); // mixes the seed into all words
  const uniform = () => word() / 2 ** 32;
  const below = (bound: number) => Math.floor(uniform() * bound);
  return {
    uniform,
    below,
    normal: () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()),
    pick: (choices) => choices[below(choices.length)],
  };
}
