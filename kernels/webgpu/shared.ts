/** What all executables of a device share: memory for the time of a call, and how code is bound to memory. */
import { DeviceOutOfMemory } from "../backend.ts";
import { Scratch } from "../scratch.ts";
import type { TensorMemory } from "../stored_tensor.ts";

/** Bytes between the indices of steps in their buffer: the largest alignment that an adapter may require. */
export const STEP_BYTES = 256;

/** The fewest steps for which there is a buffer. */
const FEW_STEPS = 64;

/** A device, as what executables share needs it. */
interface Owner extends Pick<TensorMemory, "allocate" | "free"> {
  readonly name: string;
  readonly device: GPUDevice;
  readonly isHalf: boolean;
  checkBuffer(bytes: number, what: () => string): number;
}

/** What executables share as long as there are any. */
export class Shared {
  readonly #device: Owner;
  /** Intermediate results, and what a call brings from the host or gives to it. */
  readonly scratch: Scratch;
  /** How code is bound: the memory, the table, the index of the step and, where there are any, half floats. */
  readonly layout: GPUBindGroupLayout;
  #steps: GPUBuffer | undefined;
  #halves: GPUBuffer | undefined;
  #users = 0;

  constructor(device: Owner) {
    this.#device = device;
    this.scratch = new Scratch(device);
    const visibility = GPUShaderStage.COMPUTE;
    this.layout = device.device.createBindGroupLayout({
      entries: [
        { binding: 0, visibility, buffer: { type: "storage" } },
        { binding: 1, visibility, buffer: { type: "uniform" } },
        { binding: 2, visibility, buffer: { type: "uniform", hasDynamicOffset: true } },
        ...(device.isHalf ? [{ binding: 3, visibility, buffer: { type: "storage" } } as const] : []),
      ],
    });
  }

  /** Counts an executable. */
  enter(): void {
    this.#users++;
  }

  /** Forgets one; with the last one everything is freed. */
  leave(user: object): void {
    this.scratch.leave(user);
    if (--this.#users > 0) return;
    this.#steps?.destroy();
    this.#halves?.destroy();
    this.#steps = this.#halves = undefined;
  }

  /** The indices of at least this many steps, each at a multiple of {@linkcode STEP_BYTES}. */
  steps(count: number): GPUBuffer {
    const known = this.#steps;
    if (known && known.size >= count * STEP_BYTES) return known;
    known?.destroy(); // submitted calls keep it until they are done
    let most = FEW_STEPS;
    while (most < count) most *= 2;
    const { device } = this.#device;
    const steps = device.createBuffer({
      label: "steps",
      size: most * STEP_BYTES,
      usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
    });
    const indices = new Int32Array(steps.size / 4);
    for (let step = 0; step < most; step++) indices[step * STEP_BYTES / 4] = step;
    device.queue.writeBuffer(steps, 0, indices);
    return this.#steps = steps;
  }

  /** The half floats of calls; absent before the first one on a device that has any. */
  get halves(): GPUBuffer | undefined {
    return this.#halves;
  }

  /** Whether there is room for the half floats of a call. */
  hasHalves(bytes: number): boolean {
    return !this.#device.isHalf || (this.#halves?.size ?? 0) >= Math.max(4, bytes);
  }

  /**
   * Makes room for the half floats of a call.
   *
   * @throws DeviceOutOfMemory if there is none; `what` says what they are.
   */
  async growHalves(bytes: number, what: () => string): Promise<void> {
    this.#device.checkBuffer(bytes, what);
    const { device, name } = this.#device;
    device.pushErrorScope("out-of-memory");
    const grown = device.createBuffer({
      label: "halves",
      size: Math.max(4, Math.ceil(bytes / 4) * 4),
      usage: GPUBufferUsage.STORAGE,
    });
    const missing = await device.popErrorScope().catch(() => null); // a lost device has no errors
    if (missing) {
      grown.destroy();
      throw new DeviceOutOfMemory(`Cannot allocate memory on ${name}: ${missing.message}; ${what()}`);
    }
    if ((this.#halves?.size ?? 0) >= grown.size) return grown.destroy(); // another call was first
    this.#halves?.destroy();
    this.#halves = grown;
  }
}
