/**
 * Where the time of a step goes: every kernel of the emitted module called by itself, on one thread, beside the
 * ceiling of 128-bit multiply-adds measured in the same run. Kernels are called again and again on the same memory,
 * so caches are warmer than in a step; their sum is set against the time of the whole.
 */
import {
  createTrainer,
  init,
  key,
  mapTree,
  type Spec,
  specOf,
  type Tensor,
  tensor,
  treeLeaves,
} from "@cellfold/cellfold";
import type { Kernel } from "../kernels/wasm/kernels.ts";
import type { Program } from "../src/program/types.ts";
import { host } from "../src/tensor/tensor.ts";
import { dataFor, lossOf, modelOf, nestedDataFor, nestedModel } from "./cellfold/models.ts";
import { MAXIMUM_PAGES, type Plan, planProgram } from "./cellfold/plan.ts";
import { multiplyAddCeiling } from "./support/ceiling.ts";
import { machineLine } from "./support/machine.ts";
import type { ModelTask, NestedTask } from "./support/tasks.ts";
import { smallTask } from "./support/tasks.ts";
import type { Workload } from "./workloads.ts";

/** A kernel, with the loops around it. */
interface Row {
  readonly name: string;
  readonly depth: number;
  /** How often a step calls it. */
  readonly calls: number;
  /** Microseconds of one call, the least of several. */
  readonly microseconds: number;
  readonly flops: number;
  readonly shape: string;
}

/** The emitted functions. */
type Emitted = (...params: number[]) => void;

/** Samples of which the least counts, and how long one takes at least. */
const SAMPLES = 15, SAMPLE_MILLISECONDS = 1;

const WARM_UP_MILLISECONDS = 10;

/** Kernels that take a lesser part of a step are not listed one by one. */
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
  const { program, inputs } = await programOf(task);
  const plan = planProgram(program, inputs.map(({ shape }) => shape.map(Number)), {
    threads: 1,
    exportKernels: true,
  });
  const functions = await load(plan, program, inputs);
  const whole = least(() => functions.run(0, 1));
  const rows = rowsOf(plan.kernels, plan, functions);
  return [
    machine,
    `${workload?.name}, one thread; least of ${SAMPLES} samples`,
    "",
    ...table(rows, whole, multiplyAddCeiling()),
    "",
    `${plan.emitted.bytes.length} bytes of module, ${plan.emitted.functions.length} functions, ` +
    `${plan.arena.bytes} bytes planned`,
  ].join("\n");
}

/** The optimised Program of a task, and its inputs. */
async function programOf(
  task: ModelTask | NestedTask,
): Promise<{ readonly program: Program; readonly inputs: readonly Tensor[] }> {
  const nested = task.kind === "nested";
  const data = nested ? nestedDataFor(task, 1) : dataFor(task, 1);
  const model = nested ? nestedModel(task) : modelOf(task);
  const variables = init(model, key(0), data.x);
  const objective = nested ? { loss: "mse", optimizer: "adam" } as const : lossOf(task);
  using trainer = createTrainer(model, objective);
  const [step, args] = task.kind === "predict"
    ? [await trainer.predictor(variables, data.x), [variables.params, variables.state, data.x]] as const
    : await (async () => {
      const session = trainer.session("fit", variables, data);
      return [await session.train(), [
        variables.params,
        variables.state,
        trainer.initOptimizer(variables),
        session.objective.initState(),
        key(0),
        tensor(0, { dtype: "int32" }),
        data,
      ]] as const;
    })();
  const specs = args.map((arg) => mapTree(arg, (leaf: Spec) => specOf(leaf)));
  return { program: step.program(...specs), inputs: treeLeaves<Tensor>(args) };
}

/** An instance of the module over memory that holds the inputs, with every kernel exported. */
async function load(
  { emitted, arena, addresses }: Plan,
  program: Program,
  inputs: readonly Tensor[],
): Promise<Readonly<Record<string, Emitted>>> {
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
  new Int32Array(memory.buffer, addresses.table, places.length).set(places);
  const write = (tensor: Tensor, address: number) => {
    const { data, dtype } = host(tensor);
    if (dtype === "float32") new Float32Array(memory.buffer, address, data.length).set(data);
    else new Int32Array(memory.buffer, address, data.length).set(data);
  };
  inputs.forEach((input, index) => write(input, places[index]));
  for (const buffer of arena.constants) {
    if (buffer.place.kind === "constant") {
      write(buffer.place.value, addresses.arena + (arena.offsets.get(buffer) ?? 0));
    }
  }
  const module = await WebAssembly.compile(emitted.bytes);
  // The module imports functions of Math by name; every one of them is a function of numbers.
  const math = Math as unknown as WebAssembly.ModuleImports;
  const { exports } = new WebAssembly.Instance(module, { env: { memory }, math });
  return exports as Record<string, Emitted>; // all of them are functions of i32
}

