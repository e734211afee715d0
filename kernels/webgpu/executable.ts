/**
 * Compiled Programs of the WebGPU backend: one shader module per set of sizes, and one submission per call.
 */
import type { Program } from "../../src/program/types.ts";
import type { DeviceTensor, HostTensor, Values } from "../../src/tensor/tensor.ts";
import type { BackendCompileOptions, Executable, Input } from "../backend.ts";
import { checkDTypes } from "../lowering/dtypes.ts";
import { CompiledSizes } from "../sizes.ts";
import { Staging } from "../staging.ts";
import { elsewhere, StoredTensor } from "../stored_tensor.ts";
import { type CompiledWebGpu, compileFor, describeCompiled, STEP_BYTES } from "./compiled.ts";
import type { WebGpuDevice } from "./device.ts";
import { type Dispatch, isRepeat, stepsOf, stride } from "./wgsl/module.ts";

/** A call in progress. */
interface Submitted {
  readonly kept: readonly (StoredTensor | undefined)[];
  /** The results that are read back to the host; absent if all stay on the device. */
  readonly read: Promise<Values[]> | undefined;
  readonly checked: Promise<void> | undefined;
}

/** An executable on a WebGPU device. */
export class WebGpuExecutable implements Executable {
  readonly #device: WebGpuDevice;
  readonly #program: Program;
  readonly #options: BackendCompileOptions;
  readonly #sizes: CompiledSizes<CompiledWebGpu>;
  readonly #staging: Staging;

  /** @throws TypeError if the Program computes in float64. */
  constructor(device: WebGpuDevice, program: Program, options: BackendCompileOptions) {
    checkDTypes(program, device.name, "webgpu");
    this.#device = device;
    this.#program = program;
    this.#options = options;
    this.#sizes = new CompiledSizes(program, (compiled) => {
      compiled.dropped = true;
      device.free(compiled.arenaAddress);
      for (const buffer of Object.values(compiled.buffers)) buffer?.destroy();
    });
    this.#staging = new Staging(device);
  }

  async run(inputs: readonly Input[]): Promise<(HostTensor | DeviceTensor)[]> {
    for (;;) {
      const compiled = this.#sizes.again(inputs) ?? await this.#sizes.find(
        inputs,
        (bindings) => compileFor(this.#device, this.#program, bindings),
      );
      // Calls with other sizes may have evicted it meanwhile.
      const results = await this.#run(inputs, compiled);
      if (results) return results;
    }
  }

  async #run(
    inputs: readonly Input[],
    compiled: CompiledWebGpu,
  ): Promise<(HostTensor | DeviceTensor)[] | undefined> {
    const { outputs } = this.#program;
    const submitted = await this.#device.withRoom(() => this.#submit(inputs, compiled));
    if (!submitted) return undefined;
    const { kept, read, checked } = submitted;
    try {
      const [values] = await Promise.all([read, checked]);
      if (read) this.#device.check();
      let next = 0;
      return compiled.outputs.map(({ shape }, index): HostTensor | DeviceTensor =>
        kept[index] ?? { kind: "host", shape, dtype: outputs[index].dtype, data: (values ?? [])[next++] }
      );
    } catch (error) {
      for (const tensor of kept) tensor?.[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * Allocates everything and submits the call; undefined if the compiled code was evicted while the memory
   * grew.
   */
  #submit(inputs: readonly Input[], compiled: CompiledWebGpu): Submitted | undefined {
    if (compiled.dropped) return undefined;
    const { device } = this.#device;
    const { outputs } = this.#program;
    const addresses = inputs.map((input, index): number => {
      if (input.kind === "host") return this.#staging.addressOf("input", index, input.data.length);
      if (input instanceof StoredTensor && input.liesIn(this.#device)) return input.address;
      throw elsewhere(input, this.#device.name);
    });
    const kept: (StoredTensor | undefined)[] = [];
    try {
      compiled.outputs.forEach(({ shape, size }, index) => {
        kept[index] = this.#options.keep[index]
          ? this.#device.tensor(shape, outputs[index].dtype)
          : undefined;
        addresses.push(kept[index]?.address ?? this.#staging.addressOf("output", index, size));
      });
      inputs.forEach((input, index) => {
        if (input.kind === "host") this.#device.write(addresses[index], input);
      });
      const { slots } = compiled.buffers;
      const checked = this.#device.scoped(() => {
        if (addresses.length > 0) {
          device.queue.writeBuffer(slots, 0, Int32Array.from(addresses, (address) => address / 4));
        }
        device.queue.submit([this.#encode(compiled)]);
      });
      checked.catch(() => {}); // awaited by the call if it reads a result
      this.#device.check();
      const toHost = compiled.outputs.flatMap(({ size }, index) =>
        kept[index] ? [] : [{ address: addresses[inputs.length + index], dtype: outputs[index].dtype, size }]
      );
      // Results are copied before the next call can overwrite them: copies run in the order of submission.
      const read = toHost.length > 0 ? this.#device.read(toHost) : undefined;
      read?.catch(() => {}); // awaited by the call
      inputs.forEach((input, index) => {
        if (this.#options.donate[index] && input instanceof StoredTensor) input.donate();
      });
      return { kept, read, checked: read && checked };
    } catch (error) {
      for (const tensor of kept) tensor?.[Symbol.dispose]();
      throw error;
    }
  }

  /** Encodes all dispatches in one pass. */
  #encode(compiled: CompiledWebGpu): GPUCommandBuffer {
    const encoder = this.#device.device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    const group = this.#bind(compiled);
    const dispatch = (each: Dispatch, step: number) => {
      const pipeline = compiled.pipelines.get(each);
      if (!pipeline) throw new Error(`There is no pipeline of ${each.entryPoint}`);
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, group, compiled.buffers.steps ? [step * STEP_BYTES] : []);
      pass.dispatchWorkgroups(each.workgroups);
    };
    for (const each of compiled.dispatches) {
      if (!isRepeat(each)) {
        const steps = stepsOf(each) ?? 1;
        for (let step = 0; step < steps; step += stride(each)) dispatch(each, step);
        continue;
      }
      const { length, reverse } = each.scan;
      for (let step = 0; step < length; step++) {
        for (const inner of each.dispatches) dispatch(inner, reverse ? length - 1 - step : step);
      }
    }
    pass.end();
    return encoder.finish();
  }

  #bind(compiled: CompiledWebGpu): GPUBindGroup {
    const { memory, device } = this.#device;
    if (compiled.bound?.memory !== memory) {
      const { slots, steps, halves } = compiled.buffers;
      const group = device.createBindGroup({
        layout: compiled.layout,
        entries: [
          { binding: 0, resource: { buffer: memory } },
          { binding: 1, resource: { buffer: slots } },
          ...(steps ? [{ binding: 2, resource: { buffer: steps, size: 16 } }] : []),
          ...(halves ? [{ binding: 3, resource: { buffer: halves } }] : []),
        ],
      });
      compiled.bound = { memory, group };
    }
    return compiled.bound.group;
  }

  describe(): string {
    const { name, used } = this.#device;
    const parts = this.#sizes.entries.map(([key, compiled]) => describeCompiled(key, compiled));
    return [`kernels on ${name}, ${used} bytes of its memory in use`, ...parts].join("\n");
  }

  [Symbol.dispose](): void {
    this.#sizes[Symbol.dispose]();
    this.#staging[Symbol.dispose]();
  }
}
