/**
 * The shader module of an executable: a function for each kernel, and an entry point for each dispatch of its schedule
 * (`../schedule.ts`).
 */
import {
  buffersOf,
  type Kernel,
  kernelName,
  type MatmulKernel,
  printKernel,
  type ReduceKernel,
  type ScanKernel,
} from "../../lowering/kernels.ts";
import { sizeOf } from "../../lowering/views.ts";
import { type Callers, groupIterations, iterationsOf, teamsFor, tileOf } from "../iterations.ts";
import { planRowMemory, type RowMemory } from "../row_memory.ts";
import {
  type DeviceShape,
  type PlannedDispatch,
  planSteps,
  rowsPerWorkgroup,
  togetherOf,
  workgroupOf,
  workOf,
} from "../schedule.ts";
import { declareSlots, type Memory, slotsIn } from "./address.ts";
import { barriersBetween } from "./barriers.ts";
import { functionSources, SPECIAL } from "./functions.ts";
import { writeFused } from "./fused.ts";
import { writeGather, writeRandom, writeScatter } from "./indexing.ts";
import { itemsOf, type Tile, writeMatmul } from "./matmul.ts";
import {
  isLongReduction,
  teamMemory,
  type Teams,
  teamsOf,
  writeArgmax,
  writeGroupReduce,
  writeReduce,
  writeTeamReduce,
} from "./reduce.ts";
import { moveRows, withRows, writeScan } from "./scan.ts";
import { BLOCK_MEMORY, blocksOf, isLarge, writeTiled } from "./tiled.ts";
import { FunctionWriter, zeroIn } from "./writer.ts";

/** What a dispatch does, and with how many workgroups. */
export interface Dispatch {
  readonly kind: PlannedDispatch["kind"];
  readonly entryPoint: string;
  readonly workgroups: number;
  readonly kernels: readonly Kernel[];
  /** Words of the workgroup's memory that it uses. */
  readonly localWords: number;
  /** Whether reductions in it combine what invocations have by subgroups. */
  readonly subgroups: boolean;
  /** Steps of a scan that it does at once, where it is done again until all are. */
  readonly steps?: number;
}

/** Dispatches that are done again for every step of a scan. */
export interface Repeat {
  readonly kind: "steps";
  readonly scan: ScanKernel;
  readonly dispatches: readonly Dispatch[];
}

/** A module written. */
export interface Written {
  readonly code: string;
  readonly dispatches: readonly (Dispatch | Repeat)[];
}

/** What the writing depends on. */
export interface ModuleOptions {
  readonly memory: Memory;
  /** How many inputs and outputs have slots. */
  readonly slots: number;
  readonly device: DeviceShape;
  /** Bytes of memory that a workgroup has: `maxComputeWorkgroupStorageSize`. */
  readonly workgroupBytes: number;
  /** Whether some buffers lie in `halves`. */
  readonly halves: boolean;
  /** A line about where this comes from. */
  readonly title: string;
}

/** How many indices of steps a dispatch needs; undefined if it is done once. */
export function stepsOf(each: Dispatch | Repeat): number | undefined {
  if (each.kind === "steps") return each.scan.length;
  const [scan] = each.kernels;
  return each.steps !== undefined && scan.kind === "scan" ? scan.length : undefined;
}

function tilesOf({ output }: MatmulKernel, tile: Tile): number {
  const [m, n] = output.shape.slice(-2);
  return sizeOf(output.shape.slice(0, -2)) * itemsOf(m, n, tile);
}

/** What the function of a kernel is written for. */
interface Place {
  /** How many loops over time are around it. */
  readonly depth: number;
  readonly memory: Memory;
  readonly callers: Callers;
  /** What divides the number of rows that it is called for; absent where it is called for all. */
  readonly multiple?: number;
  /** What is kept in the workgroup's memory. */
  readonly local: RowMemory;
  /** Steps of the scan that are done at once; all where absent. */
  readonly steps?: number;
}

const NONE: RowMemory = { words: 0, places: new Map() };

