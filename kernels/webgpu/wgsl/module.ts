/**
 * The shader module of a dispatch: a function for each of its kernels, and an entry point. What a dispatch does
 * has been decided before (`../dispatches.ts`); with how many workgroups is decided at each call.
 */
import { type Kernel, kernelName, printKernel, type ScanKernel } from "../../lowering/kernels.ts";
import type { Dim } from "../../../src/tensor/dims.ts";
import type { MatmulKernel } from "../../lowering/kinds/product.ts";
import type { ReduceKernel } from "../../lowering/kinds/reduction.ts";
import type { Buffer } from "../../lowering/views.ts";
import type { Locations, RowMemory } from "./address.ts";
import { barriersBetween } from "./barriers.ts";
import { functionSources, SPECIAL } from "./functions.ts";
import type { InvocationGroup, Site, Teams } from "./kind.ts";
import { writingOf } from "./kinds.ts";
import { teamMemory, writeGroupReduce } from "./reduce.ts";
import { moveRows, withRows } from "./scan.ts";
import { declareTable } from "./table.ts";
import { BLOCK_MEMORY, writeTiled } from "./tiled.ts";
import { FunctionWriter, type Need, zeroIn } from "./writer.ts";

/** What a dispatch does. */
export type Task = { readonly [K in keyof TaskKinds]: { readonly kind: K } & TaskKinds[K] }[keyof TaskKinds];

/** The task of a kind. */
export type TaskOf<K extends keyof TaskKinds> = TaskKinds[K];

interface TaskKinds {
  /** Kernels in order, run by one workgroup; each ends before the next begins. */
  readonly together: { readonly kernels: readonly Kernel[]; readonly group: InvocationGroup };
  /** A kernel whose items are divided among all invocations. */
  readonly spread: { readonly kernel: Kernel; readonly group: InvocationGroup };
  /** A product whose blocks are divided among the workgroups. */
  readonly blocks: { readonly kernel: MatmulKernel; readonly parts: readonly number[] };
  /** A reduction whose results are divided among the workgroups, each of which is one team. */
  readonly teams: { readonly kernel: ReduceKernel; readonly teams: Teams };
  /** A scan in which every workgroup owns rows. */
  readonly rows: {
    readonly scan: ScanKernel;
    /** The most rows of a workgroup. */
    readonly rows: number;
    readonly group: InvocationGroup;
    /**
     * What it keeps in workgroup memory, and which of those buffers it loads at the start and stores at the
     * end.
     */
    readonly local: RowMemory;
    readonly enter: ReadonlySet<Buffer>;
    readonly leave: ReadonlySet<Buffer>;
    /** Steps per dispatch, if there may be more: the dispatch is then repeated until all are done. */
    readonly steps?: number;
  };
}

/** Dispatches that are repeated for every step of a scan. */
export interface Repeat<Each> {
  readonly kind: "steps";
  readonly scan: ScanKernel;
  readonly dispatches: readonly Each[];
}

/** A written dispatch. */
export interface Written {
  readonly code: string;
  /** Whether its reductions combine the parts of invocations by subgroups. */
  readonly subgroups: boolean;
}

/** The entry point of every module. */
export const ENTRY_POINT = "main";

/** What the written code depends on. */
export interface ModuleOptions {
  readonly memory: Locations;
  /** Invocations of a workgroup. */
  readonly workgroupSize: number;
  /** Whether trip counts are hidden from the shader compiler, so that it does not unroll loops. */
  readonly hidesLoopBounds: boolean;
}

/** Whether a dispatch is repeated for every step of a scan. */
export function isRepeat<Each extends object>(each: Each | Repeat<Each>): each is Repeat<Each> {
  return "dispatches" in each;
}

/** A module in the making. */
interface Module {
  readonly options: ModuleOptions;
  /** The functions of `functions.ts` that are called. */
  readonly used: Set<string>;
  /** How many functions share a name, apart from their number. */
  readonly counts: Map<string, number>;
  readonly functions: string[];
  /** What must be declared. */
  readonly needs: Set<Need>;
}

