/** What an ONNX file that cannot be read is refused with, and how errors from elsewhere become it. */

/** What an {@linkcode OnnxError} may say beside the place and the reason. */
export interface OnnxErrorOptions extends ErrorOptions {
  /** What could not be done; default `read the ONNX file`. */
  readonly doing?: string;
}

/**
 * An ONNX file that cannot be read or run: damaged, hostile, or using what this library has no equivalent for. The
 * message says where in the file and what was expected.
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
  /** Where in the file: a node with its operator, an initialiser, an input. */
  readonly place: string;

  /** The error for what is wrong at a place; `cause` is the error that told of it, if there was one. */
  constructor(place: string, reason: string, options: OnnxErrorOptions = {}) {
    super(`Cannot ${options.doing ?? "read the ONNX file"}: ${place}: ${reason}`, options);
    this.place = place;
  }
}

/** Runs `run`; what it throws becomes an {@linkcode OnnxError} at `place`, unless it is one already. */
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
