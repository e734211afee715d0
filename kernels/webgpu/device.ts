/** The WebGPU device: one buffer in which everything lies. */
import { allocateValues, type DType, type HostTensor, type Values } from "../../src/tensor/tensor.ts";
import { Regions } from "../regions.ts";
import { checkStorable, StoredTensor, type TensorMemory } from "../stored_tensor.ts";

/** Of every address and size in the device's memory, in bytes: what copies and bindings may begin at. */
const ALIGNMENT = 256;

/** What the memory begins with, in bytes; it doubles when it is full. */
const FIRST_BYTES = 1 << 24;

/** Limits that are asked for as large as the adapter has them. */
const LIMITS = ["maxBufferSize", "maxStorageBufferBindingSize"] as const;

/** A device, opened when it is first used. */
export class WebGpuDevice implements TensorMemory {
  readonly #regions = new Regions(0, ALIGNMENT);
  #memory: GPUBuffer;
  #lost: string | undefined;
  #error: string | undefined;

  private constructor(readonly name: string, readonly device: GPUDevice, readonly isSoftware: boolean) {
    this.#memory = this.#create(FIRST_BYTES);
    device.lost.then(({ message, reason }) => {
      this.#lost = message || reason;
    });
    device.addEventListener("uncapturederror", (event) => {
      event.preventDefault(); // it is told by the next call
      this.#error ??= (event as GPUUncapturedErrorEvent).error.message; // by its type
    });
  }

  /** @throws Error if there is no adapter. */
  static async open(name: string): Promise<WebGpuDevice> {
    const adapter = await navigator.gpu?.requestAdapter({ powerPreference: "high-performance" });
    if (!adapter) throw new Error("Cannot open a WebGPU device: there is no adapter");
    const requiredLimits = Object.fromEntries(LIMITS.map((limit) => [limit, adapter.limits[limit]]));
    const device = await adapter.requestDevice({ label: name, requiredLimits });
    const { info } = adapter;
    const isSoftware = /llvmpipe|swiftshader|software/i.test(
      `${info.description} ${info.device} ${info.architecture}`,
    );
    return new WebGpuDevice(name, device, isSoftware);
  }

  /** The buffer of the moment: it is another one when the memory has grown. */
  get memory(): GPUBuffer {
    return this.#memory;
  }

  /** Bytes in use. */
  get used(): number {
    return this.#regions.used;
  }

  /** @throws Error once the device is lost, or after an error that no call was there to tell. */
  check(): void {
    if (this.#lost !== undefined) {
      throw new Error(
        `Cannot use the device ${this.name}: it was lost (${this.#lost}); what was read from it before is intact`,
      );
    }
    const error = this.#error;
    this.#error = undefined;
    if (error !== undefined) throw new Error(`The device ${this.name} failed: ${error}`);
  }

  #create(bytes: number): GPUBuffer {
    const { STORAGE, COPY_SRC, COPY_DST } = GPUBufferUsage;
    return this.device.createBuffer({ label: "memory", size: bytes, usage: STORAGE | COPY_SRC | COPY_DST });
  }

  /**
   * A region of the memory, as its first byte.
   *
   * @throws RangeError if the device has no more; `what` says what it was for.
   */
  allocate(bytes: number, what: () => string): number {
    this.check();
    return this.#regions.allocate(bytes, (end) => this.#grow(end, what));
  }

  #grow(end: number, what: () => string): void {
    if (end <= this.#memory.size) return;
    const { maxBufferSize, maxStorageBufferBindingSize } = this.device.limits;
    const most = Math.min(maxBufferSize, maxStorageBufferBindingSize);
    if (end > most) {
      const limit = maxBufferSize < maxStorageBufferBindingSize
        ? "maxBufferSize"
        : "maxStorageBufferBindingSize";
      throw new RangeError(
        `Cannot allocate memory on ${this.name}: ${end} bytes in all are more than the adapter's ${limit} of ${most}; ${what()}`,
      );
    }
    const before = this.#memory;
    let size = before.size;
    while (size < end) size = Math.min(most, size * 2);
    this.#memory = this.#create(size);
    const encoder = this.device.createCommandEncoder();
    encoder.copyBufferToBuffer(before, 0, this.#memory, 0, before.size);
    this.device.queue.submit([encoder.finish()]);
    before.destroy();
  }

  free(address: number): void {
    this.#regions.free(address);
  }

  /** Copies a tensor in; 4 bytes per element. */
  write(address: number, { data, dtype }: HostTensor): void {
    if (data.length === 0) return;
    const words = dtype === "float32" || dtype === "int32" ? data : Int32Array.from(data);
    this.device.queue.writeBuffer(this.#memory, address, words as Float32Array<ArrayBuffer>); // or another array of words
  }

  /** A tensor of this device, whose values are not set. */
  tensor(shape: readonly number[], dtype: DType): StoredTensor {
    return new StoredTensor(this, this.name, shape, dtype);
  }

  upload(tensor: HostTensor): StoredTensor {
    checkStorable(tensor, this.name);
    const created = this.tensor(tensor.shape, tensor.dtype);
    this.write(created.address, tensor);
    return created;
  }

  async readTensor(address: number, dtype: DType, size: number): Promise<Values> {
    const [values] = await this.read([{ address, dtype, size }]);
    return values;
  }

  /** Reads regions of the memory, in one copy. */
  async read(
    regions: readonly { readonly address: number; readonly dtype: DType; readonly size: number }[],
  ): Promise<Values[]> {
    this.check();
    const bytes = regions.reduce((sum, { size }) => sum + 4 * size, 0);
    if (bytes === 0) return regions.map(({ dtype }) => allocateValues(dtype, 0));
    const { device } = this;
    const target = device.createBuffer({
      label: "readback",
      size: bytes,
      usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ,
    });
    try {
      const encoder = device.createCommandEncoder();
      let offset = 0;
      for (const { address, size } of regions) {
        if (size > 0) encoder.copyBufferToBuffer(this.#memory, address, target, offset, 4 * size);
        offset += 4 * size;
      }
      device.queue.submit([encoder.finish()]);
      await target.mapAsync(GPUMapMode.READ).catch((cause) => {
        this.check();
        throw cause;
      });
      const mapped = target.getMappedRange();
      offset = 0;
      return regions.map(({ dtype, size }) => {
        const values = allocateValues(dtype, size);
        values.set(
          dtype === "float32" ? new Float32Array(mapped, offset, size) : new Int32Array(mapped, offset, size),
        );
        offset += 4 * size;
        return values;
      });
    } finally {
      target.destroy();
      this.check();
    }
  }
}
