/** Tensors in the memory of the reference backend, which is that of this process. */
import { INSPECT } from "../../src/inspect.ts";
import {
  type DeviceTensor,
  type DType,
  type HostTensor,
  hostTensor,
  printSpec,
  type Values,
} from "../../src/tensor/tensor.ts";

/** The name of the device. */
export const DEVICE = "reference";

/** A handle on values that nothing else writes, until they are disposed or donated. */
export class ReferenceTensor implements DeviceTensor {
  readonly kind = "device";
  readonly device = DEVICE;
  readonly shape: readonly number[];
  readonly dtype: DType;
  #values: Values | undefined;
  #fate = "";

  /** Takes ownership of `values`. */
  constructor(values: Values, shape: readonly number[], dtype: DType) {
    this.#values = values;
    this.shape = shape;
    this.dtype = dtype;
  }

  /** Whether the memory was freed or given to a later call. */
  get disposed(): boolean {
    return this.#values === undefined;
  }

  /** The memory itself; throws once disposed or donated. */
  get values(): Values {
    if (this.#values === undefined) {
      throw new Error(`Cannot use a ${printSpec(this)} on ${DEVICE}: ${this.#fate}`);
    }
    return this.#values;
  }

  // async, so that a disposed tensor rejects as it does on other devices
  // deno-lint-ignore require-await
  async read(): Promise<HostTensor> {
    return hostTensor(this.values.slice(), this.shape);
  }

  [INSPECT](): string {
    return `${printSpec(this)} on ${DEVICE}${this.disposed ? ", disposed" : ""}`;
  }

  /** Gives the memory to a call. */
  donate(): void {
    this.#end("it was donated to an earlier call; use that call's result");
  }

  [Symbol.dispose](): void {
    this.#end("it was disposed");
  }

  #end(fate: string): void {
    if (this.#values === undefined) return;
    this.#values = undefined;
    this.#fate = fate;
  }
}
