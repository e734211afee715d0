/** Compiled Programs of the wasm backend: one module per set of sizes, called without allocating. */
import type { Program } from "../../src/program/types.ts";
import { type Bindings, evaluateShape } from "../../src/tensor/dims.ts";
import type { DeviceTensor, HostTensor } from "../../src/tensor/tensor.ts";
import type { BackendCompileOptions, Executable, Input, Loop, LoopRoles } from "../backend.ts";
import { type Arena, planArena } from "../lowering/arena.ts";
import { Staging } from "../staging.ts";
import { elsewhere, StoredTensor } from "../stored_tensor.ts";
import { PHASES_ADDRESS, type WasmDevice } from "./device.ts";
import { emitModule, type Emitted } from "./emit/module.ts";
import { wasmFunctions, type WasmKernel } from "./kernels.ts";
import { WasmLoop } from "./loop.ts";
import { sameNumbers } from "../bind_inputs.ts";
import { checkDTypes } from "../lowering/dtypes.ts";
import { CompiledSizes } from "../sizes.ts";
import { lowerForWasm } from "./lower.ts";
import { MAXIMUM_PAGES } from "./memory.ts";
import { isSingleThreaded } from "./partition.ts";
import type { Pool } from "./threads.ts";
import type { Buffer } from "../lowering/views.ts";
import { sizeOf } from "../shapes.ts";

/** The Program compiled for one set of sizes. */
interface CompiledWasm {
  /** Runs the kernels, on all threads or on this one alone; `changed` if what is packed once has changed. */
  readonly run: (changed: boolean) => void;
  /** The indices of the inputs that are packed once. */
  readonly packedOnce: readonly number[];
  /** What is packed now: the serial numbers of those inputs in the last call, or the loop that ran last. */
  lastPacked: readonly number[] | object | undefined;
  readonly unload: () => void;
  /** How many threads took part in the last call. */
  readonly threadsNow: () => number;
  readonly singleThreaded: boolean;
  readonly kernels: readonly WasmKernel[];
  readonly emitted: Emitted;
  readonly arena: Arena;
  readonly arenaAddress: number;
  /** The address of the words that hold the addresses of inputs, then of outputs. */
  readonly tableAddress: number;
  readonly outputs: readonly { readonly shape: readonly number[]; readonly size: number }[];
}

/** An executable on a wasm device. */
export class WasmExecutable implements Executable {
  readonly #device: WasmDevice;
  readonly #program: Program;
  readonly #options: BackendCompileOptions;
  readonly #sizes: CompiledSizes<CompiledWasm>;
  readonly #staging: Staging;

