/**
 * Sums and maxima over axes, and the index of the largest element: an invocation for each element of the
 * result, or a team of invocations for each if there are few.
 */
import type { ArgmaxKernel, ReduceKernel, ReductionKernel } from "../../lowering/kinds/reduction.ts";
import { literal, load, type Locations, store, times, typeOf, unravel } from "./address.ts";
import { elementsInRows, rowsIn, type Site, type Teams, type WrittenKinds } from "./kind.ts";
import { inTurn, loop, loops, type TripCount } from "./trip_count.ts";
import type { FunctionWriter } from "./writer.ts";
import { type Dim, evaluateDim } from "../../../src/tensor/dims.ts";
import { type Sizes, sizesAt } from "../../lowering/kinds/kind.ts";
import { sizeOf } from "../../shapes.ts";
import type { Table } from "./table.ts";

/** Units of work are rows of the output's first axis; with teams, each team has one element. */
function writeReduce(f: FunctionWriter, kernel: ReduceKernel, { memory, group }: Site): void {
  const teams = group.teamsOf(kernel);
  if (teams.size !== 1) writeTeamReduce(f, kernel, teams, memory);
  else writeOwnReduce(f, kernel, memory);
}

/** Every invocation reduces its own elements of the result. */
function writeOwnReduce(f: FunctionWriter, kernel: ReduceKernel, memory: Locations): void {
  const { input, axes, output } = kernel;
  if (sizeOf(output.shape) === 0) return;
  const names = output.shape.map((_, axis) => `i${axis}`);
  f.overItems(sizeOf(output.shape.slice(1)), (item) => {
    f.lines(...unravel(item, output.shape, names, f.table));
    const over = (rest: readonly number[], found: ReadonlyMap<number, string>): string => {
      const [axis, ...more] = rest;
      if (axis !== undefined) {
        const extent = input.shape[axis];
        if (extent === 1) return over(more, new Map([...found, [axis, "0"]]));
        const steps = stepsText(kernel, { elements: extent, members: 1 }, f.table);
        return grow(
          f,
          kernel,
          { from: "0", to: `${f.size(extent)}${f.zero}`, steps },
          (index) => over(more, new Map([...found, [axis, index]])),
        );
      }
      let kept = 0;
      const indices = input.shape.map((_, axis) => found.get(axis) ?? names[kept++]);
      return load(input, indices, memory);
    };
    f.line(store(output, names, over(axes, new Map()), memory));
  });
}

/**
 * How many terms, or sums of blocks of terms, are added one after another: long float sums are sums of sums,
 * so that their error does not grow with their length. Rounding loses about 1e-7 of a sum of 16 equal terms.
 */
const BLOCK = 16;

/** Counts from one expression up to below another, with a nested loop for each step, from the outermost. */
interface Range {
  readonly from: string;
  readonly to: string;
  readonly steps: readonly string[];
}

/** Splits a loop of `rounds` iterations: the iterations of each of the nested loops, from the outermost. */
function blocksOf(kernel: Pick<ReduceKernel, "name" | "input">, rounds: number): number[] {
  if (!isRounded(kernel) || rounds <= 2 * BLOCK) return [rounds];
  let size = BLOCK;
  while (size * BLOCK < rounds) size *= BLOCK;
  return [Math.ceil(rounds / size), ...new Array(Math.round(Math.log2(size) / Math.log2(BLOCK))).fill(BLOCK)];
}

/** The same for a number of iterations that is open: always three loops. */
function openBlocksOf(kernel: Pick<ReduceKernel, "name" | "input">, rounds: number): number[] {
  if (!isRounded(kernel)) return [rounds];
  const size = Math.max(BLOCK, Math.ceil(Math.cbrt(rounds)));
  return [Math.ceil(rounds / size ** 2), size, size];
}

/** Whether a reduction rounds, so that blocks make it more precise. */
function isRounded({ name, input }: Pick<ReduceKernel, "name" | "input">): boolean {
  return name === "sum" && input.dtype === "float32";
}

/** The elements that an invocation combines. */
interface Shared {
  readonly elements: Dim;
  /** How many invocations share the elements. */
  readonly members: Teams["size"];
}

