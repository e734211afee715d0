/** The constants of a Program in the memory of a device. Those that depend on open sizes are written for a call. */
import type { Bindings } from "../../src/tensor/dims.ts";
import type { HostTensor } from "../../src/tensor/tensor.ts";
import { buffersOf, type Kernel } from "../lowering/kernels.ts";
import type { Buffer } from "../lowering/views.ts";
import type { WebGpuDevice } from "./device.ts";

/** The beginning of each constant is a multiple of this many bytes. */
const ALIGNMENT = 64;

/** Constants that are written together, and where they lie. */
interface Written {
  /** Absent if there are none. */
  readonly address: number | undefined;
  readonly bindings: Bindings;
  readonly places: ReadonlyMap<Buffer, number>;
}

/** Constants in memory. */
export class Constants implements Disposable {
  readonly #device: WebGpuDevice;
  readonly #fixed: readonly Buffer[];
  readonly #open: readonly Buffer[];
  #written: { readonly fixed?: Written; readonly open?: Written } = {};

  constructor(device: WebGpuDevice, kernels: readonly Kernel[]) {
    this.#device = device;
    const all = [...new Set(kernels.flatMap(buffersOf))].filter(({ storage }) => storage.kind === "constant");
    const isOpen = ({ storage }: Buffer) =>
      storage.kind === "constant" && typeof storage.value === "function";
    this.#fixed = all.filter((buffer) => !isOpen(buffer));
    this.#open = all.filter(isOpen);
  }

  /**
   * Writes what is not there for these sizes; returns whether anything was. Call it within `withRoom` of the
   * device.
   */
  write(bindings: Bindings): boolean {
    const { fixed, open } = this.#written;
    if (fixed && (open?.bindings === bindings || this.#open.length === 0)) return false;
    const now = fixed ?? this.#allocate(this.#fixed, bindings);
    this.#written = { fixed: now, open };
    if (this.#open.length === 0) return true;
    this.#free(open);
    this.#written = { fixed: now };
    this.#written = { fixed: now, open: this.#allocate(this.#open, bindings) };
    return true;
  }

  #allocate(buffers: readonly Buffer[], bindings: Bindings): Written {
    const values = buffers.map(({ storage }): HostTensor => {
      if (storage.kind !== "constant") throw new Error("Only constants have values");
      return typeof storage.value === "function" ? storage.value(bindings) : storage.value;
    });
    let bytes = 0;
    const offsets = values.map(({ data }) => {
      const at = bytes;
      bytes += Math.ceil(data.length * 4 / ALIGNMENT) * ALIGNMENT;
      return at;
    });
    if (bytes === 0) {
      return { address: undefined, bindings, places: new Map(buffers.map((buffer) => [buffer, 0])) };
    }
    const address = this.#device.allocate(bytes, () => "it was for constants", "constants");
    values.forEach((value, index) => this.#device.write(address + offsets[index], value));
    return {
      address,
      bindings,
      places: new Map(buffers.map((buffer, index) => [buffer, address + offsets[index]])),
    };
  }

  #free(written: Written | undefined): void {
    if (written?.address !== undefined) this.#device.free(written.address);
  }

  /** The address of a constant. */
  addressOf(buffer: Buffer): number | undefined {
    return this.#written.fixed?.places.get(buffer) ?? this.#written.open?.places.get(buffer);
  }

  [Symbol.dispose](): void {
    const { fixed, open } = this.#written;
    this.#free(fixed);
    this.#free(open);
    this.#written = {};
  }
}
