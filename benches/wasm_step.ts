/** The steps of a Program on wasm, for a profile: the emitted module reports when each kernel has run. */
import type { Tensor } from "@cellfold/cellfold";
import type { Program } from "../src/program/types.ts";
import { host } from "../src/tensor/tensor.ts";
import { MAXIMUM_PAGES, type Plan, planProgram } from "./cellfold/plan.ts";
import type { ProfiledStep } from "./profile.ts";

const PAGE = 1 << 16, ALIGNMENT = 64;

/** The step of a Program on one thread. */
export async function wasmStep(program: Program, inputs: readonly Tensor[]): Promise<ProfiledStep> {
  const plan = planProgram(program, inputs.map(({ shape }) => shape.map(Number)), {
    threads: 1,
    marks: true,
  });
  const step = await load(plan, program, inputs);
  const { kernels, emitted, bindings, arena } = plan;
  return {
    kernels,
    names: emitted.kernels,
    bindings,
    run: () => step(() => {}),
    runTimed: () => {
      const times = new Array<number>(emitted.kernels.size).fill(0);
      let before = performance.now();
      step((kernel) => {
        const now = performance.now();
        times[kernel] += now - before;
        before = now;
      });
      return times;
    },
    summary: `${emitted.bytes.length} bytes of module, ${emitted.functions.length} functions, ` +
      `${arena.bytes} bytes planned`,
    [Symbol.dispose]: () => {},
  };
}

/** A step that calls `mark` with the number of each kernel as soon as it has run. */
type Step = (mark: (kernel: number) => void) => void;

/** An instance of the module over memory that holds the inputs. */
async function load(
  { bindings, emitted, arena, slots, addresses }: Plan,
  program: Program,
  inputs: readonly Tensor[],
): Promise<Step> {
  const outputs = outputSizes(program, inputs);
  const sizes = [...inputs.map((input) => host(input).data.length), ...outputs];
  let end = addresses.arena + arena.bytes + ALIGNMENT;
  const places = sizes.map((size) => {
    const place = Math.ceil(end / ALIGNMENT) * ALIGNMENT;
    end = place + 4 * size;
    return place;
  });
  const memory = new WebAssembly.Memory({
    initial: Math.ceil(end / PAGE) + 1,
    maximum: MAXIMUM_PAGES,
    shared: true,
  });
  const words = slots.fill({
    bindings,
    addressOf: (buffer) => {
      const { storage } = buffer;
      if (storage.kind === "input") return places[storage.index];
      if (storage.kind === "output") return places[inputs.length + storage.index];
      return addresses.arena + (arena.offsets.get(buffer) ?? 0);
    },
  });
  new Int32Array(memory.buffer, addresses.table, words.length).set(words);
  const write = (tensor: Tensor, address: number) => {
    const { data, dtype } = host(tensor);
    if (dtype === "float32") new Float32Array(memory.buffer, address, data.length).set(data);
    else new Int32Array(memory.buffer, address, data.length).set(data);
  };
  inputs.forEach((input, index) => write(input, places[index]));
  for (const buffer of arena.constants) {
    if (buffer.storage.kind === "constant") {
      const { value } = buffer.storage;
      write(
        typeof value === "function" ? value(bindings) : value,
        addresses.arena + (arena.offsets.get(buffer) ?? 0),
      );
    }
  }
  const module = await WebAssembly.compile(emitted.bytes);
  let marked = (_kernel: number) => {};
  const { exports } = new WebAssembly.Instance(module, {
    env: { memory },
    profile: { mark: (kernel: number) => marked(kernel) },
  });
  const alone = exports.alone as () => void; // emitted with this signature
  return (mark) => {
    marked = mark;
    alone();
  };
}

/** The number of elements of each output of the Program. */
function outputSizes(program: Program, inputs: readonly Tensor[]): readonly number[] {
  // Every symbolic size is the batch, which is the first axis of the last input.
  const batch = Number(inputs[inputs.length - 1].shape[0]);
  return program.outputs.map(({ shape }) =>
    shape.reduce<number>((size, dim) => size * (typeof dim === "number" ? dim : batch), 1)
  );
}
