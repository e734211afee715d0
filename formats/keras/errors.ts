/** What a Keras file that cannot be read is refused with, and how errors from elsewhere become it. */

/**
 * A Keras file that cannot be read: damaged, hostile, or holding what this library has no equivalent for. The message
 * says where in the file and what was expected.
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
  /** Where in the file: an entry of the archive, a path in the configuration, or a path among the weights. */
  readonly place: string;

  /** The error for what is wrong at a place; `cause` is the error that told of it, if there was one. */
  constructor(place: string, reason: string, options?: ErrorOptions) {
    super(`Cannot read the Keras file: ${place}: ${reason}`, options);
    this.place = place;
  }
}

/** What was thrown, as text. WebAssembly code compiled from C++ may throw anything, a number for instance. */
export function reasonOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : `the library behind it failed with ${String(thrown)}`;
}

/** Runs `run`; what it throws becomes a {@linkcode KerasFileError} at `place`, unless it is one already. */
export function reading<T>(place: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (error instanceof KerasFileError) throw error;
    throw new KerasFileError(place, reasonOf(error), { cause: error });
  }
}
