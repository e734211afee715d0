/** Compiled Programs of backends for processors: code for all sizes, and a plan of memory for each set of sizes. */
import type { Program } from "../../src/program/types.ts";
import type { DeviceTensor, HostTensor } from "../../src/tensor/tensor.ts";
import { printable } from "../../src/tensor/print.ts";
import type {
  BackendCompileOptions,
  Executable,
  ExecutableReport,
  Input,
  Loop,
  LoopRoles,
} from "../backend.ts";
import { bindInputs, haveShapes, keyOf } from "../bind_inputs.ts";
import { checkDTypes } from "../lowering/dtypes.ts";
import { sizesAt } from "../lowering/kinds/kind.ts";
import { reportKernels } from "../lowering/report.ts";
import { elsewhere, StoredTensor } from "../stored_tensor.ts";
import { type Bound, Plans } from "./bound.ts";
import { describeCode } from "./describe.ts";
import type { CpuDevice } from "./device.ts";
import { cpuFunctions } from "./kernels.ts";
import { CpuLoop } from "./loop.ts";
import { packedFor, packedInput } from "./packed.ts";
import { sizeOf } from "../shapes.ts";
import { writeInput } from "./read_parts.ts";

/** The plans of executables that were dropped without being disposed of are freed when these are collected. */
const dropped = new FinalizationRegistry<Loaded>(({ plans }) => plans?.[Symbol.dispose]());

/** What an executable has loaded; it does not refer to the executable. */
interface Loaded {
  plans: Plans | undefined;
}

/** Tensors in scratch begin at multiples of this many bytes. */
const ALIGNMENT = 64;

/** An executable on a processor. */
export class CpuExecutable implements Executable {
  readonly #device: CpuDevice;
  readonly #program: Program;
  readonly #options: BackendCompileOptions;
  readonly #loaded: Loaded = { plans: undefined };
  #loading: Promise<Plans> | undefined;
  /** The shapes of the last call's inputs, and its sizes. */
  #latest: { readonly shapes: readonly (readonly number[])[]; readonly bound: Bound } | undefined;
  #disposed = false;