/**
 * Writes the module of a dispatch; `depth` is 1 for the dispatches of a step, which read its index from
 * `stepIndex`.
 */
export function writeModule(task: Task, depth: 0 | 1, options: ModuleOptions): Written {
  const module: Module = { options, used: new Set(), counts: new Map(), functions: [], needs: new Set() };
  const lines = [...(depth > 0 ? ["let t0 = stepIndex.x;"] : []), ...linesOf(task, { module, depth })];
  const body = lines.join("\n").split("\n").map((line) => `  ${line}`).join("\n");
  const entryPoint = `@compute @workgroup_size(${options.workgroupSize})\n` +
    `fn ${ENTRY_POINT}(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, ` +
    `@builtin(local_invocation_index) lane: u32) {\n${options.memory.table.resolve(body)}\n}`;
  return { code: assemble(module, task, entryPoint), subgroups: module.needs.has("subgroups") };
}

/** The context in which the entry point of a dispatch is written. */
interface EntryPoint {
  readonly module: Module;
  /** How many loops enclose it; it passes their indices on. */
  readonly depth: 0 | 1;
}

/** The statements of every kind of dispatch. */
const tasks: { readonly [K in keyof TaskKinds]: (task: TaskKinds[K], into: EntryPoint) => string[] } = {
  together: ({ kernels, group }, into) => {
    const { memory: { table }, workgroupSize } = into.module.options;
    const needs = barriersBetween(kernels);
    return kernels.flatMap((kernel, index) => {
      const called = writeKernel(kernel, siteOf(into, group), into);
      return [
        ...(needs[index] ? ["storageBarrier();"] : []),
        `${called.name}(0, ${table.size(called.units)}, i32(lane), ${workgroupSize}${loopsOf(into)});`,
      ];
    });
  },
  spread: ({ kernel, group }, into) => {
    const { memory: { table }, workgroupSize } = into.module.options;
    const called = writeKernel(kernel, siteOf(into, group), into);
    const lane = `i32(group.x * ${workgroupSize}u + lane), i32(groups.x * ${workgroupSize}u)`;
    return [`${called.name}(0, ${table.size(called.units)}, ${lane}${loopsOf(into)});`];
  },
  blocks: ({ kernel, parts }, into) =>
    callGroups(kernel, into, (f, memory) => writeTiled(f, kernel, parts, memory)),
  teams: ({ kernel, teams }, into) =>
    callGroups(kernel, into, (f, memory) => writeGroupReduce(f, kernel, teams, memory)),
  rows: ({ scan, rows, group, local, enter, leave, steps }, into) => {
    const { memory, workgroupSize } = into.module.options;
    const called = writeKernel(scan, {
      ...siteOf(into, group),
      memory: withRows(memory, local),
      multiple: rows,
      mayOverrun: typeof scan.rows !== "number" || scan.rows % rows !== 0,
      local,
      steps,
    }, into);
    return [
      `let begin = i32(group.x) * ${rows};`,
      `let end = min(begin + ${rows}, ${memory.table.size(scan.rows)});`,
      ...moveRows(local, enter, memory, "enter", workgroupSize),
      `${called.name}(begin, end, i32(lane), ${workgroupSize});`,
      ...moveRows(local, leave, memory, "leave", workgroupSize),
    ];
  },
};

function linesOf<K extends keyof TaskKinds>(
  task: { readonly kind: K } & TaskKinds[K],
  into: EntryPoint,
): string[] {
  return tasks[task.kind](task, into);
}

/** A kernel outside of loops. */
function siteOf({ module, depth }: EntryPoint, group: InvocationGroup): Site {
  return {
    depth,
    memory: module.options.memory,
    group,
    local: { words: 0, places: new Map() },
    called: [],
  };
}

/** The indices of the loops around an entry point, as additional arguments. */
function loopsOf({ depth }: EntryPoint): string {
  return depth > 0 ? ", t0" : "";
}

