/** Compiled Programs of the WebGPU backend: code for all sizes, and one submission per call. */
import type { Program } from "../../src/program/types.ts";
import { type DeviceTensor, type HostTensor, type Values } from "../../src/tensor/tensor.ts";
import { printable } from "../../src/tensor/print.ts";
import type { BackendCompileOptions, Executable, ExecutableReport, Input } from "../backend.ts";
import { bindInputs, haveShapes, keyOf } from "../bind_inputs.ts";
import { checkDTypes } from "../lowering/dtypes.ts";
import { kernelFunctions } from "../lowering/kernels.ts";
import { sizesAt } from "../lowering/kinds/kind.ts";
import { reportKernels } from "../lowering/report.ts";
import { elsewhere, StoredTensor } from "../stored_tensor.ts";
import { type Bound, fillTable, largest, Plans } from "./bound.ts";
import { describePlans } from "./describe.ts";
import type { WebGpuDevice } from "./device.ts";
import { Runner } from "./runner.ts";

/** Tensors in scratch begin at multiples of this many bytes. */
const ALIGNMENT = 256;

/** What executables hold that were dropped without being disposed of is freed when these are collected. */
const dropped = new FinalizationRegistry<readonly Disposable[]>((held) => {
  for (const each of held) each[Symbol.dispose]();
});

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
  readonly #plans: Plans;
  readonly #runner: Runner;
  /** The shapes of the last call's inputs, and its sizes. */
  #latest: { readonly shapes: readonly (readonly number[])[]; readonly bound: Bound } | undefined;
  #disposed = false;

  /** @throws TypeError if the Program computes in float64. */
  constructor(device: WebGpuDevice, program: Program, options: BackendCompileOptions) {
    checkDTypes(program, device.name, "webgpu");
    this.#device = device;
    this.#program = program;
    this.#options = options;
    this.#plans = new Plans(device, program);
    this.#runner = new Runner(device);
    dropped.register(this, [this.#plans, this.#runner], this);
  }

  async run(inputs: readonly Input[]): Promise<(HostTensor | DeviceTensor)[]> {
    this.#check();
    // With code that is there a call begins before anything is awaited, so that what its caller does next, such
    // as disposing of an input, comes after it.
    const bound = this.#known(inputs) ?? await this.#boundFor(inputs);
    const { outputs } = this.#program;
    const { shared } = this.#device;
    if (!shared.hasHalves(bound.halves.bytes)) {
      await shared.growHalves(bound.halves.bytes, () => largest(bound.halves, bound.bindings));
    }
    const { kept, read, checked } = await this.#device.withRoom(() => this.#submit(inputs, bound));
    try {
      const [values] = await Promise.all([read, checked]);
      if (read) this.#device.check();
      let next = 0;
      return bound.outputs.map(({ shape }, index): HostTensor | DeviceTensor =>
        kept[index] ??
          printable<HostTensor>({
            kind: "host",
            shape,
            dtype: outputs[index].dtype,
            data: (values ?? [])[next++],
          })
      );
    } catch (error) {
      for (const tensor of kept) tensor?.[Symbol.dispose]();
      throw error;
    }
  }

  prepare(inputs: readonly Input[]): Promise<void> | undefined {
    this.#check();
    return this.#known(inputs) ? undefined : this.#boundFor(inputs).then(() => {});
  }

  #check(): void {
    if (this.#disposed) throw new Error("Cannot run a compiled Program: it was disposed");
  }

  /** The plan for the sizes of these inputs, if there is code for them. */
  #known(inputs: readonly Input[]): Bound | undefined {
    const latest = this.#latest;
    if (latest && haveShapes(inputs, latest.shapes, this.#program)) return latest.bound;
    const bindings = bindInputs(this.#program, inputs);
    const bound = this.#plans.get(bindings, keyOf(bindings));
    if (bound) this.#latest = { shapes: inputs.map(({ shape }) => shape), bound };
    return bound;
  }

  async #boundFor(inputs: readonly Input[]): Promise<Bound> {
    const bindings = bindInputs(this.#program, inputs);
    return await this.#plans.make(bindings, keyOf(bindings));
  }

  /** Allocates everything and submits the call. */
  #submit(inputs: readonly Input[], bound: Bound): Submitted {
    this.#check();
    const device = this.#device;
    const { outputs } = this.#program;
    const { keep, donate } = this.#options;
    if (bound.code.constants.write(bound.bindings)) bound.filled = undefined;
    // Places after the intermediate results, for what is on the host, and addresses of the rest.
    let end = Math.ceil(bound.arena.bytes / ALIGNMENT) * ALIGNMENT;
    const placeFor = (elements: number): number => {
      const at = end;
      end += Math.ceil(elements * 4 / ALIGNMENT) * ALIGNMENT;
      return at;
    };
    const from = inputs.map((input) => {
      if (input.kind === "host") return placeFor(input.data.length);
      if (!(input instanceof StoredTensor && input.liesIn(device))) throw elsewhere(input, device.name);
      return input.address; // throws if it is gone
    });
    const kept: (StoredTensor | undefined)[] = [];
    try {
      const to = bound.outputs.map(({ shape, size }, index) => {
        kept[index] = keep[index] ? device.tensor(shape, outputs[index].dtype) : undefined;
        return kept[index]?.address ?? placeFor(size);
      });
      const base = device.shared.scratch.take(
        this.#plans,
        Math.max(end, ALIGNMENT),
        () => largest(bound.arena, bound.bindings),
      );
      inputs.forEach((input, index) => {
        if (input.kind !== "host") return;
        from[index] += base;
        device.write(from[index], input);
      });
      kept.forEach((tensor, index) => {
        if (!tensor) to[index] += base;
      });
      const words = fillTable(bound, base);
      for (const { index, kind, at, offset } of bound.outside) {
        words[index] = (kind === "input" ? from : to)[at] / 4 + offset;
      }
      const checked = device.scoped(() => this.#runner.submit(bound, words));
      checked.catch(() => {}); // awaited by the call if it reads a result
      device.check();
      const toHost = bound.outputs.flatMap(({ size }, index) =>
        kept[index] ? [] : [{ address: to[index], dtype: outputs[index].dtype, size }]
      );
      // Results are copied before the next call can overwrite them: copies run in the order of submission.
      const read = toHost.length > 0 ? device.read(toHost) : undefined;
      read?.catch(() => {}); // awaited by the call
      inputs.forEach((input, index) => {
        if (donate[index] && input instanceof StoredTensor) input.donate();
      });
      return { kept, read, checked: read && checked };
    } catch (error) {
      for (const tensor of kept) tensor?.[Symbol.dispose]();
      throw error;
    }
  }

  describe(): string {
    const { name, used, shared } = this.#device;
    return [
      `kernels on ${name}, ${
        used - shared.scratch.bytes
      } bytes of its memory in use, and ${shared.scratch.bytes} shared by all calls`,
      ...describePlans(this.#plans.kept),
    ].join("\n");
  }

  report(): ExecutableReport {
    const [, { bindings, code } = {}] = this.#plans.kept.entries.at(-1) ?? [];
    return {
      kernels: bindings && code ? reportKernels(kernelFunctions, code.kernels, sizesAt(bindings)) : [],
    };
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    dropped.unregister(this);
    this.#plans[Symbol.dispose]();
    this.#runner[Symbol.dispose]();
    this.#latest = undefined;
  }
}
