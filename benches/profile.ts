/**
 * Where the time of a step goes, by kernel, on one thread, on wasm or native. On wasm it is compared with the
 * ceiling of 128-bit multiply-adds, measured in the same run.
 */
import { sizesAt } from "../kernels/lowering/kinds/kind.ts";
import { type CpuKernel, rowsOfAll } from "../kernels/cpu/kernels.ts";
import type { Bindings } from "../src/tensor/dims.ts";
import { flopsOf, programOf } from "./cellfold/program.ts";
import { multiplyAddCeiling } from "./support/ceiling.ts";
import { machineLine } from "./support/machine.ts";
import { median } from "./support/statistics.ts";
import { smallTask } from "./support/tasks.ts";
import { wasmStep } from "./wasm_step.ts";
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

/** A Program whose steps can be run on one thread, and timed by kernel. */
export interface ProfiledStep extends Disposable {
  readonly kernels: readonly CpuKernel[];
  /** The name of the function of each kernel. */
  readonly names: ReadonlyMap<CpuKernel, string>;
  readonly bindings: Bindings;
  readonly run: () => void;
  /** Runs a step; returns milliseconds of each kernel, in the order of the names. */
  readonly runTimed: () => readonly number[];
  /** A line about the code. */
  readonly summary: string;
}

/** How many steps are measured, after this many milliseconds of warm-up, in which the engine compiles. */
const STEPS = 100, WARM_UP_MILLISECONDS = 300;

/** Kernels that take a smaller part of a step than this are not listed individually. */
const SMALL = 0.002;

/**
 * The table of a workload that trains or predicts.
 *
 * @throws RangeError for another workload.
 */
export async function profile(
  workload: Workload | undefined,
  { small, device }: { readonly small: boolean; readonly device?: string },
): Promise<string> {
  const task = workload && (small ? smallTask(workload.task) : workload.task);
  if (!task || (task.kind !== "train" && task.kind !== "predict" && task.kind !== "nested")) {
    throw new RangeError(`Cannot profile ${workload?.name}: expected a workload that trains or predicts`);
  }
  const machine = await machineLine();
  const { program, inputs, given } = programOf(task);
  using step = device === "native"
    ? await (await import("./native_step.ts")).nativeStep(program, inputs, {
      given,
      keep: task.kind !== "predict",
    })
    : await wasmStep(program, inputs);
  const { whole, kernels } = measure(step);
  const times = new Map([...step.names.keys()].map((kernel, index) => [kernel, kernels[index]]));
  const rows = rowsOf(step.kernels, step, times);
  return [
    machine,
    `${workload?.name}, one thread; medians of ${STEPS} steps`,
    "",
    ...table(rows, whole, device === "native" ? undefined : multiplyAddCeiling()),
    "",
    step.summary,
  ].join("\n");
}

/** Milliseconds of a step and of each kernel in it, without the cost of reading the clock. */
function measure(
  { run, runTimed, names }: ProfiledStep,
): { readonly whole: number; readonly kernels: readonly number[] } {
  for (const start = performance.now(); performance.now() - start < WARM_UP_MILLISECONDS;) run();
  const wholes: number[] = [];
  const kernels = Array.from(names, (): number[] => []);
  for (let round = 0; round < STEPS; round++) {
    const start = performance.now();
    run();
    wholes.push(performance.now() - start);
    runTimed().forEach((time, kernel) => kernels[kernel].push(time));
  }
  return { whole: median(wholes), kernels: kernels.map(median) };
}

/** A row for every kernel. */
function rowsOf(
  kernels: readonly CpuKernel[],
  step: ProfiledStep,
  times: ReadonlyMap<CpuKernel, number>,
  depth = 0,
  calls = 1,
): Row[] {
  return kernels.flatMap((kernel) => {
    const name = step.names.get(kernel), milliseconds = times.get(kernel);
    if (name === undefined || milliseconds === undefined) {
      throw new Error(`A ${kernel.kind} was not emitted`);
    }
    const sizes = sizesAt(step.bindings);
    const row: Row = {
      name,
      depth,
      calls,
      milliseconds,
      flops: flopsOf(kernel, sizes),
      shape: shapeOf(kernel),
    };
    if (kernel.kind !== "scan") return [row];
    return [row, ...rowsOf(kernel.body, step, times, depth + 1, calls * sizes.of(kernel.length))];
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

function table(rows: readonly Row[], whole: number, ceiling: number | undefined): string[] {
  const ofCeiling = (speed: number) => ceiling === undefined ? "" : `${(100 * speed / ceiling).toFixed(0)} %`;
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
        flops ? ofCeiling(speed) : "",
      ], shape);
    },
  );
  const sum = sumOf(rows);
  const flops = rows.reduce((total, { flops, calls }) => total + flops * calls, 0);
  const speed = flops / whole / 1e6;
  return [
    line(
      "kernel",
      ["calls", "µs a call", "ms a step", "of all", "GFLOP/s", ceiling ? "of ceiling" : ""],
      "shape",
    ),
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
      ofCeiling(speed),
    ], ""),
    ...ceiling
      ? [line("128-bit multiply-adds in registers", ["", "", "", "", ceiling.toFixed(1), "100 %"], "")]
      : [],
  ];
}