/** The iterations of the nested loops over those elements of a result that one invocation has. */
function blocksAt(kernel: ReduceKernel, { elements, members }: Shared, { of }: Sizes): number[] {
  const rounds = Math.ceil(of(elements) / membersAt(members, of(elements)));
  return (typeof elements === "number" ? blocksOf : openBlocksOf)(kernel, rounds);
}

/** The steps of these loops: an invocation has every `members`-th element. */
function stepsText(kernel: ReduceKernel, shared: Shared, table: Table): string[] {
  const { elements, members } = shared;
  const stepsAt = (sizes: Sizes) => {
    const blocks = blocksAt(kernel, shared, sizes);
    const size = membersAt(members, sizes.of(elements));
    return blocks.map((_, loop) => blocks.slice(loop + 1).reduce((step, each) => step * each, size));
  };
  if (typeof elements === "number") return stepsAt(sizesAt({})).map(String);
  return Array.from(
    { length: isRounded(kernel) ? 3 : 1 },
    (_, loop) =>
      typeof members === "number" && (loop === 2 || !isRounded(kernel)) ? `${members}` : table.of(
        `step of loop ${loop} over ${elements} by ${describeMembers(members)}${
          isRounded(kernel) ? " in blocks" : ""
        }`,
        (bindings) => stepsAt(sizesAt(bindings))[loop],
      ),
  );
}

/** How many invocations share this many elements. */
function membersAt(members: Teams["size"], elements: number): number {
  return typeof members === "number" ? members : members(elements);
}

function describeMembers(members: Teams["size"]): string {
  return typeof members === "number" ? `${members}` : "a team";
}

/** Writes the loops of a result, or of a part of it, and returns the variable that holds it. */
function grow(
  f: FunctionWriter,
  kernel: ReduceKernel,
  range: Range,
  term: (index: string) => string,
): string {
  const write = ({ from, to, steps: [step, ...inside] }: Range): string => {
    const result = f.variable(startOf(kernel));
    f.loop({ from, to, step }, (index) => {
      const value = inside.length === 0
        ? term(index)
        : write({ from: index, to: f.let(`min(${index} + ${step}, ${to})`), steps: inside });
      f.line(combine(f, kernel, result, value));
    });
    return result;
  };
  return write(range);
}

/** The initial value of a result, which changes nothing. */
function startOf({ name, input }: ReduceKernel): string {
  return literal(name === "sum" ? 0 : input.dtype === "float32" ? -Infinity : -(2 ** 31), input.dtype);
}

/** The statement that combines a value with a result. */
function combine(f: FunctionWriter, { name, input }: ReduceKernel, result: string, value: string): string {
  if (name === "sum") return `${result} += ${value};`;
  const max = input.dtype === "float32" ? f.use("max_") : "max";
  return `${result} = ${max}(${result}, ${value});`;
}

/** How many elements are reduced into each element of the result. */
export function elementsOf({ input, axes }: Pick<ReduceKernel, "input" | "axes">): Dim {
  return sizeOf(axes.map((axis) => input.shape[axis]));
}

/** Where the invocations of a workgroup store their parts of a result. */
export function teamMemory(lanes: number): string {
  return `var<workgroup> parts: array<u32, ${lanes}>;`;
}

/** The part that an invocation stored. */
function partAt({ input }: ReduceKernel, index: string): string {
  return `bitcast<${typeOf(input.dtype)}>(parts[${index}])`;
}

/**
 * Writes a reduction with teams: each invocation reduces every `size`-th element, then they combine their
 * parts. All invocations of one workgroup must call it.
 */
function writeTeamReduce(f: FunctionWriter, kernel: ReduceKernel, teams: Teams, memory: Locations): void {
  const perUnit = f.size(sizeOf(kernel.output.shape.slice(1)));
  const size = sizeText(kernel, teams, f.table);
  f.line(`let member = lane % ${size};`);
  if (teams.count !== undefined) {
    f.line(`let item = begin * ${perUnit} + lane / ${size};`);
    writeTeam(f, kernel, teams, `item < end * ${perUnit}`, memory);
    return;
  }
  f.line(`let teams = lanes / ${size};`);
  f.block(`for (var first = begin * ${perUnit}; first < end * ${perUnit}; first += teams)`, () => {
    f.line(`let item = first + lane / ${size};`);
    writeTeam(f, kernel, teams, `item < end * ${perUnit}`, memory);
  });
}

