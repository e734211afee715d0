/**
 * The shader module of an executable: a function for each kernel, and an entry point for each dispatch, which calls
 * one kernel with all invocations, a loop for the rows of each workgroup, or several small kernels with one workgroup.
 */
import { type Kernel, kernelName, type MatmulKernel, type ScanKernel } from "../../lowering/kernels.ts";
import { sizeOf } from "../../lowering/views.ts";
import type { Memory } from "./address.ts";
import { functionSources, SPECIAL } from "./functions.ts";
import { writeFused } from "./fused.ts";
import { writeGather, writeRandom, writeScatter } from "./indexing.ts";
import { itemsOf, type Tile, tileFor, writeMatmul } from "./matmul.ts";
import { writeArgmax, writeReduce } from "./reduce.ts";
import { FunctionWriter } from "./writer.ts";

/** Kernels of less work than this are done by one workgroup, one after the other: a dispatch costs more. */
const SMALL = 20_000;

/** What a dispatch does, and with how many workgroups. */
export interface Dispatch {
  readonly entryPoint: string;
  readonly workgroups: number;
  /** Kernels in order, each ready before the next begins. */
  readonly kernels: readonly Kernel[];
}

/** A module written. */
export interface Written {
  readonly code: string;
  readonly dispatches: readonly Dispatch[];
}

/** What the writing depends on. */
export interface ModuleOptions {
  readonly memory: Memory;
  /** Invocations of a workgroup. */
  readonly workgroupSize: number;
  /** How many workgroups fill the device: rows of a scan are shared out among as many. */
  readonly workgroups: number;
  /** Workgroups that a dispatch may have. */
  readonly mostWorkgroups: number;
  /** A line about where this comes from. */
  readonly title: string;
}

/** The units of work of a kernel, and the items that invocations can share out. */
function workOf(kernel: Kernel): { readonly units: number; readonly items: number; readonly cost: number } {
  const first = (shape: readonly number[]) => shape[0] ?? 1;
  switch (kernel.kind) {
    case "fused":
      return work(first(kernel.shape), sizeOf(kernel.shape));
    case "reduce":
      return work(first(kernel.output.shape), sizeOf(kernel.output.shape), sizeOf(kernel.input.shape));
    case "argmax":
      return work(first(kernel.output.shape), sizeOf(kernel.output.shape), sizeOf(kernel.input.shape));
    case "gather":
      return work(first(kernel.indices.shape), sizeOf(kernel.output.shape));
    case "scatterAdd":
      return work(1, sizeOf(kernel.output.shape.slice(1)), sizeOf(kernel.updates.shape));
    case "randomBits":
      return work(1, Math.ceil(sizeOf(kernel.output.shape) / 2));
    case "matmul": {
      const { shape } = kernel.output;
      const [m] = shape.slice(-2);
      const matrices = sizeOf(shape.slice(0, -2));
      return work(shape.length === 2 ? m : matrices, sizeOf(shape), sizeOf(shape) * kernel.k / 4);
    }
    case "scan":
      return work(Math.max(1, kernel.rows), 1);
    case "pack":
    case "longProduct":
      throw new Error(`The kernel ${kernel.kind} is of another backend`);
  }
}

function work(units: number, items: number, cost = items) {
  return { units, items, cost };
}

/** The tile of a product's invocations. */
function tileOf({ output }: MatmulKernel, invocations: number, rows: number): Tile {
  const [m, n] = output.shape.slice(-2);
  const matrices = sizeOf(output.shape.slice(0, -2));
  return tileFor(Math.min(m, rows), n, invocations / matrices);
}

function tilesOf({ output }: MatmulKernel, tile: Tile): number {
  const [m, n] = output.shape.slice(-2);
  return sizeOf(output.shape.slice(0, -2)) * itemsOf(m, n, tile);
}

