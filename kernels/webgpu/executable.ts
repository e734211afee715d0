/** Compiled Programs of the WebGPU backend: one shader module per set of sizes, all of a call in one submission. */
import type { Program } from "../../src/program/types.ts";
import { type Bindings, evaluateShape } from "../../src/tensor/dims.ts";
import { type DeviceTensor, type HostTensor, printSpec } from "../../src/tensor/tensor.ts";
import type { CompileOptions, Executable, Input } from "../backend.ts";
import { type Arena, planArena } from "../lowering/arena.ts";
import { bindInputs, float64In, keyOf, sameNumbers } from "../lowering/call.ts";
import { type Kernel, printKernel } from "../lowering/kernels.ts";
import { lowerProgram } from "../lowering/lower.ts";
import { type Buffer, sizeOf } from "../lowering/views.ts";
import { StoredTensor } from "../stored_tensor.ts";
import type { WebGpuDevice } from "./device.ts";
import { type Dispatch, writeModule } from "./wgsl/module.ts";

/** How many sets of sizes stay compiled. */
const KEPT = 8;

/** Invocations of a workgroup: what every adapter can do. */
const WORKGROUP_SIZE = 256;

/** Over how many workgroups the rows of a scan are spread: those that a GPU runs at once, or a processor. */
const WORKGROUPS = { hardware: 64, software: 4 } as const;

/** The Program compiled for one set of sizes. */
interface Compiled {
  readonly kernels: readonly Kernel[];
  readonly code: string;
  readonly dispatches: readonly (Dispatch & { readonly pipeline: GPUComputePipeline })[];
  readonly layout: GPUBindGroupLayout;
  readonly arena: Arena;
  readonly arenaAddress: number;
  /** The words at which inputs, then outputs begin. */
  readonly slots: GPUBuffer;
  readonly outputs: readonly { readonly shape: readonly number[]; readonly size: number }[];
  /** Whether its memory was given back. */
  dropped: boolean;
  /** The bind group, and the memory that it binds. */
  bound: { readonly memory: GPUBuffer; readonly group: GPUBindGroup } | undefined;
}

/** An executable on a WebGPU device. */
export class WebGpuExecutable implements Executable {
  readonly #device: WebGpuDevice;
  readonly #program: Program;
  readonly #options: CompileOptions;
  readonly #compiled = new Map<string, Promise<Compiled>>();
  #latest: { readonly shapes: readonly (readonly number[])[]; readonly compiled: Compiled } | undefined;
  readonly #staging: Readonly<
    Record<"input" | "output", ({ readonly address: number; readonly size: number } | undefined)[]>
  > = {
    input: [],
    output: [],
  };
  /** What was compiled, for reports. */
  readonly #reports = new Map<string, Compiled>();
  #disposed = false;

  /** @throws TypeError if the Program computes in float64. */
  constructor(device: WebGpuDevice, program: Program, options: CompileOptions) {
    const unknown = float64In(program);
    if (unknown) {
      throw new TypeError(
        `Cannot compile for ${device.name}: the Program computes ${printSpec(unknown)}, and webgpu has ` +
          `no float64; use cast(x, "float32"), or the device reference`,
      );
    }
    this.#device = device;
    this.#program = program;
    this.#options = options;
  }

  async run(inputs: readonly Input[]): Promise<(HostTensor | DeviceTensor)[]> {
    for (;;) {
      const compiled = this.#again(inputs) ?? await this.#compiledFor(inputs);
      // Calls with other sizes may have pushed it out meanwhile.
      if (!compiled.dropped) return await this.#run(inputs, compiled);
    }
  }

  /** What the last call ran, if these inputs are of the same sizes. */
  #again(inputs: readonly Input[]): Compiled | undefined {
    if (!this.#latest || inputs.length !== this.#latest.shapes.length) return undefined;
    const { shapes, compiled } = this.#latest;
    const same = inputs.every(({ shape, dtype }, index) =>
      dtype === this.#program.inputs[index].dtype && sameNumbers(shape, shapes[index])
    );
    return same ? compiled : undefined;
  }