/** The invocations of a team. */
function sizeText(kernel: ReduceKernel, { size }: Teams, table: Table): string {
  if (typeof size === "number") return `${size}`;
  const elements = elementsOf(kernel);
  return table.of(`team for ${elements}`, (bindings) => size(evaluateDim(elements, bindings)));
}

/**
 * Writes a reduction as a function `(group: i32, groups: i32, lane: i32)`, with each workgroup as one team.
 */
export function writeGroupReduce(
  f: FunctionWriter,
  kernel: ReduceKernel,
  teams: Teams,
  memory: Locations,
): void {
  f.line("let member = lane;");
  f.block(`for (var item = group; item < ${f.size(sizeOf(kernel.output.shape))}; item += groups)`, () => {
    writeTeam(f, kernel, teams, "true", memory);
  });
}

/** Reduces element `item` of the result if `isOwn` holds; this invocation is number `member` of the team. */
function writeTeam(
  f: FunctionWriter,
  kernel: ReduceKernel,
  teams: Teams,
  isOwn: string,
  memory: Locations,
): void {
  const { input, axes, output } = kernel;
  f.need("teams");
  if (teams.subgroups) f.need("subgroups");
  const names = output.shape.map((_, axis) => `i${axis}`);
  const result = f.variable(startOf(kernel));
  f.block(`if (${isOwn})`, () => {
    f.lines(...unravel("item", output.shape, names, f.table));
    const extents = axes.map((axis) => input.shape[axis]);
    const elements = elementsOf(kernel);
    const steps = stepsText(kernel, { elements, members: teams.size }, f.table);
    const all = grow(f, kernel, { from: "member", to: f.size(elements), steps }, (element) => {
      const places = axes.map((axis) => `r${axis}`);
      f.lines(...unravel(element, extents, places, f.table));
      let kept = 0;
      const indices = input.shape.map((_, axis) => {
        const at = axes.indexOf(axis);
        return at >= 0 ? places[at] : names[kept++];
      });
      return load(input, indices, memory);
    });
    f.line(`${result} = ${all};`);
  });
  const { size, count, subgroups } = teams;
  if (subgroups && typeof size === "number" && count !== undefined) {
    combineBySubgroups(f, kernel, { size, count }, result);
  } else combineByHalves(f, kernel, sizeText(kernel, teams, f.table), result);
  f.block(`if (${isOwn} && member == 0)`, () => {
    f.lines(...unravel("item", output.shape, names, f.table));
    f.line(store(output, names, result, memory));
  });
}

/**
 * Combines the parts of every team, one in `result` per invocation: in each round, half of them add the other
 * half's.
 */
function combineByHalves(f: FunctionWriter, kernel: ReduceKernel, size: string, result: string): void {
  f.block(`for (var half = ${size} / 2; half >= 1; half >>= 1u)`, () => {
    f.lines(`parts[lane] = bitcast<u32>(${result});`, "workgroupBarrier();");
    f.line(`if (member < half) { ${combine(f, kernel, result, partAt(kernel, "lane + half"))} }`);
    f.line("workgroupBarrier();");
  });
}

/**
 * The same by subgroups. WGSL specifies neither which invocations form a subgroup nor that all subgroups are
 * full, so every subgroup combines the parts of every team, divided among the invocations that it has.
 */
function combineBySubgroups(
  f: FunctionWriter,
  kernel: ReduceKernel,
  { size, count }: { readonly size: number; readonly count: number },
  result: string,
): void {
  f.lines(`parts[lane] = bitcast<u32>(${result});`, "workgroupBarrier();");
  f.lines("let rank = i32(subgroupExclusiveAdd(1u));", "let ranks = i32(subgroupAdd(1u));");
  const none = f.let(startOf(kernel));
  f.count(count, (team) => {
    const all = f.variable(none);
    // All run the same number of iterations: compilers may not reconverge invocations that diverge.
    f.block(`for (var first = 0; first < ${size}; first += ranks)`, () => {
      f.line("let other = first + rank;");
      const part = partAt(kernel, [...times(team, size, f.table), `other % ${size}`].join(" + "));
      f.line(combine(f, kernel, all, `select(${none}, ${part}, other < ${size})`));
    });
    const total = subgroupTotal(f, kernel, all);
    if (count === 1) f.line(`${result} = ${total};`);
    else f.lines(`${all} = ${total};`, `if (lane / ${size} == ${team}) { ${result} = ${all}; }`);
  });
  f.line("workgroupBarrier();");
}

