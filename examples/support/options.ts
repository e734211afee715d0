/** The options of `deno task example`, read from the command line. */
import type { Device } from "@cellfold/cellfold";
import { unknownName } from "../../src/known_names.ts";

/** What one run of the example does. */
export interface MnistRun {
  /** A folder with the four IDX files. */
  readonly data?: string;
  /** All batches and the whole validation set, however slow the device. */
  readonly full: boolean;
  /** Batches of an epoch; default: all of them, on the slow reference device a few. */
  readonly batches?: number;
  readonly epochs: number;
  readonly seed: number;
  /** The device by name; default: whichever is the fastest here. */
  readonly device?: Device;
  /** Where the learning curve is written. */
  readonly curve: string;
}

/** The text of `--help`. */
export const HELP = `Learns to read digits row by row, with a recurrent network in two guises.

Usage: deno task example [options]

  --data DIR     a folder with the four IDX files of MNIST, plain or .gz
                 (default: an earlier download, a download, or digits from a generator)
  --full         all batches and the whole validation set, also on the slow reference device
  --batches N    how many batches make an epoch (default: all; 100 on the reference device)
  --epochs N     how often they are gone over (default 1)
  --seed N       the random seed of weights and order (default 0)
  --device NAME  where it runs (default auto: the fastest device here)
  --curve FILE   where the learning curve is written (default mnist-curve.svg)
  --help         this text`;

const FLAGS = ["--full", "--help"] as const;
const VALUED = ["--data", "--batches", "--epochs", "--seed", "--device", "--curve"] as const;
const KNOWN: readonly string[] = [...FLAGS, ...VALUED];

/**
 * Reads the command line; a leading `--` is skipped, values follow their option after a space or an `=`.
 *
 * @returns What to do, or undefined where help was asked for.
 * @throws RangeError for an option that is unknown (with the nearest known one), or a value that does not fit.
 */
export function parseOptions(args: readonly string[]): MnistRun | undefined {
  const values = new Map<string, string>();
  const rest = args[0] === "--" ? args.slice(1) : [...args];
  while (rest.length > 0) {
    const [name, inline] = splitOnce(rest.shift() ?? "", "=");
    if (!KNOWN.includes(name)) throw unknownName("option", name, KNOWN);
    if (values.has(name)) throw new RangeError(`Cannot use the option ${name} twice`);
    const takesValue = VALUED.some((known) => known === name);
    if (!takesValue && inline !== undefined) {
      throw new RangeError(`Cannot give ${name} a value: it takes none`);
    }
    const value = takesValue ? inline ?? rest.shift() : "";
    if (value === undefined || (takesValue && (value === "" || value.startsWith("--")))) {
      throw new RangeError(`Cannot use the option ${name}: it needs a value`);
    }
    values.set(name, value);
  }
  if (values.has("--help")) return undefined;
  if (values.has("--full") && values.has("--batches")) {
    throw new RangeError("Cannot use --full with --batches: --full is all of them");
  }
  return {
    data: values.get("--data"),
    full: values.has("--full"),
    batches: values.has("--batches") ? wholeNumber("--batches", values.get("--batches") ?? "", 1) : undefined,
    epochs: wholeNumber("--epochs", values.get("--epochs") ?? "1", 1),
    seed: wholeNumber("--seed", values.get("--seed") ?? "0", 0),
    device: values.get("--device") as Device | undefined, // what is no device is refused
    curve: values.get("--curve") ?? "mnist-curve.svg",
  };
}

function splitOnce(text: string, separator: string): [before: string, after: string | undefined] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

function wholeNumber(option: string, text: string, least: number): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= least) return value;
  throw new RangeError(`Cannot use ${option} ${text}: expected a whole number from ${least}`);
}