  /** @throws TypeError if the Program computes in float64. */
  constructor(device: CpuDevice, program: Program, options: BackendCompileOptions, backend = "wasm") {
    checkDTypes(program, device.name, backend);
    this.#device = device;
    this.#program = program;
    this.#options = options;
    dropped.register(this, this.#loaded, this);
  }

  /** Compiles now, and not at the first call; for all sizes. */
  prepare(): Promise<void> | undefined {
    return this.#loaded.plans ? undefined : this.#load().then(() => {});
  }

  async run(inputs: readonly Input[]): Promise<(HostTensor | DeviceTensor)[]> {
    // Where the code is loaded a call begins before anything is awaited, so that what its caller does next,
    // such as disposing of an input, comes after it.
    if (!this.#loaded.plans) {
      this.#check();
      bindInputs(this.#program, inputs);
      await this.#load();
    }
    return this.runSync(inputs);
  }

  runSync(inputs: readonly Input[]): (HostTensor | DeviceTensor)[] {
    this.#check();
    const { plans } = this.#loaded;
    if (!plans) throw new Error("Cannot run now: call it once with await first");
    return this.#run(inputs, this.#boundFor(inputs, plans), plans);
  }

  async loop(inputs: readonly Input[], roles: LoopRoles): Promise<Loop> {
    this.#check();
    bindInputs(this.#program, inputs);
    const plans = await this.#load();
    const bound = this.#boundFor(inputs, plans);
    const { outputs } = this.#program;
    const specs = bound.outputs.map(({ shape }, index) => ({ shape, dtype: outputs[index].dtype }));
    return new CpuLoop({ device: this.#device, plans, bound, executable: this }, inputs, specs, roles);
  }

  #check(): void {
    if (this.#disposed) throw new Error("Cannot run a compiled Program: it was disposed");
    this.#device.check();
  }

  /** Compiles at the first call, for all later ones. */
  #load(): Promise<Plans> {
    const { donate } = this.#options;
    return this.#loading ??= this.#device.codeFor(this.#program, (input) => !donate[input]).then((code) => {
      const plans = new Plans(this.#device, this.#program, code);
      if (this.#disposed) plans[Symbol.dispose]();
      return this.#loaded.plans = plans;
    }, (error) => {
      this.#loading = undefined;
      throw error;
    });
  }

  #boundFor(inputs: readonly Input[], plans: Plans): Bound {
    const latest = this.#latest;
    if (latest && haveShapes(inputs, latest.shapes, this.#program)) return latest.bound;
    const bindings = bindInputs(this.#program, inputs);
    const bound = plans.for(bindings, keyOf(bindings));
    this.#latest = { shapes: inputs.map(({ shape }) => shape), bound };
    return bound;
  }

  #run(inputs: readonly Input[], bound: Bound, plans: Plans): (HostTensor | DeviceTensor)[] {
    const { memory, scratch, name } = this.#device;
    const { outputs } = this.#program;
    const { keep, donate } = this.#options;
    const kept: (StoredTensor | undefined)[] = [];
    try {
      // Places after the intermediate results, for what is on the host, and addresses of the rest.
      let end = bound.bytes;
      const placeFor = (elements: number): number => {
        const at = end;
        end += Math.ceil(elements * 4 / ALIGNMENT) * ALIGNMENT;
        return at;
      };
      const { packs, onlyPacked } = plans.code;
      const places = inputs.map((input, index) => {
        if (input.kind === "host") return onlyPacked.has(index) ? 0 : placeFor(sizeOf(input.shape));
        if (!(input instanceof StoredTensor && input.liesIn(memory))) throw elsewhere(input, name);
        return onlyPacked.has(index) && input.source ? 0 : input.address; // throws if it is gone
      });
      const packed = packedFor(packs, inputs).map((form, index) =>
        form ?? placeFor(packs[index].packed.size)
      );
      const results = bound.outputs.map(({ size }, index) => keep[index] ? undefined : placeFor(size));
      bound.outputs.forEach(({ shape }, index) => {
        kept[index] = keep[index] ? this.#device.tensor(shape, outputs[index].dtype) : undefined;
      });
      const base = scratch.take(plans, end, bound.describe);
      const from = inputs.map((input, index) => {
        if (input.kind === "device" || onlyPacked.has(index)) return places[index];
        writeInput(memory, base + places[index], input, bound.parts[index]);
        return base + places[index];
      });
      const to = results.map((place, index) => kept[index]?.address ?? base + (place ?? 0));
      const forms = packed.map((place) =>
        typeof place === "number" ? { address: base + place, isReady: false } : place
      );
      forms.forEach((form, index) => {
        const input = inputs[packedInput(packs[index])];
        const source = input instanceof StoredTensor ? input.source : input as HostTensor; // checked above
        if (source && !form.isReady && onlyPacked.has(packedInput(packs[index]))) {
          plans.packFromHost(packs[index], source, form);
        }
      });
      plans.run(bound, from, to, forms);
      const made = bound.outputs.map(({ shape, size }, index): HostTensor | DeviceTensor => {
        const { dtype } = outputs[index];
        return kept[index] ??
          printable<HostTensor>({
            kind: "host",
            shape,
            dtype,
            data: memory.readTensor(to[index], dtype, size),
          });
      });
      inputs.forEach((input, index) => {
        if (donate[index] && input instanceof StoredTensor) input.donate();
      });
      return made;
    } catch (error) {
      for (const tensor of kept) tensor?.[Symbol.dispose]();
      throw error;
    }
  }

  describe(): string {
    const { instructions, memory, scratch, threads, name, notes } = this.#device;
    return [
      `kernels on ${name}, ${instructions}, ${memory.used - scratch.bytes} bytes of its memory in use, and ` +
      `${scratch.bytes} shared by all calls`,
      ...notes,
      ...(this.#loaded.plans ? describeCode(this.#loaded.plans, threads) : []),
    ].join("\n");
  }

  report(): ExecutableReport {
    const bound = this.#latest?.bound;
    const { kernels = [], times } = this.#loaded.plans?.code ?? {};
    return {
      ...(times && { measuredCalls: times.calls }),
      kernels: bound ? reportKernels(cpuFunctions, kernels, sizesAt(bound.bindings), times?.of) : [],
    };
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    dropped.unregister(this);
    this.#loaded.plans?.[Symbol.dispose]();
    this.#loaded.plans = undefined;
    this.#latest = undefined;
  }
}
