/** What becomes of training when the device is lost. */
import { DeviceLost } from "../transforms/compile.ts";
import type { Variables } from "../layers/layer.ts";
import type { History } from "./non_finite.ts";

/**
 * Thrown by `fit` when its device is lost: a graphics processor that was reset, unplugged or taken by somebody else.
 * What was learnt up to the last reading, at most 16 steps before, is not lost: `fit` can go on from `variables`, on the
 * same device once it is back or on another.
 */
export class DeviceLostError extends Error {
  /** The name of the class. */
  override readonly name = "DeviceLostError";
  /** The weights and state as last read from the device, on the host. */
  readonly variables: Variables;
  /** The epochs that were completed. */
  readonly history: History;

  /** Made by `fit`. */
  constructor(cause: DeviceLost, { variables, history }: { variables: Variables; history: History }) {
    super(
      `Cannot go on training: ${cause.message}. The weights as last read are in error.variables: fit(model, ` +
        `error.variables, …, { device: "wasm" }) goes on from them`,
      { cause },
    );
    this.variables = variables;
    this.history = history;
  }
}

/** What `fit` throws for an error of its steps. */
export function lostWith(error: unknown, kept: { variables: Variables; history: History }): unknown {
  return error instanceof DeviceLost ? new DeviceLostError(error, kept) : error;
}
