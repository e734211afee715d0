/** Reading back: buffers that the host can map, reused from read to read. */

/** The most buffers that are kept, and the most bytes of each. */
const KEPT = 4, KEPT_BYTES = 1 << 20;

/** Reads what the commands of a device copy for the host. */
export class Readback {
  readonly #device: GPUDevice;
  /** Not in use; each has been mapped before. */
  readonly #idle: GPUBuffer[] = [];

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  /** Submits commands that `copy` `bytes` bytes into a buffer; resolves to the result of `use` on them. */
  async read<Result>(
    bytes: number,
    copy: (encoder: GPUCommandEncoder, target: GPUBuffer) => void,
    use: (mapped: ArrayBuffer) => Result,
  ): Promise<Result> {
    const index = this.#idle.findIndex(({ size }) => size >= bytes);
    const [known] = index < 0 ? [] : this.#idle.splice(index, 1);
    const target = known ?? this.#create(bytes);
    try {
      const encoder = this.#device.createCommandEncoder();
      copy(encoder, target);
      this.#device.queue.submit([encoder.finish()]);
      const mapped = target.mapAsync(GPUMapMode.READ, 0, bytes);
      const range = known ? rangeOf(target, bytes) : undefined;
      if (range) mapped.catch(() => {});
      else await mapped;
      const result = use(range ?? target.getMappedRange(0, bytes));
      target.unmap();
      this.#keep(target);
      return result;
    } catch (error) {
      target.destroy();
      throw error;
    }
  }

  #create(bytes: number): GPUBuffer {
    let size = 256;
    while (size < bytes) size *= 2;
    return this.#device.createBuffer({
      label: "readback",
      size: bytes <= KEPT_BYTES ? size : bytes,
      usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ,
    });
  }

  #keep(buffer: GPUBuffer): void {
    if (buffer.size > KEPT_BYTES) return buffer.destroy();
    this.#idle.push(buffer);
    if (this.#idle.length > KEPT) this.#idle.shift()?.destroy();
  }

  /** Destroys the buffers that are kept. */
  clear(): void {
    for (const buffer of this.#idle.splice(0)) buffer.destroy();
  }
}

/**
 * The content of a buffer whose mapping was just requested, if it is available. Deno's `getMappedRange` waits
 * for the device, while its promise of the mapping resolves 10 ms later; but it ends the process if the
 * buffer has never been mapped before. Elsewhere, reading a pending mapping is an error.
 */
function rangeOf(buffer: GPUBuffer, bytes: number): ArrayBuffer | undefined {
  try {
    return buffer.getMappedRange(0, bytes);
  } catch {
    return undefined;
  }
}