  /** @throws TypeError if the Program computes in float64. */
  constructor(device: WasmDevice, program: Program, options: BackendCompileOptions) {
    checkDTypes(program, device.name, "wasm");
    this.#device = device;
    this.#program = program;
    this.#options = options;
    this.#sizes = new CompiledSizes(program, ({ unload, arenaAddress, tableAddress }) => {
      unload();
      device.memory.free(arenaAddress);
      device.memory.free(tableAddress);
    });
    this.#staging = new Staging(device.memory);
  }

  async run(inputs: readonly Input[]): Promise<(HostTensor | DeviceTensor)[]> {
    return this.#run(inputs, this.#sizes.again(inputs) ?? await this.#compiledFor(inputs));
  }

  runSync(inputs: readonly Input[]): (HostTensor | DeviceTensor)[] {
    const compiled = this.#sizes.get(inputs);
    if (!compiled) throw new Error("Cannot run now: call it once with await for these sizes first");
    return this.#run(inputs, compiled);
  }

  #compiledFor(inputs: readonly Input[]): Promise<CompiledWasm> {
    return this.#sizes.find(inputs, (bindings) => this.#compile(bindings));
  }

  async loop(inputs: readonly Input[], roles: LoopRoles): Promise<Loop> {
    const compiled = await this.#compiledFor(inputs);
    const outputs = compiled.outputs.map(({ shape }, index) => ({
      shape,
      dtype: this.#program.outputs[index].dtype,
    }));
    return new WasmLoop(this.#device.memory, compiled, inputs, outputs, roles);
  }

  async #compile(bindings: Bindings): Promise<CompiledWasm> {
    const { memory, threads, shareFrom } = this.#device;
    const { donate } = this.#options;
    const stays = (input: number) => !donate[input];
    const kernels = lowerForWasm(this.#program, { bindings, threads, shareFrom, stays });
    this.#device.check();
    const pool = isSingleThreaded(kernels, shareFrom) ? undefined : this.#device.pool();
    const allocated: number[] = [];
    const allocate = (bytes: number, what: () => string): number => {
      const address = memory.allocate(bytes, what);
      allocated.push(address);
      return address;
    };
    try {
      return await this.#load(kernels, pool, bindings, allocate);
    } catch (error) {
      for (const address of allocated) memory.free(address);
      throw error;
    }
  }

  /** Lowers, allocates, emits and instantiates. */
  async #load(
    kernels: readonly WasmKernel[],
    pool: Pool | undefined,
    bindings: Bindings,
    allocate: (bytes: number, what: () => string) => number,
  ): Promise<CompiledWasm> {
    const { memory, features, threads, shareFrom } = this.#device;
    const { inputs, outputs } = this.#program;
    const arena = planArena(kernels, wasmFunctions);
    const arenaAddress = allocate(arena.bytes, () => describeArena(arena));
    const tableAddress = allocate(
      (inputs.length + outputs.length) * 4,
      () => "it was for a table of addresses",
    );
    const emitted = emitModule(kernels, {
      features,
      addresses: {
        addressOf: (buffer) => arenaAddress + (arena.offsets.get(buffer) ?? failUnplaced(buffer)),
        slotOf: ({ storage }) => {
          if (storage.kind !== "input" && storage.kind !== "output") {
            throw new Error("Only inputs and outputs have slots");
          }
          return tableAddress +
            4 * (storage.kind === "input" ? storage.index : inputs.length + storage.index);
        },
      },
      limits: { minimum: 1, maximum: MAXIMUM_PAGES, shared: memory.shared },
      phasesAddress: pool && PHASES_ADDRESS,
      threads,
      shareFrom,
    });
    const module = await WebAssembly.compile(emitted.bytes);
    const { run, unload, threadsNow } = pool
      ? await runShared(this.#device, pool, module)
      : await runSingle(this.#device, module);
    for (const buffer of arena.constants) {
      if (buffer.storage.kind === "constant") {
        memory.write(arenaAddress + (arena.offsets.get(buffer) ?? 0), buffer.storage.value);
      }
    }
    return {
      run,
      packedOnce: kernels.flatMap((kernel) =>
        kernel.kind === "pack" && kernel.once && "index" in kernel.right.buffer.storage
          ? [kernel.right.buffer.storage.index]
          : []
      ),
      lastPacked: undefined,
      unload,
      threadsNow,
      singleThreaded: pool === undefined,
      kernels,
      emitted,
      arena,
      arenaAddress,
      tableAddress,
      outputs: outputs.map(({ shape }) => {
        const concrete = evaluateShape(shape, bindings);
        return { shape: concrete, size: sizeOf(concrete) };
      }),
    };
  }

  #run(inputs: readonly Input[], compiled: CompiledWasm): (HostTensor | DeviceTensor)[] {
    this.#device.check();
    const { memory } = this.#device;
    const { outputs } = this.#program;
    const addresses = inputs.map((input, index): number => {
      if (input.kind === "host") {
        const address = this.#staging.addressOf("input", index, input.data.length);
        memory.write(address, input);
        return address;
      }
      if (input instanceof StoredTensor && input.liesIn(memory)) return input.address;
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
      memory.words(compiled.tableAddress, addresses.length).set(addresses);
      const serials = compiled.packedOnce.map((index) => serialOf(inputs[index]));
      const { lastPacked } = compiled;
      compiled.lastPacked = undefined; // in case the call fails
      compiled.run(!Array.isArray(lastPacked) || !sameNumbers(serials, lastPacked));
      compiled.lastPacked = serials;
    } catch (error) {
      for (const tensor of kept) tensor?.[Symbol.dispose]();
      throw error;
    }
    const results = compiled.outputs.map(({ shape, size }, index): HostTensor | DeviceTensor => {
      const { dtype } = outputs[index];
      return kept[index] ??
        {
          kind: "host",
          shape,
          dtype,
          data: memory.readTensor(addresses[inputs.length + index], dtype, size),
        };
    });
    inputs.forEach((input, index) => {
      if (this.#options.donate[index] && input instanceof StoredTensor) input.donate();
    });
    return results;
  }

  describe(): string {
    const { features, memory, threads, name } = this.#device;
    const { missingThreads } = this.#device;
    const parts = this.#sizes.entries.map(
      ([key, { kernels, emitted, arena, singleThreaded, threadsNow }]) => {
        const now = threadsNow();
        const how = singleThreaded ? "1 thread, as there is too little work to share" : `${threads} threads` +
          (now < threads ? ` (${now} of them in the last call, which is faster here)` : "");
        return [
          `for ${
            key || "these sizes"
          }: ${how}, ${emitted.bytes.length} bytes of code in ${emitted.functions.length} ` +
          `functions, ${arena.bytes} bytes planned`,
          ...kernels.flatMap((kernel) => wasmFunctions.printKernel(kernel, "  ")),
        ].join("\n");
      },
    );
    const simd = features.relaxed ? "relaxed" : "plain";
    return [
      `kernels on ${name}, ${simd} SIMD, ${memory.used} bytes of its memory in use`,
      ...(missingThreads === undefined
        ? []
        : [`fewer threads, as some could not be started: ${missingThreads}`]),
      ...parts,
    ].join("\n");
  }

  [Symbol.dispose](): void {
    this.#sizes[Symbol.dispose]();
    this.#staging[Symbol.dispose]();
  }
}

type Runner = Pick<CompiledWasm, "run" | "unload" | "threadsNow">;

async function runShared(device: WasmDevice, pool: Pool, module: WebAssembly.Module): Promise<Runner> {
  const id = await pool.load(module);
  return {
    run: (changed) => device.guard(() => pool.run(id, [changed ? 1 : 0])),
    unload: () => pool.unload(id),
    threadsNow: () => pool.threadsOf(id),
  };
}

async function runSingle(device: WasmDevice, module: WebAssembly.Module): Promise<Runner> {
  const { exports } = await WebAssembly.instantiate(module, { env: { memory: device.memory.memory } });
  const run = exports.run as (changed: number) => void; // emitted with this signature
  return {
    run: (changed) => device.guard(() => run(changed ? 1 : 0)),
    unload: () => {},
    threadsNow: () => 1,
  };
}

/** A number that no other tensor on the device has; NaN, which equals nothing, for a tensor on the host. */
function serialOf(input: Input): number {
  return input instanceof StoredTensor ? input.serial : NaN;
}

function failUnplaced(buffer: Buffer): never {
  throw new Error(`The buffer of ${buffer.name} has no place in the arena`);
}

function describeArena({ offsets, bytes }: Arena): string {
  const largest = [...offsets.keys()].sort((a, b) => b.size - a.size).slice(0, 5);
  return `the plan takes ${bytes} bytes, its largest buffers are ${
    largest.map(({ name, size }) => `${name} (${size * 4} bytes)`).join(", ")
  }; a scan with checkpointEvery keeps less, and so does a smaller batch`;
}
