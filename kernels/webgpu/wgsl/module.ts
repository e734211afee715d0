/**
 * The shader module of an executable: a function for each kernel, and an entry point for each dispatch. What
 * a dispatch does, and with how many workgroups, has been decided before (`../dispatches.ts`).
 */
import { type Kernel, kernelName, type ScanKernel, workOf } from "../../lowering/kernels.ts";
import type { MatmulKernel } from "../../lowering/kinds/product.ts";
import type { ReduceKernel } from "../../lowering/kinds/reduction.ts";
import type { Buffer } from "../../lowering/views.ts";
import { declareSlots, type Locations, type RowMemory, slotsIn } from "./address.ts";
import { barriersBetween } from "./barriers.ts";
import { functionSources, SPECIAL } from "./functions.ts";
import type { InvocationGroup, Site, Teams } from "./kind.ts";
import { writingOf } from "./kinds.ts";
import { teamMemory, writeGroupReduce } from "./reduce.ts";
import { moveRows, withRows } from "./scan.ts";
import { BLOCK_MEMORY, writeTiled } from "./tiled.ts";
import { FunctionWriter, type Need, zeroIn } from "./writer.ts";

/** What a dispatch does. */
export type Task = { readonly [K in keyof TaskKinds]: { readonly kind: K } & TaskKinds[K] }[keyof TaskKinds];