/** The total of a subgroup; a maximum with NaN is NaN, which `subgroupMax` may lose. */
function subgroupTotal(f: FunctionWriter, { name, input }: ReduceKernel, part: string): string {
  if (name === "sum") return `subgroupAdd(${part})`;
  const max = `subgroupMax(${part})`;
  if (input.dtype !== "float32") return max;
  return `${max} + subgroupAdd(select(0f, ${part}, ${f.use("isNan")}(${part})))`;
}

/** NaN counts as the largest; of equal elements the first wins. */
function writeArgmax(f: FunctionWriter, { input, axis, output }: ArgmaxKernel, { memory }: Site): void {
  if (sizeOf(input.shape) === 0) return;
  const names = output.shape.map((_, axis) => `i${axis}`);
  const indices = (index: string) => [...names.slice(0, axis), index, ...names.slice(axis)];
  f.overItems(sizeOf(output.shape.slice(1)), (item) => {
    f.lines(...unravel(item, output.shape, names, f.table));
    const best = f.variable(load(input, indices("0"), memory));
    const found = f.variable("0");
    f.count(input.shape[axis], (index) => {
      const value = f.let(load(input, indices(index), memory));
      const isLarger = input.dtype === "float32"
        ? `${f.use("less_")}(${best}, ${value}) || (${f.use("isNan")}(${value}) && !${
          f.use("isNan")
        }(${best}))`
        : `${value} > ${best}`;
      f.block(`if (${isLarger})`, () => f.lines(`${best} = ${value};`, `${found} = ${index};`));
    });
    f.line(store(output, names, found, memory));
  });
}

/** The iterations of the loops of a team. */
function teamRounds(kernel: ReduceKernel, { size, count, subgroups }: Teams, sizes: Sizes): TripCount[] {
  const elements = elementsOf(kernel);
  const own = loops(blocksAt(kernel, { elements, members: size }, sizes));
  const members = membersAt(size, sizes.of(elements));
  // A subgroup may consist of a single invocation.
  return [...own, subgroups && count !== undefined ? loop(count, loop(members)) : loop(Math.log2(members))];
}

/**
 * The iterations of {@linkcode writeGroupReduce}'s function if a workgroup has `items` elements of the
 * result.
 */
export function groupTripCount(
  kernel: ReduceKernel,
  size: number,
  { items, sizes }: { readonly items: number; readonly sizes: Sizes },
): TripCount {
  return loop(items, ...teamRounds(kernel, { size, count: 1, subgroups: false }, sizes));
}

/** How these kinds are written. */
export const reductionWriting: WrittenKinds<ReductionKernel> = {
  reduce: {
    write: writeReduce,
    units: ({ output: { shape } }) => rowsIn(shape),
    tripCount: (kernel, at) => {
      const { teamsOf, invocations, sizes } = at;
      const teams = teamsOf(kernel);
      const items = elementsInRows(kernel.output.shape, at);
      if (teams.size !== 1) {
        const inside = teamRounds(kernel, teams, sizes);
        if (teams.count !== undefined) return inTurn(inside);
        const members = membersAt(teams.size, sizes.of(elementsOf(kernel)));
        return loop(Math.ceil(items / Math.floor(invocations / members)), ...inside);
      }
      const overAxes = kernel.axes.flatMap((axis) =>
        blocksAt(kernel, { elements: kernel.input.shape[axis], members: 1 }, sizes)
      );
      return loop(Math.ceil(items / invocations), ...loops(overAxes));
    },
  },
  argmax: {
    write: writeArgmax,
    units: ({ output: { shape } }) => rowsIn(shape),
    tripCount: ({ input, axis, output }, at) =>
      loop(
        Math.ceil(elementsInRows(output.shape, at) / at.invocations),
        loop(at.sizes.of(input.shape[axis])),
      ),
  },
};