/** Writes a kernel's function, and those of the kernels inside it; returns its name and units of work. */
function writeKernel(
  kernel: Kernel,
  site: Site,
  into: EntryPoint,
): { readonly name: string; readonly units: Dim } {
  const name = nameIn(into.module, kernel);
  const body = "body" in kernel ? kernel.body : [];
  const inside = { ...site, depth: site.depth + 1, steps: undefined };
  const called = body.map((each) => writeKernel(each, inside, into));
  const f = functionFor(into);
  const { write, units } = writingOf(kernel);
  write(f, kernel, { ...site, called });
  addFunction(into.module, name, "begin: i32, end: i32, lane: i32, lanes: i32", site.depth, f);
  return { name, units: units(kernel) };
}

/**
 * Writes a function `(group, groups, lane, …)` whose items are divided among the workgroups, and the call of
 * it.
 */
function callGroups(
  kernel: Kernel,
  into: EntryPoint,
  write: (f: FunctionWriter, memory: Locations) => void,
): string[] {
  const name = nameIn(into.module, kernel);
  const f = functionFor(into);
  write(f, into.module.options.memory);
  addFunction(into.module, name, "group: i32, groups: i32, lane: i32", into.depth, f);
  return [`${name}(i32(group.x), i32(groups.x), i32(lane)${loopsOf(into)});`];
}

function functionFor({ module: { used, options, needs } }: EntryPoint): FunctionWriter {
  const use = (name: string) => {
    used.add(name);
    return name;
  };
  return new FunctionWriter(use, (what) => needs.add(what), options.memory.table, options);
}

function nameIn({ counts }: Module, kernel: Kernel): string {
  const base = kernelName(kernel);
  const count = counts.get(base) ?? 0;
  counts.set(base, count + 1);
  return `${base}_${count}`;
}

function addFunction(
  { functions, options: { memory } }: Module,
  name: string,
  params: string,
  depth: number,
  f: FunctionWriter,
): void {
  const loops = Array.from({ length: depth }, (_, loop) => `, t${loop}: i32`).join("");
  const text = f.text();
  functions.push(
    `fn ${name}(${params}${loops}) {\n${zeroIn(text)}${memory.table.resolve(text)}\n}`,
  );
}

/** The text of the module: extensions and declarations, the functions that are called, and its own. */
function assemble({ options, used, functions, needs }: Module, task: Task, entryPoint: string): string {
  const own = [...functions, entryPoint].join("\n\n");
  const localWords = localWordsOf(task), hasHalves = /\bhalves\[/.test(own);
  const code = [
    `// ${kernelsOf(task).map((kernel) => printKernel(kernel)[0]).join("; ")}`,
    ...(hasHalves ? ["enable f16;"] : []),
    ...(needs.has("subgroups") ? ["enable subgroups;"] : []),
    "@group(0) @binding(0) var<storage, read_write> memory: array<u32>;",
    `// What may differ from call to call.\n@group(0) @binding(1) ${declareTable(own)}`,
    ...(/\bstepIndex\b/.test(own)
      ? ["// x is the index of the step.\n@group(0) @binding(2) var<uniform> stepIndex: vec4<i32>;"]
      : []),
    ...(hasHalves ? ["@group(0) @binding(3) var<storage, read_write> halves: array<f16>;"] : []),
    ...(localWords > 0 ? [`var<workgroup> rowMemory: array<u32, ${localWords}>;`] : []),
    ...(needs.has("blocks") ? [BLOCK_MEMORY] : []),
    ...(needs.has("teams") ? [teamMemory(options.workgroupSize)] : []),
    SPECIAL,
    ...functionSources(used),
    own,
  ].join("\n\n");
  return `${code}\n`;
}

/** Words of workgroup memory that a dispatch uses. */
export function localWordsOf(task: Task): number {
  return task.kind === "rows" ? task.local.words : 0;
}

/** The kernels of a dispatch. */
export function kernelsOf(task: Task): readonly Kernel[] {
  if (task.kind === "together") return task.kernels;
  return [task.kind === "rows" ? task.scan : task.kernel];
}
