/** The WebGPU device: one buffer that holds everything. */
import { allocateValues, type DType, type HostTensor, type Values } from "../../src/tensor/tensor.ts";
import { DeviceLost, DeviceOutOfMemory, DeviceUnavailable } from "../backend.ts";
import { Allocator, type Holder } from "../allocator.ts";
import { Readback } from "./readback.ts";
import { isSoftwareAdapter } from "./adapter.ts";
import { Shared } from "./shared.ts";
import { type DeviceShape, shapeOf } from "./device_shape.ts";
import type { ShapeChoice, WebGpuOptions } from "./options.ts";
import { checkStorable, StoredTensor, type TensorMemory } from "../stored_tensor.ts";

/** Alignment in bytes of every address and size in the device's memory, as copies and bindings require. */
const ALIGNMENT = 256;

/** How long after a failure it may take until a device is known to be lost. */
const LOST_MILLISECONDS = 200;

/** The initial size of the memory in bytes; it doubles when it is full. */
const FIRST_BYTES = 1 << 24;

/** The memory must grow to `end` before a region can be allocated. */
class NoRoom extends DeviceOutOfMemory {
  constructor(readonly device: WebGpuDevice, readonly end: number, readonly what: () => string) {
    super(`Cannot allocate memory on ${device.name} at once: it has to grow to ${end} bytes; ${what()}`);
  }
}

/** Limits that are requested as large as the adapter supports. */
const LIMITS = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
] as const;

/** A device, opened on first use. */
export class WebGpuDevice implements TensorMemory {
  readonly #regions = new Allocator(0, ALIGNMENT);
  readonly #readback: Readback;
  /** What all executables share. */
  readonly shared: Shared;
  #memory: GPUBuffer | undefined;
  #growing: Promise<void> = Promise.resolve();
  #lost: string | undefined;
  #error: GPUError | undefined;

  private constructor(
    readonly name: string,
    readonly device: GPUDevice,
    readonly shape: DeviceShape,
    readonly isHalf: boolean,
  ) {
    this.#readback = new Readback(device);
    this.shared = new Shared(this);
    device.lost.then(({ message, reason }) => {
      this.#lost = message || reason;
    });
    device.addEventListener("uncapturederror", (event) => {
      event.preventDefault(); // the next call reports it
      this.#error ??= (event as GPUUncapturedErrorEvent).error; // by its type
    });
  }

  /** @throws RangeError if there is no adapter, or it lacks what the options require. */
  static async open(
    name: string,
    { schedule, precision, shape: given }: WebGpuOptions & ShapeChoice = {},
  ): Promise<WebGpuDevice> {
    const adapter = await globalThis.navigator?.gpu?.requestAdapter({ powerPreference: "high-performance" })
      .catch(() => null);
    if (!adapter) throw new DeviceUnavailable(name, "there is no WebGPU adapter");
    const isHalf = precision === "f16";
    if (isHalf && !adapter.features.has("shader-f16")) {
      throw new RangeError(
        `Cannot open the device ${name}: its adapter lacks the feature shader-f16; use precision "f32"`,
      );
    }
    const device = await adapter.requestDevice({
      label: name,
      requiredFeatures: [
        ...(isHalf ? ["shader-f16"] as const : []),
        ...(adapter.features.has("subgroups") ? ["subgroups"] as const : []),
      ],
      requiredLimits: Object.fromEntries(LIMITS.map((limit) => [limit, adapter.limits[limit]])),
    }).catch((cause: Error) => {
      throw new DeviceUnavailable(name, `its adapter gives none (${cause.message})`, { cause });
    });
    const shape = shapeOf(device.limits, {
      isSoftware: isSoftwareAdapter(adapter),
      threads: navigator.hardwareConcurrency,
      subgroups: device.features.has("subgroups"),
      forced: schedule === "auto" ? undefined : schedule,
    });
    return new WebGpuDevice(name, device, { ...shape, ...given }, isHalf);
  }

