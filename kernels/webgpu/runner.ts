/** Runs the dispatches of a plan: one submission, whose code reads one table. */
import type { Bound } from "./bound.ts";
import type { WebGpuDevice } from "./device.ts";
import { STEP_BYTES } from "./shared.ts";

/** The table of an executable in the memory of a device, and how it is bound. */
export class Runner implements Disposable {
  readonly #device: WebGpuDevice;
  #table: GPUBuffer | undefined;
  /** The bind group, and the buffers that it binds. */
  #bound: { readonly buffers: readonly (GPUBuffer | undefined)[]; readonly group: GPUBindGroup } | undefined;

  constructor(device: WebGpuDevice) {
    this.#device = device;
  }

  /** Submits the dispatches of a plan, with these words as the table. */
  submit(bound: Bound, words: Int32Array<ArrayBuffer>): void {
    const { queue } = this.#device.device;
    const group = this.#bind(bound, words.byteLength);
    if (this.#table) queue.writeBuffer(this.#table, 0, words);
    queue.submit([this.#encode(bound, group)]);
  }

  /** Encodes all dispatches in one pass. */
  #encode({ runs }: Bound, group: GPUBindGroup): GPUCommandBuffer {
    const encoder = this.#device.device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    for (const { dispatches, steps: { count, stride, reverse } } of runs) {
      for (let step = 0; step < count; step += stride) {
        const offset = (reverse ? count - 1 - step : step) * STEP_BYTES;
        for (const { ready, workgroups } of dispatches) {
          pass.setPipeline(ready.pipeline);
          pass.setBindGroup(0, group, [offset]);
          pass.dispatchWorkgroups(workgroups);
        }
      }
    }
    pass.end();
    return encoder.finish();
  }

  #bind({ steps: count }: Bound, bytes: number): GPUBindGroup {
    const { memory, device, shared } = this.#device;
    if (!this.#table || this.#table.size < bytes) {
      this.#table?.destroy();
      this.#table = device.createBuffer({
        label: "table",
        size: bytes,
        usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
      });
    }
    const table = this.#table, steps = shared.steps(count), { halves } = shared;
    const buffers = [memory, table, steps, halves];
    if (!this.#bound || buffers.some((buffer, index) => buffer !== this.#bound?.buffers[index])) {
      const group = device.createBindGroup({
        layout: shared.layout,
        entries: [
          { binding: 0, resource: { buffer: memory } },
          { binding: 1, resource: { buffer: table } },
          { binding: 2, resource: { buffer: steps, size: 16 } },
          ...(halves ? [{ binding: 3, resource: { buffer: halves } }] : []),
        ],
      });
      this.#bound = { buffers, group };
    }
    return this.#bound.group;
  }

  [Symbol.dispose](): void {
    this.#table?.destroy();
    this.#table = undefined;
    this.#bound = undefined;
  }
}