interface TaskKinds {
  /** Kernels in order, run by one workgroup; each ends before the next begins. */
  readonly together: { readonly kernels: readonly Kernel[]; readonly group: InvocationGroup };
  /** A kernel whose items are divided among all invocations. */
  readonly spread: { readonly kernel: Kernel; readonly group: InvocationGroup; readonly workgroups: number };
  /** A product whose blocks are divided among the workgroups. */
  readonly blocks: { readonly kernel: MatmulKernel; readonly workgroups: number };
  /** A reduction whose results are divided among the workgroups, each of which is one team. */
  readonly teams: { readonly kernel: ReduceKernel; readonly teams: Teams; readonly workgroups: number };
  /** A scan in which every workgroup owns rows. */
  readonly rows: {
    readonly scan: ScanKernel;
    /** The most rows of a workgroup. */
    readonly rows: number;
    readonly group: InvocationGroup;
    readonly workgroups: number;
    /**
     * What it keeps in workgroup memory, and which of those buffers it loads at the start and stores at the
     * end.
     */
    readonly local: RowMemory;
    readonly enter: ReadonlySet<Buffer>;
    readonly leave: ReadonlySet<Buffer>;
    /** Steps per dispatch, if fewer than all: the dispatch is then repeated until all are done. */
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
export interface Dispatch {
  readonly task: Task;
  readonly entryPoint: string;
  readonly workgroups: number;
  /** Whether its reductions combine the parts of invocations by subgroups. */
  readonly subgroups: boolean;
}

/** A written module. */
export interface Written {
  readonly code: string;
  readonly dispatches: readonly (Dispatch | Repeat<Dispatch>)[];
}

/** What the written code depends on. */
export interface ModuleOptions {
  readonly locations: Locations;
  /** How many inputs and outputs have slots. */
  readonly slots: number;
  /** Invocations of a workgroup. */
  readonly workgroupSize: number;
  /** Whether trip counts are hidden from the shader compiler, so that it does not unroll loops. */
  readonly hidesLoopBounds: boolean;
  /** Whether some buffers lie in `halves`. */
  readonly halves: boolean;
  /** A line that says where the code comes from. */
  readonly title: string;
}

/** Whether a dispatch is repeated for every step of a scan. */
export function isRepeat<Each extends object>(each: Each | Repeat<Each>): each is Repeat<Each> {
  return "dispatches" in each;
}

/** Writes the module of these dispatches. */
export function writeModule(
  tasks: readonly (Task | Repeat<Task>)[],
  options: ModuleOptions,
): Written {
  const module: Module = { options, used: new Set(), counts: new Map(), functions: [], entryPoints: [] };
  const dispatches = tasks.map((task): Dispatch | Repeat<Dispatch> =>
    isRepeat(task)
      ? { ...task, dispatches: task.dispatches.map((each) => writeDispatch(module, each, 1)) }
      : writeDispatch(module, task, 0)
  );
  return { code: assemble(module, dispatches), dispatches };
}

/** A module in the making. */
interface Module {
  readonly options: ModuleOptions;
  /** The functions of `functions.ts` that are called. */
  readonly used: Set<string>;
  /** How many functions share a name, apart from their number. */
  readonly counts: Map<string, number>;
  readonly functions: string[];
  readonly entryPoints: { readonly text: string; readonly needs: ReadonlySet<Need> }[];
}

/**
 * Writes an entry point; `depth` is 1 for the dispatches of a step, which read its index from `stepIndex`.
 */
function writeDispatch(module: Module, task: Task, depth: 0 | 1): Dispatch {
  const { workgroupSize } = module.options;
  const needs = new Set<Need>();
  const lines = [
    ...(depth > 0 ? ["let t0 = stepIndex.x;"] : []),
    ...linesOf(task, { module, depth, needs }),
  ];
  const entryPoint = `dispatch_${module.entryPoints.length}`;
  const body = lines.join("\n").split("\n").map((line) => `  ${line}`).join("\n");
  const text = `@compute @workgroup_size(${workgroupSize})\n` +
    `fn ${entryPoint}(@builtin(workgroup_id) group: vec3<u32>, ` +
    `@builtin(local_invocation_index) lane: u32) {\n${body}\n}`;
  module.entryPoints.push({ text, needs });
  const workgroups = "workgroups" in task ? task.workgroups : 1;
  return { task, entryPoint, workgroups, subgroups: needs.has("subgroups") };
}

/** The context in which the entry point of a dispatch is written. */
interface EntryPoint {
  readonly module: Module;
  /** How many loops enclose it; it passes their indices on. */
  readonly depth: 0 | 1;
  /** Records what the module must declare for it. */
  readonly needs: Set<Need>;
}

/** The statements of every kind of dispatch. */
const tasks: { readonly [K in keyof TaskKinds]: (task: TaskKinds[K], into: EntryPoint) => string[] } = {
  together: ({ kernels, group }, into) => {
    const { locations, workgroupSize } = into.module.options;
    const needs = barriersBetween(kernels, locations);
    return kernels.flatMap((kernel, index) => {
      const called = writeKernel(kernel, siteOf(into, group), into);
      return [
        ...(needs[index] ? ["storageBarrier();"] : []),
        `${called}(0, ${workOf(kernel).units}, i32(lane), ${workgroupSize}${loopsOf(into)});`,
      ];
    });
  },
  spread: ({ kernel, group, workgroups }, into) => {
    const { workgroupSize } = into.module.options;
    const called = writeKernel(kernel, siteOf(into, group), into);
    const lane = `i32(group.x * ${workgroupSize}u + lane), ${workgroups * workgroupSize}`;
    return [`${called}(0, ${workOf(kernel).units}, ${lane}${loopsOf(into)});`];
  },
  blocks: ({ kernel, workgroups }, into) =>
    callGroups(kernel, workgroups, into, (f, locations) => writeTiled(f, kernel, locations)),
  teams: ({ kernel, teams, workgroups }, into) =>
    callGroups(kernel, workgroups, into, (f, locations) => writeGroupReduce(f, kernel, teams, locations)),
  rows: ({ scan, rows, group, local, enter, leave, steps }, into) => {
    const { locations, workgroupSize } = into.module.options;
    const called = writeKernel(scan, {
      ...siteOf(into, group),
      locations: withRows(locations, local),
      multiple: scan.rows % rows === 0 ? rows : 1,
      local,
      steps,
    }, into);
    return [
      `let begin = i32(group.x) * ${rows};`,
      `let end = min(begin + ${rows}, ${scan.rows});`,
      ...moveRows(local, enter, locations, "enter", workgroupSize),
      `${called}(begin, end, i32(lane), ${workgroupSize});`,
      ...moveRows(local, leave, locations, "leave", workgroupSize),
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
    locations: module.options.locations,
    group,
    local: { words: 0, places: new Map() },
    called: [],
  };
}

/** The indices of the loops around an entry point, as additional arguments. */
function loopsOf({ depth }: EntryPoint): string {
  return depth > 0 ? ", t0" : "";
}

/** Writes a kernel's function, and those of the kernels inside it; returns its name. */
function writeKernel(kernel: Kernel, site: Site, into: EntryPoint): string {
  const name = nameIn(into.module, kernel);
  const body = "body" in kernel ? kernel.body : [];
  const inside = { ...site, depth: site.depth + 1, steps: undefined };
  const called = body.map((each) => writeKernel(each, inside, into));
  const f = functionFor(into);
  writingOf(kernel).write(f, kernel, { ...site, called });
  addFunction(into.module, name, "begin: i32, end: i32, lane: i32, lanes: i32", site.depth, f);
  return name;
}

/**
 * Writes a function `(group, groups, lane, …)` whose items are divided among the workgroups, and the call of
 * it.
 */
function callGroups(
  kernel: Kernel,
  workgroups: number,
  into: EntryPoint,
  write: (f: FunctionWriter, locations: Locations) => void,
): string[] {
  const name = nameIn(into.module, kernel);
  const f = functionFor(into);
  write(f, into.module.options.locations);
  addFunction(into.module, name, "group: i32, groups: i32, lane: i32", into.depth, f);
  return [`${name}(i32(group.x), ${workgroups}, i32(lane)${loopsOf(into)});`];
}

function functionFor({ module: { used, options }, needs }: EntryPoint): FunctionWriter {
  const use = (name: string) => {
    used.add(name);
    return name;
  };
  return new FunctionWriter(use, (what) => needs.add(what), options);
}

function nameIn({ counts }: Module, kernel: Kernel): string {
  const base = kernelName(kernel);
  const count = counts.get(base) ?? 0;
  counts.set(base, count + 1);
  return `${base}_${count}`;
}

function addFunction(
  { functions }: Module,
  name: string,
  params: string,
  depth: number,
  f: FunctionWriter,
): void {
  const loops = Array.from({ length: depth }, (_, loop) => `, t${loop}: i32`).join("");
  const text = f.text();
  functions.push(`fn ${name}(${params}${loops}) {\n${slotsIn(text)}${zeroIn(text)}${text}\n}`);
}

/** The text of the module: extensions and declarations, the functions that are called, and its own. */
function assemble(
  { options: { title, halves, slots, workgroupSize }, used, functions, entryPoints }: Module,
  dispatches: readonly (Dispatch | Repeat<Dispatch>)[],
): string {
  const needs = (what: Need) => entryPoints.some((each) => each.needs.has(what));
  const hasSteps = dispatches.some((each) => stepsOf(each) !== undefined);
  const localWords = Math.max(0, ...dispatches.map((each) => isRepeat(each) ? 0 : localWordsOf(each.task)));
  const code = [
    `// ${title}`,
    ...(halves ? ["enable f16;"] : []),
    ...(needs("subgroups") ? ["enable subgroups;"] : []),
    "@group(0) @binding(0) var<storage, read_write> memory: array<u32>;",
    `// Where inputs and outputs begin.\n@group(0) @binding(1) ${declareSlots(slots)}`,
    ...(hasSteps
      ? ["// x is the index of the step.\n@group(0) @binding(2) var<uniform> stepIndex: vec4<i32>;"]
      : []),
    ...(halves ? ["@group(0) @binding(3) var<storage, read_write> halves: array<f16>;"] : []),
    ...(localWords > 0 ? [`var<workgroup> rowMemory: array<u32, ${localWords}>;`] : []),
    ...(needs("blocks") ? [BLOCK_MEMORY] : []),
    ...(needs("teams") ? [teamMemory(workgroupSize)] : []),
    SPECIAL,
    ...functionSources(used),
    ...functions,
    ...entryPoints.map(({ text }) => text),
  ].join("\n\n");
  return `${code}\n`;
}

/** How many step indices a dispatch needs; undefined if it runs once. */
export function stepsOf(each: Dispatch | Repeat<Dispatch>): number | undefined {
  if (isRepeat(each)) return each.scan.length;
  return each.task.kind === "rows" && each.task.steps !== undefined ? each.task.scan.length : undefined;
}

/** Steps per run of a dispatch that is repeated until all are done; else 1. */
export function stride({ task }: Dispatch): number {
  return task.kind === "rows" ? task.steps ?? 1 : 1;
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