/** Writes the module of these kernels. */
export function writeModule(kernels: readonly Kernel[], options: ModuleOptions): Written {
  const { device } = options;
  const size = device.workgroupSize;
  const used = new Set<string>();
  const use = (name: string) => {
    used.add(name);
    return name;
  };
  const counts = new Map<string, number>();
  const functions: string[] = [];
  let hasBlocks = false, hasTeams = false, mostLocal = 0;
  /** Whether teams use subgroups in all dispatches so far, and in the one that is being written. */
  let hasSubgroups = false, usesSubgroups = false;
  /** Notes that teams are used. */
  const withTeams = (teams: Teams): Teams => {
    hasTeams = true;
    usesSubgroups ||= teams.subgroups;
    return teams;
  };
  const newFunction = () => new FunctionWriter(use, device);
  const nameOf = (kernel: Kernel): string => {
    const base = kernelName(kernel);
    const count = counts.get(base) ?? 0;
    counts.set(base, count + 1);
    return `${base}_${count}`;
  };
  const add = (name: string, params: string, depth: number, f: FunctionWriter) => {
    const loops = Array.from({ length: depth }, (_, loop) => `, t${loop}: i32`).join("");
    const text = f.text();
    functions.push(`fn ${name}(${params}${loops}) {\n${slotsIn(text)}${zeroIn(text)}${text}\n}`);
  };
  /** Writes a kernel's function and those that it calls; gives its name. */
  const write = (kernel: Kernel, place: Place): string => {
    const name = nameOf(kernel);
    const { depth, memory, callers } = place;
    const f = newFunction();
    switch (kernel.kind) {
      case "fused":
        writeFused(f, kernel, memory);
        break;
      case "reduce": {
        const teams = teamsFor(kernel, callers);
        if (teams.size > 1) writeTeamReduce(f, kernel, withTeams(teams), memory);
        else writeReduce(f, kernel, memory);
        break;
      }
      case "argmax":
        writeArgmax(f, kernel, memory);
        break;
      case "gather":
        writeGather(f, kernel, memory);
        break;
      case "scatterAdd":
        writeScatter(f, kernel, memory);
        break;
      case "randomBits":
        writeRandom(f, kernel, memory);
        break;
      case "matmul":
        writeMatmul(f, kernel, tileOf(kernel, callers), place.multiple ?? kernel.output.shape[0], memory);
        break;
      case "scan":
        writeScan(
          f,
          kernel,
          place,
          kernel.body.map((each) => write(each, { ...place, depth: depth + 1, steps: undefined })),
        );
        break;
    }
    add(name, "begin: i32, end: i32, lane: i32, lanes: i32", depth, f);
    return name;
  };

  /** The statements of an entry point, with how many workgroups it runs, and words of their memory that it uses. */
  interface Body {
    readonly lines: readonly string[];
    readonly workgroups: number;
    readonly localWords: number;
  }
  const placeAt = (depth: number, callers: Callers): Place => ({
    depth,
    memory: options.memory,
    callers,
    local: NONE,
  });
  const loopsAt = (depth: number) => (depth > 0 ? ", t0" : "");

  const together = (kernels: readonly Kernel[], depth: number): Body => {
    const needs = barriersBetween(kernels, options.memory);
    const lines = kernels.flatMap((kernel, index) => {
      const called = write(kernel, placeAt(depth, togetherOf(device)));
      return [
        ...(needs[index] ? ["storageBarrier();"] : []),
        `${called}(0, ${workOf(kernel).units}, i32(lane), ${size}${loopsAt(depth)});`,
      ];
    });
    return { lines, workgroups: 1, localWords: 0 };
  };
  const checkIterations = (kernel: Kernel, iterations: number) => {
    if (iterations <= device.mostIterations) return;
    throw new RangeError(
      `Cannot compile ${
        printKernel(kernel)
      } for this adapter: an invocation would go round loops ${iterations} ` +
        `times, and it ends them after ${device.mostIterations}; use the device wasm`,
    );
  };
  const spread = (kernel: Kernel, depth: number): Body => {
    if (kernel.kind === "matmul" && device.blocks && isLarge(kernel)) return inBlocks(kernel, depth);
    if (kernel.kind === "reduce" && isLongReduction(kernel, size, device.teamElements)) {
      return byGroups(kernel, depth);
    }
    const all = device.workgroups * size;
    const callers = { ...workgroupOf(device, Infinity), invocations: all };
    const items = kernel.kind === "matmul" ? tilesOf(kernel, tileOf(kernel, callers)) : workOf(kernel).items;
    const workgroups = Math.max(1, Math.min(device.mostWorkgroups, Math.ceil(items / size)));
    const iterations = iterationsOf(kernel, { ...callers, invocations: Math.max(all, workgroups * size) });
    checkIterations(kernel, iterations);
    const called = write(kernel, placeAt(depth, callers));
    const lane = `i32(group.x * ${size}u + lane), ${workgroups * size}`;
    return {
      lines: [`${called}(0, ${workOf(kernel).units}, ${lane}${loopsAt(depth)});`],
      workgroups,
      localWords: 0,
    };
  };
  const inBlocks = (kernel: MatmulKernel, depth: number): Body => {
    hasBlocks = true;
    const workgroups = Math.min(device.mostWorkgroups, blocksOf(kernel));
    const name = nameOf(kernel);
    const f = newFunction();
    writeTiled(f, kernel, options.memory);
    add(name, "group: i32, groups: i32, lane: i32", depth, f);
    return {
      lines: [`${name}(i32(group.x), ${workgroups}, i32(lane)${loopsAt(depth)});`],
      workgroups,
      localWords: 0,
    };
  };
  const byGroups = (kernel: ReduceKernel, depth: number): Body => {
    const outputs = sizeOf(kernel.output.shape);
    const workgroups = Math.max(1, Math.min(device.mostWorkgroups, outputs));
    checkIterations(kernel, groupIterations(kernel, size, Math.ceil(outputs / workgroups)));
    const name = nameOf(kernel);
    const f = newFunction();
    writeGroupReduce(f, kernel, withTeams(teamsOf(size, 1, device)), options.memory);
    add(name, "group: i32, groups: i32, lane: i32", depth, f);
    return {
      lines: [`${name}(i32(group.x), ${workgroups}, i32(lane)${loopsAt(depth)});`],
      workgroups,
      localWords: 0,
    };
  };
  const byRows = (scan: ScanKernel, steps: number | undefined): Body => {
    const at = kernels.indexOf(scan);
    const before = new Set(kernels.slice(0, at).flatMap(buffersOf));
    const after = new Set(kernels.slice(at + 1).flatMap(buffersOf));
    const rows = rowsPerWorkgroup(scan, device);
    const local = planRowMemory(scan, {
      rows,
      // Teams of a reduction in the scan have their parts there too.
      bytes: options.workgroupBytes - 4 * size,
      elsewhere: (buffer) => options.memory.locationOf(buffer).in !== "memory",
    });
    mostLocal = Math.max(mostLocal, local.words);
    // What is left of steps that were done before is there too.
    if (steps !== undefined) {
      for (const buffer of local.places.keys()) {
        before.add(buffer);
        after.add(buffer);
      }
    }
    const called = write(scan, {
      ...placeAt(0, workgroupOf(device, rows)),
      memory: withRows(options.memory, local),
      multiple: scan.rows % rows === 0 ? rows : 1,
      local,
      steps,
    });
    return {
      lines: [
        `let begin = i32(group.x) * ${rows};`,
        `let end = min(begin + ${rows}, ${scan.rows});`,
        ...moveRows(local, before, options.memory, "enter", size),
        `${called}(begin, end, i32(lane), ${size});`,
        ...moveRows(local, after, options.memory, "leave", size),
      ],
      workgroups: Math.ceil(scan.rows / rows),
      localWords: local.words,
    };
  };

  const entryPoints: string[] = [];
  /** Writes an entry point; `depth` is 1 for the dispatches of a step, which find its index in `stepIndex`. */
  const dispatch = ({ kind, kernels, steps }: PlannedDispatch, depth: number): Dispatch => {
    const [first] = kernels;
    usesSubgroups = false;
    const { lines, workgroups, localWords } = kind === "together"
      ? together(kernels, depth)
      : kind === "rows" && first.kind === "scan"
      ? byRows(first, steps)
      : spread(first, depth);
    const entryPoint = `dispatch_${entryPoints.length}`;
    const body = [...(depth > 0 ? ["let t0 = stepIndex.x;"] : []), ...lines].join("\n").split("\n");
    entryPoints.push(
      `@compute @workgroup_size(${size})\nfn ${entryPoint}(@builtin(workgroup_id) group: vec3<u32>, ` +
        `@builtin(local_invocation_index) lane: u32) {\n${body.map((line) => `  ${line}`).join("\n")}\n}`,
    );
    hasSubgroups ||= usesSubgroups;
    return {
      kind,
      entryPoint,
      workgroups,
      kernels,
      localWords,
      subgroups: usesSubgroups,
      ...(steps !== undefined && { steps }),
    };
  };

  const dispatches = planSteps(kernels, device).map((planned): Dispatch | Repeat =>
    planned.kind === "steps"
      ? { ...planned, dispatches: planned.dispatches.map((each) => dispatch(each, 1)) }
      : dispatch(planned, 0)
  );
  const repeats = dispatches.some((each) => each.kind === "steps" || each.steps !== undefined);
  const code = [
    `// ${options.title}`,
    ...(options.halves ? ["enable f16;"] : []),
    ...(hasSubgroups ? ["enable subgroups;"] : []),
    "@group(0) @binding(0) var<storage, read_write> memory: array<u32>;",
    `// Where inputs and outputs begin.\n@group(0) @binding(1) ${declareSlots(options.slots)}`,
    ...(repeats
      ? ["// x is the index of the step.\n@group(0) @binding(2) var<uniform> stepIndex: vec4<i32>;"]
      : []),
    ...(options.halves ? ["@group(0) @binding(3) var<storage, read_write> halves: array<f16>;"] : []),
    ...(mostLocal > 0 ? [`var<workgroup> rowMemory: array<u32, ${mostLocal}>;`] : []),
    ...(hasBlocks ? [BLOCK_MEMORY] : []),
    ...(hasTeams ? [teamMemory(size)] : []),
    SPECIAL,
    ...functionSources(used),
    ...functions,
    ...entryPoints,
  ].join("\n\n");
  return { code: `${code}\n`, dispatches };
}
