/** The errors for files that cannot be read. */
import type { Fail } from "../../support/archive.ts";

/**
 * A PyTorch file that cannot be read: damaged, hostile, or with something else than tensors and plain data. The
 * message says where in the file and what was expected.
 *
 * @example
 * ```ts
 * import { assert } from "@std/assert";
 * import { decodeTorchFile, TorchFileError } from "@cellfold/cellfold/torch";
 * const error = await decodeTorchFile(new Uint8Array(3)).catch((error) => error);
 * assert(error instanceof TorchFileError);
 * assert(error.message.startsWith("Cannot read the PyTorch file: "));
 * ```
 */
export class TorchFileError extends Error {
  /** `TorchFileError`. */
  override readonly name: string = "TorchFileError";
  /** The place in the file: an entry of the archive, a byte of a pickle, or a tensor's name. */
  readonly place: string;

  /** The error for a problem at a place; `cause` is the original error, if there was one. */
  constructor(place: string, reason: string, options?: ErrorOptions) {
    super(`Cannot read the PyTorch file: ${place}: ${reason}`, options);
    this.place = place;
  }
}

/**
 * A NumPy file that cannot be read: damaged, hostile, or with elements that no tensor here can hold. The message
 * says where in the file and what was expected.
 *
 * @example
 * ```ts
 * import { assertThrows } from "@std/assert";
 * import { decodeNpy, NumpyFileError } from "@cellfold/cellfold/torch";
 * assertThrows(() => decodeNpy(new Uint8Array(3)), NumpyFileError, "Cannot read the NumPy file: ");
 * ```
 */
export class NumpyFileError extends Error {
  /** `NumpyFileError`. */
  override readonly name: string = "NumpyFileError";
  /** The place in the file: an entry of the archive, or a part of an array. */
  readonly place: string;

  /** The error for a problem at a place; `cause` is the original error, if there was one. */
  constructor(place: string, reason: string, options?: ErrorOptions) {
    super(`Cannot read the NumPy file: ${place}: ${reason}`, options);
    this.place = place;
  }
}

/** The error for a problem in an archive or a pickle of PyTorch. */
export const failTorch: Fail = (reason, place, options) => new TorchFileError(place, reason, options);

/** The error for a problem in an archive of NumPy. */
export const failNumpy: Fail = (reason, place, options) => new NumpyFileError(place, reason, options);