/** Writes the module of these kernels. */
export function writeModule(kernels: readonly Kernel[], options: ModuleOptions): Written {
  const used = new Set<string>();
  const use = (name: string) => {
    used.add(name);
    return name;
  };
  const counts = new Map<string, number>();
  const functions: string[] = [];
  const nameOf = (kernel: Kernel): string => {
    const base = kernelName(kernel);
    const count = counts.get(base) ?? 0;
    counts.set(base, count + 1);
    return `${base}_${count}`;
  };
  /**
   * Writes a kernel's function and those that it calls; gives its name. `invocations` call it together, for `rows` rows
   * where it has more.
   */
  const write = (kernel: Kernel, depth: number, invocations: number, rows = Infinity): string => {
    const name = nameOf(kernel);
    const f = new FunctionWriter(use);
    const inner = kernel.kind === "scan"
      ? kernel.body.map((each) => ({ each, called: write(each, depth + 1, invocations, rows) }))
      : [];
    switch (kernel.kind) {
      case "fused":
        writeFused(f, kernel, options.memory);
        break;
      case "reduce":
        writeReduce(f, kernel, options.memory);
        break;
      case "argmax":
        writeArgmax(f, kernel, options.memory);
        break;
      case "gather":
        writeGather(f, kernel, options.memory);
        break;
      case "scatterAdd":
        writeScatter(f, kernel, options.memory);
        break;
      case "randomBits":
        writeRandom(f, kernel, options.memory);
        break;
      case "matmul":
        writeMatmul(f, kernel, tileOf(kernel, invocations, rows), options.memory);
        break;
      case "scan":
        writeScan(f, kernel, depth, inner);
        break;
      case "pack":
      case "longProduct":
        throw new Error(`The kernel ${kernel.kind} is of another backend`);
    }
    const loops = Array.from({ length: depth }, (_, loop) => `, t${loop}: i32`).join("");
    functions.push(`fn ${name}(begin: i32, end: i32, lane: i32, lanes: i32${loops}) {\n${f.text()}\n}`);
    return name;
  };

  const entryPoints: string[] = [];
  const dispatches: Dispatch[] = [];
  const size = options.workgroupSize;
  const add = (kernels: readonly Kernel[], workgroups: number, body: readonly string[]) => {
    const entryPoint = `dispatch_${dispatches.length}`;
    entryPoints.push(
      `@compute @workgroup_size(${size})\nfn ${entryPoint}(@builtin(workgroup_id) group: vec3<u32>, ` +
        `@builtin(local_invocation_index) local: u32) {\n${body.map((line) => `  ${line}`).join("\n")}\n}`,
    );
    dispatches.push({ entryPoint, workgroups, kernels });
  };
  let small: { kernel: Kernel; called: string }[] = [];
  const flush = () => {
    if (small.length === 0) return;
    const calls = small.flatMap(({ kernel, called }, index) => [
      ...(index > 0 ? ["storageBarrier();"] : []),
      `${called}(0, ${workOf(kernel).units}, i32(local), ${size});`,
    ]);
    add(small.map(({ kernel }) => kernel), 1, calls);
    small = [];
  };
  for (const kernel of kernels) {
    const { units, cost } = workOf(kernel);
    if (kernel.kind === "scan" && kernel.rows > 0) {
      flush();
      const rows = Math.ceil(units / options.workgroups);
      const called = write(kernel, 0, size, rows);
      const workgroups = Math.ceil(units / rows);
      add([kernel], workgroups, [
        `let first = i32(group.x) * ${rows};`,
        `${called}(first, min(first + ${rows}, ${units}), i32(local), ${size});`,
      ]);
    } else if (kernel.kind === "scan" || cost < SMALL) {
      small.push({ kernel, called: write(kernel, 0, size) });
    } else {
      flush();
      const all = options.workgroups * size;
      const called = write(kernel, 0, all);
      const items = kernel.kind === "matmul"
        ? tilesOf(kernel, tileOf(kernel, all, Infinity))
        : workOf(kernel).items;
      const workgroups = Math.max(1, Math.min(options.mostWorkgroups, Math.ceil(items / size)));
      add([kernel], workgroups, [
        `${called}(0, ${units}, i32(group.x * ${size}u + local), ${workgroups * size});`,
      ]);
    }
  }
  flush();
  const code = [
    `// ${options.title}`,
    "@group(0) @binding(0) var<storage, read_write> memory: array<u32>;",
    "@group(0) @binding(1) var<storage, read> slots: array<i32>;",
    SPECIAL,
    ...functionSources(used),
    ...functions,
    ...entryPoints,
  ].join("\n\n");
  return { code: `${code}\n`, dispatches };
}

/** The loop over time: every kernel of a step on the same rows, with a barrier of the workgroup after each. */
function writeScan(
  f: FunctionWriter,
  { length, reverse, rows }: ScanKernel,
  depth: number,
  inner: readonly { readonly each: Kernel; readonly called: string }[],
): void {
  const outer = Array.from({ length: depth }, (_, loop) => `, t${loop}`).join("");
  f.block(`for (var step = 0; step < ${length}; step++)`, () => {
    f.line(`let t${depth} = ${reverse ? `${length - 1} - step` : "step"};`);
    for (const { each, called } of inner) {
      const range = rows > 0 ? "begin, end" : `0, ${workOf(each).units}`;
      f.line(`${called}(${range}, lane, lanes${outer}, t${depth});`);
      f.line("storageBarrier();");
    }
  });
}