  /** The current buffer: it is replaced when the memory grows, and absent while nothing is in use. */
  get memory(): GPUBuffer {
    if (!this.#memory) throw new Error(`The device ${this.name} has no memory, as nothing is in use`);
    return this.#memory;
  }

  get isLost(): boolean {
    return this.#lost !== undefined;
  }

  /** Bytes in use. */
  get used(): number {
    return this.#regions.used;
  }

  /** @throws Error once the device is lost, or after an error that no call has reported yet. */
  check(): void {
    if (this.#lost !== undefined) {
      throw new DeviceLost(
        `Cannot use the device ${this.name}: it was lost (${this.#lost}); what was read from it before is intact`,
      );
    }
    const error = this.#error;
    this.#error = undefined;
    if (!error) return;
    const message = `The device ${this.name} failed: ${error.message}`;
    throw error instanceof GPUOutOfMemoryError ? new DeviceOutOfMemory(message) : new Error(message);
  }

  /**
   * Runs `work` and records its errors. Once the promise is fulfilled, {@linkcode check} throws them: in the
   * call that awaits it, or else in the next one.
   */
  async scoped(work: () => void): Promise<void> {
    const error = await this.#scopes(work);
    this.#error ??= error;
  }

  /**
   * A region of the memory, as the address of its first byte. Call it within {@linkcode withRoom}, as growing
   * is asynchronous.
   *
   * @throws DeviceOutOfMemory if the memory is full; `what` names what it was for.
   */
  allocate(bytes: number, what: () => string, holder?: Holder): number {
    this.check();
    return this.#regions.allocate(bytes, (end) => {
      if (end > (this.#memory?.size ?? 0)) throw new NoRoom(this, end, what);
    }, holder);
  }

  /**
   * The result of `attempt`, which must allocate before it does anything else. If the memory is too small, it
   * grows and `attempt` runs again.
   *
   * @throws DeviceOutOfMemory if the device has no more memory; the contents of its memory are kept.
   */
  async withRoom<Result>(attempt: () => Result): Promise<Result> {
    for (;;) {
      try {
        return attempt();
      } catch (error) {
        if (!(error instanceof NoRoom && error.device === this)) throw error;
        const grown = this.#growing.then(() => this.#grow(error));
        this.#growing = grown.catch(() => {}); // reported to the calls that wait for it
        await grown;
      }
    }
  }

  /**
   * The size in bytes of the largest buffer that can be created and bound.
   *
   * @throws DeviceOutOfMemory if `bytes` is larger; `what` names what they are for.
   */
  checkBuffer(bytes: number, what: () => string): number {
    const { maxBufferSize, maxStorageBufferBindingSize } = this.device.limits;
    const limit = maxBufferSize < maxStorageBufferBindingSize
      ? "maxBufferSize"
      : "maxStorageBufferBindingSize";
    // Bindings have whole words.
    const most = Math.floor(Math.min(maxBufferSize, maxStorageBufferBindingSize) / 4) * 4;
    if (bytes <= most) return most;
    throw new DeviceOutOfMemory(
      `Cannot allocate memory on ${this.name}: ${bytes} bytes in all are more than the adapter's ${limit} of ${most}; ` +
        `${this.used} bytes are in use: ${this.#regions.describe()}; ${what()}`,
    );
  }

  /**
   * Replaces the buffer by a larger one once that exists; until then, or if it cannot be created, the old one
   * stays.
   */
  async #grow({ end, what }: NoRoom): Promise<void> {
    this.check();
    const size = this.#memory?.size ?? 0;
    if (size >= end) return; // another call has grown it already
    const most = this.checkBuffer(end, what);
    let doubled = Math.min(most, Math.max(size, FIRST_BYTES));
    while (doubled < end) doubled = Math.min(most, doubled * 2);
    const grown = await this.#tryCreate(doubled) ?? (doubled > end ? await this.#tryCreate(end) : undefined);
    this.check();
    if (!grown) {
      throw new DeviceOutOfMemory(
        `Cannot allocate memory on ${this.name}: the device has no buffer of ${end} bytes, though its limits allow ` +
          `${most}; ${this.used} bytes are in use, which stay: ${this.#regions.describe()}; ${what()}`,
      );
    }
    const before = this.#memory; // all of it may have been released meanwhile
    if (before) {
      const encoder = this.device.createCommandEncoder();
      encoder.copyBufferToBuffer(before, 0, grown, 0, before.size);
      this.device.queue.submit([encoder.finish()]);
      before.destroy();
    }
    this.#memory = grown;
  }

