/** The error for an unreadable ONNX file, and how other errors are converted to it. */

/** What an {@linkcode OnnxError} may include besides the place and the reason. */
export interface OnnxErrorOptions extends ErrorOptions {
  /** What cannot be done; default `read the ONNX file`. */
  readonly doing?: string;
}

/**
 * An ONNX file that cannot be read or run: damaged, hostile, or using features that have no equivalent in
 * this library. The message says where in the file and what was expected.
 *
 * @example
 * ```ts
 * import { assertThrows } from "@std/assert";
 * import { fromOnnx, OnnxError } from "@cellfold/cellfold/onnx";
 * assertThrows(() => fromOnnx(new Uint8Array(3)), OnnxError, "Cannot read the ONNX file: ");
 * ```
 */
export class OnnxError extends Error {
  /** `OnnxError`. */
  override readonly name: string = "OnnxError";
  /** The place in the file: a node with its operator, an initializer, an input. */
  readonly place: string;

  /** The error for a problem at a place; `cause` is the original error, if there was one. */
  constructor(place: string, reason: string, options: OnnxErrorOptions = {}) {
    super(`Cannot ${options.doing ?? "read the ONNX file"}: ${place}: ${reason}`, options);
    this.place = place;
  }
}

/** Runs `run`; anything it throws becomes an {@linkcode OnnxError} at `place`, unless it already is one. */
export function reading<T>(place: string, run: () => T, doing?: string): T {
  try {
    return run();
  } catch (error) {
    if (error instanceof OnnxError) throw error;
    throw new OnnxError(place, error instanceof Error ? error.message : String(error), {
      cause: error,
      doing,
    });
  }
}