/** How many elements each output of the Program has. */
function outputSizes(program: Program, inputs: readonly Tensor[]): readonly number[] {
  // Whatever is not fixed is the batch, which is the first axis of the last input.
  const batch = Number(inputs[inputs.length - 1].shape[0]);
  return program.outputs.map(({ shape }) =>
    shape.reduce<number>((size, dim) => size * (typeof dim === "number" ? dim : batch), 1)
  );
}

/** The least milliseconds of one call. */
function least(call: () => void): number {
  const time = (calls: number) => {
    const start = performance.now();
    for (let i = 0; i < calls; i++) call();
    return performance.now() - start;
  };
  // The first calls are those in which the engine compiles the code for good.
  for (let spent = 0; spent < WARM_UP_MILLISECONDS;) spent += time(1);
  let calls = 1;
  while (time(calls) < SAMPLE_MILLISECONDS) calls *= 2;
  return Math.min(...Array.from({ length: SAMPLES }, () => time(calls) / calls));
}

/** Measures every kernel; those of a loop for all rows, in its first step. */
function rowsOf(
  kernels: readonly Kernel[],
  plan: Plan,
  functions: Readonly<Record<string, Emitted>>,
  depth = 0,
  calls = 1,
): Row[] {
  return kernels.flatMap((kernel) => {
    const known = plan.emitted.kernels.get(kernel);
    if (!known) throw new Error(`A ${kernel.kind} was not emitted`);
    const { name, units } = known;
    const loops = new Array<number>(depth).fill(0);
    const milliseconds = least(() => functions[name](0, units, ...loops));
    const row: Row = {
      name,
      depth,
      calls,
      microseconds: milliseconds * 1000,
      flops: flopsOf(kernel),
      shape: shapeOf(kernel),
    };
    if (kernel.kind !== "scan") return [row];
    return [row, ...rowsOf(kernel.body, plan, functions, depth + 1, calls * kernel.length)];
  });
}

function product(shape: readonly number[]): number {
  return shape.reduce((size, dim) => size * dim, 1);
}

/** Multiplications and additions of a product; others have too few to count. */
function flopsOf(kernel: Kernel): number {
  return kernel.kind === "matmul" ? 2 * kernel.k * product(kernel.output.shape) : 0;
}

function shapeOf(kernel: Kernel): string {
  switch (kernel.kind) {
    case "matmul":
      return `${kernel.left.shape.slice(0, -1).join("×")}×${kernel.k}×${kernel.output.shape.at(-1)}`;
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

/** Milliseconds of a step in these kernels. */
function millisecondsOf(rows: readonly Row[]): number {
  return rows.reduce((total, { microseconds, calls }) => total + microseconds * calls / 1000, 0);
}

function table(rows: readonly Row[], whole: number, ceiling: number): string[] {
  const line = (name: string, cells: readonly string[], shape: string) =>
    `${name.padEnd(46)}${cells.map((cell) => cell.padStart(11)).join("")}  ${shape}`.trimEnd();
  const isSmall = ({ calls, microseconds }: Row) => microseconds * calls / 1000 < SMALL * whole;
  const small = rows.filter(isSmall);
  const body = rows.filter((row) => !isSmall(row)).map(
    ({ name, depth, calls, microseconds, flops, shape }) => {
      const total = microseconds * calls;
      const speed = flops / microseconds / 1000;
      return line("  ".repeat(depth) + name, [
        calls.toString(),
        microseconds.toFixed(1),
        (total / 1000).toFixed(3),
        `${(100 * total / 1000 / whole).toFixed(1)} %`,
        flops ? speed.toFixed(1) : "",
        flops ? `${(100 * speed / ceiling).toFixed(0)} %` : "",
      ], shape);
    },
  );
  const sum = millisecondsOf(rows.filter(({ depth }) => depth === 0));
  const flops = rows.reduce((total, { flops, calls }) => total + flops * calls, 0);
  const speed = flops / whole / 1e6;
  return [
    line("kernel", ["calls", "µs a call", "ms a step", "of all", "GFLOP/s", "of ceiling"], "shape"),
    ...body,
    line(`${small.length} smaller kernels`, ["", "", millisecondsOf(small).toFixed(3)], ""),
    line(
      "all kernels of the outer level",
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