  async #tryCreate(bytes: number): Promise<GPUBuffer | undefined> {
    const { STORAGE, COPY_SRC, COPY_DST } = GPUBufferUsage;
    let created: GPUBuffer | undefined;
    const failed = this.#scopes(() => {
      created = this.device.createBuffer({
        label: "memory",
        size: bytes,
        usage: STORAGE | COPY_SRC | COPY_DST,
      });
    });
    try {
      if (!await failed) return created;
    } catch {
      // treated like an error reported later
    }
    created?.destroy();
    return undefined;
  }

  /** Runs `work`; resolves to the device's error, if there is one. */
  async #scopes(work: () => void): Promise<GPUError | undefined> {
    this.device.pushErrorScope("out-of-memory");
    this.device.pushErrorScope("validation");
    let errors: Promise<readonly (GPUError | null)[]> = Promise.resolve([]);
    try {
      work();
    } finally {
      // A lost device reports no errors; `check` throws that it is lost.
      errors = Promise.all([this.device.popErrorScope(), this.device.popErrorScope()]).catch(() => []);
    }
    return (await errors).find((each) => each !== null) ?? undefined;
  }

  free(address: number): void {
    this.#regions.free(address);
    if (this.used > 0) return;
    this.#memory?.destroy();
    this.#memory = undefined;
    this.#readback.clear();
  }

  /** Copies a tensor to the device; 4 bytes per element. */
  write(address: number, { data, dtype }: HostTensor): void {
    if (data.length === 0) return;
    const words = dtype === "float32" || dtype === "int32" ? data : Int32Array.from(data);
    this.device.queue.writeBuffer(this.memory, address, words as Float32Array<ArrayBuffer>); // or another array of words
  }

  /** A tensor on this device with uninitialized values. */
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

  /** Reads regions of the memory in one copy. */
  async read(
    regions: readonly { readonly address: number; readonly dtype: DType; readonly size: number }[],
  ): Promise<Values[]> {
    this.check();
    const bytes = regions.reduce((sum, { size }) => sum + 4 * size, 0);
    if (bytes === 0) return regions.map(({ dtype }) => allocateValues(dtype, 0));
    const copy = (encoder: GPUCommandEncoder, target: GPUBuffer) => {
      let offset = 0;
      for (const { address, size } of regions) {
        if (size > 0) encoder.copyBufferToBuffer(this.memory, address, target, offset, 4 * size);
        offset += 4 * size;
      }
    };
    const valuesIn = (mapped: ArrayBuffer): Values[] => {
      let offset = 0;
      return regions.map(({ dtype, size }) => {
        const values = allocateValues(dtype, size);
        values.set(
          dtype === "float32" ? new Float32Array(mapped, offset, size) : new Int32Array(mapped, offset, size),
        );
        offset += 4 * size;
        return values;
      });
    };
    try {
      const values = await this.#readback.read(bytes, copy, valuesIn);
      this.check();
      return values;
    } catch (cause) {
      // If the device was lost, that becomes known a moment later.
      const { lost } = this.device;
      await Promise.race([lost, new Promise((resolve) => setTimeout(resolve, LOST_MILLISECONDS))]);
      this.check();
      throw cause;
    } finally {
      if (this.used === 0) this.#readback.clear();
    }
  }
}
