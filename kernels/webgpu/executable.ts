/** Compiled Programs of the WebGPU backend: one shader module per set of sizes, all of a call in one submission. */
import type { Program } from "../../src/program/types.ts";
import { type DeviceTensor, type HostTensor, type Values } from "../../src/tensor/tensor.ts";
import type { CompileOptions, Executable, Input } from "../backend.ts";
import { bindInputs, checkDTypes, haveShapes, keyOf } from "../lowering/call.ts";
import { Staging } from "../staging.ts";
import { elsewhere, StoredTensor } from "../stored_tensor.ts";
import { type Compiled, compileFor, describeCompiled, STEP_BYTES } from "./compiled.ts";
import type { WebGpuDevice } from "./device.ts";
import { type Dispatch, isRepeat, stepsOf, stride } from "./wgsl/module.ts";

/** How many sets of sizes stay compiled. */
const KEPT = 8;

/** A call on its way. */
interface Submitted {
  readonly kept: readonly (StoredTensor | undefined)[];
  /** What comes to the host; absent where all stays. */
  readonly read: Promise<Values[]> | undefined;
  readonly checked: Promise<void> | undefined;
}

/** An executable on a WebGPU device. */
export class WebGpuExecutable implements Executable {
  readonly #device: WebGpuDevice;
  readonly #program: Program;
  readonly #options: CompileOptions;
  readonly #compiled = new Map<string, Promise<Compiled>>();
  #latest: { readonly shapes: readonly (readonly number[])[]; readonly compiled: Compiled } | undefined;
  readonly #staging: Staging;
  /** What was compiled, for reports. */
  readonly #reports = new Map<string, Compiled>();
  #disposed = false;

  /** @throws TypeError if the Program computes in float64. */
  constructor(device: WebGpuDevice, program: Program, options: CompileOptions) {
    checkDTypes(program, device.name, "webgpu");
    this.#device = device;
    this.#program = program;
    this.#options = options;
    this.#staging = new Staging(device);
  }

  async run(inputs: readonly Input[]): Promise<(HostTensor | DeviceTensor)[]> {
    for (;;) {
      const compiled = this.#again(inputs) ?? await this.#compiledFor(inputs);
      // Calls with other sizes may have pushed it out meanwhile.
      const results = await this.#run(inputs, compiled);
      if (results) return results;
    }
  }

  /** What the last call ran, if these inputs are of the same sizes. */
  #again(inputs: readonly Input[]): Compiled | undefined {
    if (!this.#latest || !haveShapes(inputs, this.#latest.shapes, this.#program)) return undefined;
    return this.#latest.compiled;
  }

  async #compiledFor(inputs: readonly Input[]): Promise<Compiled> {
    const bindings = bindInputs(this.#program, inputs);
    const key = keyOf(bindings);
    this.#checkDisposed();
    let pending = this.#compiled.get(key);
    if (!pending) {
      this.#compiled.set(key, pending = compileFor(this.#device, this.#program, bindings));
      pending.catch(() => this.#compiled.delete(key));
    }
    const compiled = await pending;
    this.#checkDisposed();
    if (compiled.dropped) return compiled;
    this.#reports.delete(key); // the latest is the last
    this.#reports.set(key, compiled);
    this.#latest = { shapes: inputs.map(({ shape }) => shape), compiled };
    const oldest = [...this.#reports.keys()].find((other) => other !== key);
    if (this.#reports.size > KEPT && oldest !== undefined) this.#drop(oldest);
    return compiled;
  }

  #checkDisposed(): void {
    if (this.#disposed) throw new Error("Cannot run a compiled Program: it was disposed");
  }

  async #run(
    inputs: readonly Input[],
    compiled: Compiled,
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

  /** Places all, and submits the call; undefined where what was compiled was dropped while the memory grew. */
  #submit(inputs: readonly Input[], compiled: Compiled): Submitted | undefined {
    if (compiled.dropped) return undefined;
    const { device } = this.#device;
    const { outputs } = this.#program;
    const addresses = inputs.map((input, index): number => {
      if (input.kind === "host") return this.#staging.place("input", index, input.data.length);
      if (input instanceof StoredTensor && input.liesIn(this.#device)) return input.address;
      throw elsewhere(input, this.#device.name);
    });
    const kept: (StoredTensor | undefined)[] = [];
    try {
      compiled.outputs.forEach(({ shape, size }, index) => {
        kept[index] = this.#options.keep[index]
          ? this.#device.tensor(shape, outputs[index].dtype)
          : undefined;
        addresses.push(kept[index]?.address ?? this.#staging.place("output", index, size));
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
      checked.catch(() => {}); // awaited by the call where it reads a result
      this.#device.check();
      const toHost = compiled.outputs.flatMap(({ size }, index) =>
        kept[index] ? [] : [{ address: addresses[inputs.length + index], dtype: outputs[index].dtype, size }]
      );
      // What was asked for is read before the next call can write there: copies are in the order of submission.
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

  /** All dispatches, in one pass. */
  #encode(compiled: Compiled): GPUCommandBuffer {
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

  #bind(compiled: Compiled): GPUBindGroup {
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

  #drop(key: string): void {
    const pending = this.#compiled.get(key);
    this.#compiled.delete(key);
    const known = this.#reports.get(key);
    this.#reports.delete(key);
    if (known) known.dropped = true;
    if (this.#latest?.compiled === known) this.#latest = undefined;
    pending?.then(({ arenaAddress, buffers }) => {
      this.#device.free(arenaAddress);
      for (const buffer of Object.values(buffers)) buffer?.destroy();
    }, () => {});
  }

  describe(): string {
    const { name, used } = this.#device;
    const parts = [...this.#reports].map(([key, compiled]) => describeCompiled(key, compiled));
    return [`kernels on ${name}, ${used} bytes of its memory in use`, ...parts].join("\n");
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    for (const key of [...this.#compiled.keys()]) this.#drop(key);
    this.#staging[Symbol.dispose]();
  }
}
