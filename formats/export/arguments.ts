/** The arguments of the command `export`. */
import { remedy } from "../../src/known_names.ts";
import { quoted } from "../../src/quoted.ts";
import { weightFormats } from "../standalone/options.ts";
import type { COptions } from "../standalone/to_c.ts";

/** What the command is told. */
export interface Arguments {
  /** The file to read. */
  readonly file: string;
  /** The name of the target. */
  readonly to: string;
  /** Where to write; default: beside the file. */
  readonly output?: string;
  readonly name?: string;
  readonly input?: string;
  /** The texts of masks, of which a model of several inputs has one for each of some. */
  readonly mask?: readonly string[];
  readonly batch?: number;
  readonly weights?: COptions["weights"];
  readonly stream: boolean;
  readonly allowNaN: boolean;
}

/** The options that take a value, and those that take none. */
const VALUES = ["to", "output", "name", "input", "mask", "batch", "weights"] as const;
const FLAGS = ["stream", "allow-nan"] as const;

/**
 * Reads the arguments.
 *
 * @throws SyntaxError for arguments that are unknown, incomplete or given twice.
 */
export function parseArguments(args: readonly string[]): Arguments {
  const files: string[] = [];
  const given = new Map<string, string>();
  const masks: string[] = [];
  for (let at = 0; at < args.length; at++) {
    const argument = args[at];
    if (!argument.startsWith("-")) {
      files.push(argument);
      continue;
    }
    const [name, ...rest] = argument.replace(/^--/, "").split("=");
    if (given.has(name) && name !== "mask") {
      throw new SyntaxError(`Cannot export: --${name} is given twice, expected once; leave one out`);
    }
    if (FLAGS.some((flag) => flag === name)) {
      if (rest.length > 0) {
        throw new SyntaxError(`Cannot export: --${name} has a value, expected none; give --${name}`);
      }
      given.set(name, "");
    } else if (VALUES.some((option) => option === name)) {
      const value = rest.length > 0 ? rest.join("=") : args[++at];
      if (value === undefined || value === "") {
        throw new SyntaxError(`Cannot export: --${name} has no value; give one behind it`);
      }
      given.set(name, value);
      if (name === "mask") masks.push(value);
    } else {
      throw new SyntaxError(
        `Cannot export: the option ${quoted(argument)} is unknown; ${
          remedy(name.replace(/^-/, ""), [...VALUES, ...FLAGS, "help"])
        }`,
      );
    }
  }
  if (files.length !== 1) {
    throw new SyntaxError(`Cannot export: ${files.length} files are given, expected one; see --help`);
  }
  const to = given.get("to");
  if (to === undefined) {
    throw new SyntaxError("Cannot export: --to is missing, expected a target; see --help");
  }
  const batch = given.get("batch");
  if (batch !== undefined && !/^[1-9]\d*$/.test(batch)) {
    throw new SyntaxError(`Cannot export: --batch is ${quoted(batch)}, expected a whole number from 1`);
  }
  const weights = given.get("weights"), format = weightFormats.find((name) => name === weights);
  if (weights !== undefined && format === undefined) {
    throw new SyntaxError(
      `Cannot export: --weights is ${quoted(weights)}, expected a format; ${remedy(weights, weightFormats)}`,
    );
  }
  return {
    file: files[0],
    to,
    output: given.get("output"),
    name: given.get("name"),
    input: given.get("input"),
    mask: masks.length === 0 ? undefined : masks,
    batch: batch === undefined ? undefined : Number(batch),
    weights: format,
    stream: given.has("stream"),
    allowNaN: given.has("allow-nan"),
  };
}
