/** The steps of a Program on native, for a profile: its C adds up how long each kernel takes. */
import type { Tensor } from "@cellfold/cellfold";
import type { CpuDevice } from "../kernels/cpu/device.ts";
import { CpuExecutable } from "../kernels/cpu/executable.ts";
import { WORTH_SHARING } from "../kernels/cpu/partition.ts";
import { PANEL_COLUMNS } from "../kernels/native/c/product.ts";
import { codeFor, type NativeCode } from "../kernels/native/code_for.ts";
import { openDevice, openRuntime } from "../kernels/native/runtime.ts";
import { Scratch } from "../kernels/scratch.ts";
import { StoredTensor } from "../kernels/stored_tensor.ts";
import { bindShapes } from "../src/program/bindings.ts";
import type { Program } from "../src/program/types.ts";
import { host } from "../src/tensor/tensor.ts";
import type { ProfiledStep } from "./profile.ts";

/** What of a step is on the host: its last `given` inputs; and its results, unless they stay on the device. */
export interface Places {
  readonly given: number;
  readonly keep: boolean;
}

/** The step of a Program on one thread. */
export async function nativeStep(
  program: Program,
  inputs: readonly Tensor[],
  { given, keep }: Places,
): Promise<ProfiledStep> {
  const runtime = await openRuntime();
  const { memory, device: number } = openDevice(runtime, 1);
  let code: NativeCode | undefined;
  const device: CpuDevice = {
    name: "native",
    memory,
    scratch: new Scratch(memory),
    threads: 1,
    panelColumns: PANEL_COLUMNS,
    check: () => {},
    guard: (run) => run(),
    tensor: (shape, dtype) => new StoredTensor(memory, "native", shape, dtype),
    codeFor: async (program, stays) =>
      code = await codeFor(
        { runtime, device: number, memory, threads: 1, shareFrom: WORTH_SHARING, marks: true },
        program,
        stays,
      ),
    instructions: "",
    notes: [],
  };
  const executable = new CpuExecutable(device, program, {
    donate: program.inputs.map(() => false),
    keep: program.outputs.map(() => keep),
  }, "native");
  await executable.prepare();
  if (!code) throw new Error("An executable was prepared without code");
  const { object, names, kernels } = code;
  const places = inputs.map((input, index) => {
    if (index >= inputs.length - given) return host(input);
    const placed = device.tensor(input.shape.map(Number), input.dtype);
    memory.write(placed.address, host(input));
    return placed;
  });
  // The object is loaded already; this is another handle on it.
  const library = Deno.dlopen(object, { cellfold_taken: { type: "pointer" } });
  const pointer = library.symbols.cellfold_taken;
  if (pointer === null) throw new Error("The code of a profile has no times");
  const taken = new Float64Array(Deno.UnsafePointerView.getArrayBuffer(pointer, names.size * 8));
  const run = () => {
    for (const result of executable.runSync(places)) if (result.kind === "device") result[Symbol.dispose]();
  };
  return {
    kernels,
    names,
    bindings: bindShapes(
      program.inputs.map(({ shape }) => shape),
      inputs.map(({ shape }) => shape.map(Number)),
    ),
    run,
    runTimed: () => {
      taken.fill(0);
      run();
      return [...taken];
    },
    summary: executable.describe().split("\n").find((line) => line.includes("lines of C")) ?? "",
    [Symbol.dispose]: () => {
      library.close();
      executable[Symbol.dispose]();
    },
  };
}
