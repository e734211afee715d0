/** The error for an unreadable Keras file, and how other errors are converted to it. */

/**
 * A Keras file that cannot be read: damaged, hostile, or with contents that have no equivalent in this
 * library. The message says where in the file and what was expected.
 *
 * @example
 * ```ts
 * import { assert } from "@std/assert";
 * import { fromKeras, KerasFileError } from "@cellfold/cellfold/keras";
 * const error = await fromKeras(new Uint8Array(3)).catch((error) => error);
 * assert(error instanceof KerasFileError);
 * assert(error.message.startsWith("Cannot read the Keras file: "));
 * ```
 */
export class KerasFileError extends Error {
  /** `KerasFileError`. */
  override readonly name: string = "KerasFileError";
  /**
   * The place in the file: an entry of the archive, a path in the configuration, or a path among the weights.
   */
  readonly place: string;
  /** What the file is, if that is known: `a whole-model HDF5 of Keras 2.4.0`. */
  readonly about: string | undefined;
  /** What is wrong there. */
  readonly reason: string;

  /** The error for a problem at a place; `cause` is the original error, if there was one. */
  constructor(place: string, reason: string, options: ErrorOptions & { readonly about?: string } = {}) {
    const { about, ...rest } = options;
    super(
      `Cannot read the Keras file: ${place}: ${reason}${about === undefined ? "" : ` (this is ${about})`}`,
      rest,
    );
    this.place = place;
    this.reason = reason;
    this.about = about;
  }
}

/** A thrown value as text. WebAssembly code compiled from C++ may throw anything, a number for instance. */
export function reasonOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : `the library behind it failed with ${String(thrown)}`;
}

/** Runs `run`; its errors say what the file is. */
export function inFile<T>(about: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof KerasFileError) || error.about !== undefined) throw error;
    throw new KerasFileError(error.place, error.reason, { cause: error.cause, about });
  }
}

/**
 * Runs `run`; anything it throws becomes a {@linkcode KerasFileError} at `place`, unless it already is one.
 */
export function reading<T>(place: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (error instanceof KerasFileError) throw error;
    throw new KerasFileError(place, reasonOf(error), { cause: error });
  }
}