  async #compiledFor(inputs: readonly Input[]): Promise<Compiled> {
    const bindings = bindInputs(this.#program, inputs);
    const key = keyOf(bindings);
    this.#checkDisposed();
    let pending = this.#compiled.get(key);
    if (!pending) {
      this.#compiled.set(key, pending = this.#compile(bindings));
      pending.catch(() => this.#compiled.delete(key));
    }
    const compiled = await pending;
    this.#checkDisposed();
    if (compiled.dropped) return compiled;
    this.#reports.set(key, compiled);
    this.#latest = { shapes: inputs.map(({ shape }) => shape), compiled };
    const oldest = [...this.#reports.keys()].find((other) => other !== key);
    if (this.#reports.size > KEPT && oldest !== undefined) this.#drop(oldest);
    return compiled;
  }

  #checkDisposed(): void {
    if (this.#disposed) throw new Error("Cannot run a compiled Program: it was disposed");
  }

  async #compile(bindings: Bindings): Promise<Compiled> {
    const { device, isSoftware, name } = this.#device;
    const { inputs, outputs } = this.#program;
    this.#device.check();
    const kernels = lowerProgram(this.#program, { bindings, columns: 1 });
    const arena = planArena(kernels);
    const arenaAddress = this.#device.allocate(arena.bytes, () => `the plan takes ${arena.bytes} bytes`);
    try {
      const { code, dispatches } = writeModule(kernels, {
        memory: {
          wordOf: (buffer) => (arenaAddress + (arena.offsets.get(buffer) ?? failUnplaced(buffer))) / 4,
          slotOf: ({ place }) => {
            if (place.kind !== "input" && place.kind !== "output") {
              throw new Error("Only inputs and outputs have slots");
            }
            return place.kind === "input" ? place.index : inputs.length + place.index;
          },
        },
        workgroupSize: WORKGROUP_SIZE,
        workgroups: isSoftware ? WORKGROUPS.software : WORKGROUPS.hardware,
        mostWorkgroups: device.limits.maxComputeWorkgroupsPerDimension,
        title: `A Program of ${this.#program.equations.length} equations for ${
          keyOf(bindings) || "fixed sizes"
        }`,
      });
      for (const buffer of arena.constants) {
        if (buffer.place.kind === "constant") {
          this.#device.write(arenaAddress + (arena.offsets.get(buffer) ?? 0), buffer.place.value);
        }
      }
      device.pushErrorScope("validation");
      const module = device.createShaderModule({ label: name, code });
      const layout = device.createBindGroupLayout({
        entries: [
          { binding: 0, visibility: GPUShaderStage.COMPUTE, buffer: { type: "storage" } },
          { binding: 1, visibility: GPUShaderStage.COMPUTE, buffer: { type: "read-only-storage" } },
        ],
      });
      const pipelineLayout = device.createPipelineLayout({ bindGroupLayouts: [layout] });
      const pipelines = Promise.all(dispatches.map(async (dispatch) => ({
        ...dispatch,
        pipeline: await device.createComputePipelineAsync({
          label: dispatch.entryPoint,
          layout: pipelineLayout,
          compute: { module, entryPoint: dispatch.entryPoint },
        }),
      })));
      pipelines.catch(() => {}); // told below
      const error = await device.popErrorScope();
      if (error) throw new Error(`Cannot compile for ${name}: ${error.message}\n${code}`);
      return {
        kernels,
        code,
        dispatches: await pipelines,
        layout,
        arena,
        arenaAddress,
        slots: device.createBuffer({
          label: "slots",
          size: Math.max(4, 4 * (inputs.length + outputs.length)),
          usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST,
        }),
        outputs: outputs.map(({ shape }) => {
          const concrete = evaluateShape(shape, bindings);
          return { shape: concrete, size: sizeOf(concrete) };
        }),
        dropped: false,
        bound: undefined,
      };
    } catch (error) {
      this.#device.free(arenaAddress);
      throw error;
    }
  }

  /** Memory for one host input or output, reused from call to call and as large as the largest that came so far. */
  #stage(kind: "input" | "output", index: number, size: number): number {
    const staged = this.#staging[kind];
    const known = staged[index];
    if (known && known.size >= size) return known.address;
    if (known) {
      staged[index] = undefined;
      this.#device.free(known.address);
    }
    const address = this.#device.allocate(size * 4, () => `it was for ${kind} ${index}`);
    staged[index] = { address, size };
    return address;
  }

  async #run(inputs: readonly Input[], compiled: Compiled): Promise<(HostTensor | DeviceTensor)[]> {
    const { device } = this.#device;
    const { outputs } = this.#program;
    const addresses = inputs.map((input, index): number => {
      if (input.kind === "host") return this.#stage("input", index, input.data.length);
      if (input instanceof StoredTensor && input.device === this.#device.name) return input.address;
      throw new TypeError(
        `Cannot run on ${this.#device.name} with ${printSpec(input)} of the device ${input.device}`,
      );
    });
    const kept: (StoredTensor | undefined)[] = [];
    try {
      compiled.outputs.forEach(({ shape, size }, index) => {
        kept[index] = this.#options.keep[index]
          ? this.#device.tensor(shape, outputs[index].dtype)
          : undefined;
        addresses.push(kept[index]?.address ?? this.#stage("output", index, size));
      });
      // After all has its place: memory that grows moves.
      inputs.forEach((input, index) => {
        if (input.kind === "host") this.#device.write(addresses[index], input);
      });
      if (addresses.length > 0) {
        device.queue.writeBuffer(compiled.slots, 0, Int32Array.from(addresses, (address) => address / 4));
      }
      const encoder = device.createCommandEncoder();
      const pass = encoder.beginComputePass();
      pass.setBindGroup(0, this.#bind(compiled));
      for (const { pipeline, workgroups } of compiled.dispatches) {
        pass.setPipeline(pipeline);
        pass.dispatchWorkgroups(workgroups);
      }
      pass.end();
      device.queue.submit([encoder.finish()]);
      this.#device.check();
      const toHost = compiled.outputs.flatMap(({ size }, index) =>
        kept[index] ? [] : [{ address: addresses[inputs.length + index], dtype: outputs[index].dtype, size }]
      );
      // What was asked for is read before the next call can write there: copies are in the order of submission.
      const read = toHost.length > 0 ? this.#device.read(toHost) : Promise.resolve([]);
      inputs.forEach((input, index) => {
        if (this.#options.donate[index] && input instanceof StoredTensor) input.donate();
      });
      const values = await read;
      let next = 0;
      return compiled.outputs.map(({ shape }, index): HostTensor | DeviceTensor =>
        kept[index] ?? { kind: "host", shape, dtype: outputs[index].dtype, data: values[next++] }
      );
    } catch (error) {
      for (const tensor of kept) tensor?.[Symbol.dispose]();
      throw error;
    }
  }

  #bind(compiled: Compiled): GPUBindGroup {
    const { memory, device } = this.#device;
    if (compiled.bound?.memory !== memory) {
      const group = device.createBindGroup({
        layout: compiled.layout,
        entries: [
          { binding: 0, resource: { buffer: memory } },
          { binding: 1, resource: { buffer: compiled.slots } },
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
    pending?.then(({ arenaAddress, slots }) => {
      this.#device.free(arenaAddress);
      slots.destroy();
    }, () => {});
  }

  describe(): string {
    const { name, used } = this.#device;
    const parts = [...this.#reports].map(([key, { kernels, code, dispatches, arena }]) =>
      [
        `for ${
          key || "these sizes"
        }: ${dispatches.length} dispatches, ${code.length} characters of WGSL, ${arena.bytes} bytes planned`,
        ...dispatches.map(({ entryPoint, workgroups, kernels }) =>
          `  ${entryPoint}: ${workgroups} workgroups, ${kernels.length} kernels`
        ),
        ...kernels.flatMap((kernel) => printKernel(kernel, "  ")),
        code,
      ].join("\n")
    );
    return [`kernels on ${name}, ${used} bytes of its memory in use`, ...parts].join("\n");
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    for (const key of [...this.#compiled.keys()]) this.#drop(key);
    for (const staged of Object.values(this.#staging)) {
      for (const place of staged) if (place) this.#device.free(place.address);
      staged.length = 0;
    }
  }
}

function failUnplaced(buffer: Buffer): never {
  throw new Error(`The buffer of ${buffer.name} has no place in the arena`);
}
