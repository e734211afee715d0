/**
 * Where the time of a step goes, by kernel, on one thread: the emitted module reports when each kernel has
 * run. It is compared with the ceiling of 128-bit multiply-adds, measured in the same run.
 */
import { sizesAt } from "../kernels/lowering/kinds/kind.ts";
import type { Tensor } from "@cellfold/cellfold";
import { type CpuKernel, rowsOfAll } from "../kernels/cpu/kernels.ts";
import type { Program } from "../src/program/types.ts";
import { host } from "../src/tensor/tensor.ts";
import { MAXIMUM_PAGES, type Plan, planProgram } from "./cellfold/plan.ts";
import { flopsOf, programOf } from "./cellfold/program.ts";
import { multiplyAddCeiling } from "./support/ceiling.ts";
import { machineLine } from "./support/machine.ts";
import { median } from "./support/statistics.ts";
import { smallTask } from "./support/tasks.ts";
import type { Workload } from "./workloads.ts";

/** A kernel, with its enclosing loops. */
interface Row {
  readonly name: string;
  readonly depth: number;
  /** How often a step calls it. */
  readonly calls: number;
  /**
   * Milliseconds of all its calls in a step, without those of nested kernels: the median of several steps.
   */
  readonly milliseconds: number;
  readonly flops: number;
  readonly shape: string;
}

/** How many steps are measured, after this many milliseconds of warm-up, in which the engine compiles. */
const STEPS = 100, WARM_UP_MILLISECONDS = 300;

/** Kernels that take a smaller part of a step than this are not listed individually. */
const SMALL = 0.002;

const PAGE = 1 << 16, ALIGNMENT = 64;

/**
 * The table of a workload that trains or predicts.
 *
 * @throws RangeError for another workload.
 */
export async function profile(
  workload: Workload | undefined,
  { small }: { readonly small: boolean },
): Promise<string> {
  const task = workload && (small ? smallTask(workload.task) : workload.task);
  if (!task || (task.kind !== "train" && task.kind !== "predict" && task.kind !== "nested")) {
    throw new RangeError(`Cannot profile ${workload?.name}: expected a workload that trains or predicts`);
  }
  const machine = await machineLine();
  const { program, inputs } = programOf(task);
  const plan = planProgram(program, inputs.map(({ shape }) => shape.map(Number)), {
    threads: 1,
    marks: true,
  });
  const step = await load(plan, program, inputs);
  const { whole, kernels } = measure(step, plan.emitted.kernels.size);
  const times = new Map([...plan.emitted.kernels.keys()].map((kernel, index) => [kernel, kernels[index]]));
  const rows = rowsOf(plan.kernels, plan, times);
  return [
    machine,
    `${workload?.name}, one thread; medians of ${STEPS} steps`,
    "",
    ...table(rows, whole, multiplyAddCeiling()),
    "",
    `${plan.emitted.bytes.length} bytes of module, ${plan.emitted.functions.length} functions, ` +
    `${plan.arena.bytes} bytes planned`,
  ].join("\n");
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

/** Milliseconds of a step and of each kernel in it, without the cost of marking. */
function measure(step: Step, count: number): { readonly whole: number; readonly kernels: readonly number[] } {
  const ignore = () => {};
  for (const start = performance.now(); performance.now() - start < WARM_UP_MILLISECONDS;) step(ignore);
  const wholes: number[] = [];
  const kernels = Array.from({ length: count }, (): number[] => []);
  for (let round = 0; round < STEPS; round++) {
    const start = performance.now();
    step(ignore);
    wholes.push(performance.now() - start);
    const times = new Array<number>(count).fill(0);
    let before = performance.now();
    step((kernel) => {
      const now = performance.now();
      times[kernel] += now - before;
      before = now;
    });
    times.forEach((time, kernel) => kernels[kernel].push(time));
  }
  return { whole: median(wholes), kernels: kernels.map(median) };
}

/** A row for every kernel. */
function rowsOf(
  kernels: readonly CpuKernel[],
  plan: Plan,
  times: ReadonlyMap<CpuKernel, number>,
  depth = 0,
  calls = 1,
): Row[] {
  return kernels.flatMap((kernel) => {
    const name = plan.emitted.kernels.get(kernel), milliseconds = times.get(kernel);
    if (name === undefined || milliseconds === undefined) {
      throw new Error(`A ${kernel.kind} was not emitted`);
    }
    const sizes = sizesAt(plan.bindings);
    const row: Row = {
      name,
      depth,
      calls,
      milliseconds,
      flops: flopsOf(kernel, sizes),
      shape: shapeOf(kernel),
    };
    if (kernel.kind !== "scan") return [row];
    return [row, ...rowsOf(kernel.body, plan, times, depth + 1, calls * sizes.of(kernel.length))];
  });
}

function shapeOf(kernel: CpuKernel): string {
  switch (kernel.kind) {
    case "packedMatmul":
      return `${kernel.left.shape.slice(0, -1).join("×")}×${kernel.k}×${kernel.output.shape.at(-1)}`;
    case "longProduct":
      return `${rowsOfAll(kernel.lefts)}×${kernel.right.shape.join("×")}`;
    case "fused":
      return `${kernel.shape.join("×")}, ${kernel.operations.length} operations`;
    case "scan":
      return `${kernel.length} steps`;
    case "pack":
      return kernel.right.shape.join("×");
    case "reduce":
      return `${kernel.input.shape.join("×")} → ${kernel.output.shape.join("×") || "1"}`;
    default:
      return kernel.output.shape.join("×");
  }
}

function table(rows: readonly Row[], whole: number, ceiling: number): string[] {
  const line = (name: string, cells: readonly string[], shape: string) =>
    `${name.padEnd(46)}${cells.map((cell) => cell.padStart(11)).join("")}  ${shape}`.trimEnd();
  const sumOf = (some: readonly Row[]) => some.reduce((total, { milliseconds }) => total + milliseconds, 0);
  const isSmall = ({ milliseconds }: Row) => milliseconds < SMALL * whole;
  const small = rows.filter(isSmall);
  const body = rows.filter((row) => !isSmall(row)).map(
    ({ name, depth, calls, milliseconds, flops, shape }) => {
      const speed = flops * calls / milliseconds / 1e6;
      return line("  ".repeat(depth) + name, [
        calls.toString(),
        (1000 * milliseconds / calls).toFixed(1),
        milliseconds.toFixed(3),
        `${(100 * milliseconds / whole).toFixed(1)} %`,
        flops ? speed.toFixed(1) : "",
        flops ? `${(100 * speed / ceiling).toFixed(0)} %` : "",
      ], shape);
    },
  );
  const sum = sumOf(rows);
  const flops = rows.reduce((total, { flops, calls }) => total + flops * calls, 0);
  const speed = flops / whole / 1e6;
  return [
    line("kernel", ["calls", "µs a call", "ms a step", "of all", "GFLOP/s", "of ceiling"], "shape"),
    ...body,
    line(`${small.length} smaller kernels`, ["", "", sumOf(small).toFixed(3)], ""),
    line(
      "all kernels",
      ["", "", sum.toFixed(3), `${(100 * sum / whole).toFixed(1)} %`],
      "",
    ),
    line("the whole step", [
      "",
      "",
      whole.toFixed(3),
      "",
      speed.toFixed(1),
      `${(100 * speed / ceiling).toFixed(0)} %`,
    ], ""),
    line("128-bit multiply-adds in registers", ["", "", "", "", ceiling.toFixed(1), "100 %"], ""),
  ];
}
