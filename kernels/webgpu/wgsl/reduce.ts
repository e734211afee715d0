/**
 * Sums and maxima over axes, and the index of the largest element: an invocation for each element of the
 * result, or a team of invocations for each if there are few.
 */
import type { ArgmaxKernel, ReduceKernel, ReductionKernel } from "../../lowering/kinds/reduction.ts";
import { literal, load, type Locations, store, times, typeOf, unravel } from "./address.ts";
import { elementsInRows, type Site, type Teams, type WrittenKinds } from "./kind.ts";
import { inTurn, loop, loops, type TripCount } from "./trip_count.ts";
import type { FunctionWriter } from "./writer.ts";
import { sizeOf } from "../../shapes.ts";

/** Units of work are rows of the output's first axis; with teams, each team has one element. */
function writeReduce(f: FunctionWriter, kernel: ReduceKernel, { locations, group }: Site): void {
  const teams = group.teamsOf(kernel);
  if (teams.size > 1) writeTeamReduce(f, kernel, teams, locations);
  else writeOwnReduce(f, kernel, locations);
}

/** Every invocation reduces its own elements of the result. */
function writeOwnReduce(f: FunctionWriter, kernel: ReduceKernel, locations: Locations): void {
  const { input, axes, output } = kernel;
  if (sizeOf(output.shape) === 0) return;
  const names = output.shape.map((_, axis) => `i${axis}`);
  f.overItems(sizeOf(output.shape.slice(1)), (item) => {
    f.lines(...unravel(item, output.shape, names));
    const over = (rest: readonly number[], found: ReadonlyMap<number, string>): string => {
      const [axis, ...more] = rest;
      if (axis !== undefined) {
        if (input.shape[axis] === 1) return over(more, new Map([...found, [axis, "0"]]));
        const all = { from: "0", to: `${input.shape[axis]}${f.zero}`, step: 1, trips: input.shape[axis] };
        return grow(f, kernel, all, (index) => over(more, new Map([...found, [axis, index]])));
      }
      let kept = 0;
      const indices = input.shape.map((_, axis) => found.get(axis) ?? names[kept++]);
      return load(input, indices, locations);
    };
    f.line(store(output, names, over(axes, new Map()), locations));
  });
}

/**
 * How many terms, or sums of blocks of terms, are added one after another: long float sums are sums of sums,
 * so that their error does not grow with their length. Rounding loses about 1e-7 of a sum of 16 equal terms.
 */
const BLOCK = 16;

/** Counts from one expression up to below another by `step`, in at most `trips` iterations. */
interface Range {
  readonly from: string;
  readonly to: string;
  readonly step: number;
  readonly trips: number;
}

/** Splits a loop of `trips` iterations: the iterations of each of the nested loops, from the outermost. */
export function blocksOf({ name, input }: Pick<ReduceKernel, "name" | "input">, trips: number): number[] {
  if (name !== "sum" || input.dtype !== "float32" || trips <= 2 * BLOCK) return [trips];
  let size = BLOCK;
  while (size * BLOCK < trips) size *= BLOCK;
  return [Math.ceil(trips / size), ...new Array(Math.round(Math.log2(size) / Math.log2(BLOCK))).fill(BLOCK)];
}

/** Writes the loops of a result, or of a part of it, and returns the variable that holds it. */
function grow(
  f: FunctionWriter,
  kernel: ReduceKernel,
  range: Range,
  term: (index: string) => string,
): string {
  const loops = blocksOf(kernel, range.trips);
  const write = ({ from, to, step }: Omit<Range, "trips">, [, ...inside]: readonly number[]): string => {
    const result = f.variable(startOf(kernel));
    const size = step * inside.reduce((all, trips) => all * trips, 1);
    f.loop({ from, to, step: size }, (index) => {
      const value = inside.length === 0
        ? term(index)
        : write({ from: index, to: f.let(`min(${index} + ${size}, ${to})`), step }, inside);
      f.line(combine(f, kernel, result, value));
    });
    return result;
  };
  return write(range, loops);
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
export function elementsOf({ input, output }: Pick<ReduceKernel, "input" | "output">): number {
  return sizeOf(input.shape) / Math.max(1, sizeOf(output.shape));
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
 * parts. All invocations of one workgroup must call it, with at most as many elements of the result as there
 * are teams.
 */
function writeTeamReduce(f: FunctionWriter, kernel: ReduceKernel, teams: Teams, locations: Locations): void {
  const perUnit = sizeOf(kernel.output.shape.slice(1));
  f.lines(`let item = begin * ${perUnit} + lane / ${teams.size};`, `let member = lane % ${teams.size};`);
  writeTeam(f, kernel, teams, `item < end * ${perUnit}`, locations);
}

/**
 * Writes a reduction as a function `(group: i32, groups: i32, lane: i32)`, with each workgroup as one team.
 */
export function writeGroupReduce(
  f: FunctionWriter,
  kernel: ReduceKernel,
  teams: Teams,
  locations: Locations,
): void {
  f.line("let member = lane;");
  f.block(`for (var item = group; item < ${sizeOf(kernel.output.shape)}; item += groups)`, () => {
    writeTeam(f, kernel, teams, "true", locations);
  });
}

/** Reduces element `item` of the result if `isOwn` holds; this invocation is number `member` of the team. */
function writeTeam(
  f: FunctionWriter,
  kernel: ReduceKernel,
  teams: Teams,
  isOwn: string,
  locations: Locations,
): void {
  const { input, axes, output } = kernel;
  const { size, subgroups } = teams;
  f.need("teams");
  if (subgroups) f.need("subgroups");
  const names = output.shape.map((_, axis) => `i${axis}`);
  const result = f.variable(startOf(kernel));
  f.block(`if (${isOwn})`, () => {
    f.lines(...unravel("item", output.shape, names));
    const extents = axes.map((axis) => input.shape[axis]);
    const elements = sizeOf(extents);
    const own = { from: "member", to: String(elements), step: size, trips: Math.ceil(elements / size) };
    const all = grow(f, kernel, own, (element) => {
      const places = axes.map((axis) => `r${axis}`);
      f.lines(...unravel(element, extents, places));
      let kept = 0;
      const indices = input.shape.map((_, axis) => {
        const at = axes.indexOf(axis);
        return at >= 0 ? places[at] : names[kept++];
      });
      return load(input, indices, locations);
    });
    f.line(`${result} = ${all};`);
  });
  if (subgroups) combineBySubgroups(f, kernel, teams, result);
  else combineByHalves(f, kernel, teams, result);
  f.block(`if (${isOwn} && member == 0)`, () => {
    f.lines(...unravel("item", output.shape, names));
    f.line(store(output, names, result, locations));
  });
}

/**
 * Combines the parts of every team, one in `result` per invocation: in each round, half of them add the other
 * half's.
 */
function combineByHalves(f: FunctionWriter, kernel: ReduceKernel, { size }: Teams, result: string): void {
  f.block(`for (var half = ${size / 2}; half >= 1; half >>= 1u)`, () => {
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
  { size, count }: Teams,
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
      const part = partAt(kernel, [...times(team, size), `other % ${size}`].join(" + "));
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
function writeArgmax(f: FunctionWriter, { input, axis, output }: ArgmaxKernel, { locations }: Site): void {
  if (sizeOf(input.shape) === 0) return;
  const names = output.shape.map((_, axis) => `i${axis}`);
  const indices = (index: string) => [...names.slice(0, axis), index, ...names.slice(axis)];
  f.overItems(sizeOf(output.shape.slice(1)), (item) => {
    f.lines(...unravel(item, output.shape, names));
    const best = f.variable(load(input, indices("0"), locations));
    const found = f.variable("0");
    f.count(input.shape[axis], (index) => {
      const value = f.let(load(input, indices(index), locations));
      const isLarger = input.dtype === "float32"
        ? `${f.use("less_")}(${best}, ${value}) || (${f.use("isNan")}(${value}) && !${
          f.use("isNan")
        }(${best}))`
        : `${value} > ${best}`;
      f.block(`if (${isLarger})`, () => f.lines(`${best} = ${value};`, `${found} = ${index};`));
    });
    f.line(store(output, names, found, locations));
  });
}

/** The iterations of the loops of a team. */
function teamTripCounts(kernel: ReduceKernel, { size, count, subgroups }: Teams): TripCount[] {
  const own = loops(blocksOf(kernel, Math.ceil(elementsOf(kernel) / size)));
  // A subgroup may consist of a single invocation.
  return [...own, subgroups ? loop(count, loop(size)) : loop(Math.log2(size))];
}

/**
 * The iterations of {@linkcode writeGroupReduce}'s function if a workgroup has `items` elements of the
 * result.
 */
export function groupTripCount(kernel: ReduceKernel, size: number, items: number): TripCount {
  return loop(items, ...teamTripCounts(kernel, { size, count: 1, subgroups: false }));
}

/** How these kinds are written. */
export const reductionWriting: WrittenKinds<ReductionKernel> = {
  reduce: {
    write: writeReduce,
    tripCount: (kernel, { teamsOf, invocations, rows }) => {
      const teams = teamsOf(kernel);
      if (teams.size > 1) return inTurn(teamTripCounts(kernel, teams));
      const overAxes = loops(kernel.axes.flatMap((axis) => blocksOf(kernel, kernel.input.shape[axis])));
      return loop(Math.ceil(elementsInRows(kernel.output.shape, rows) / invocations), ...overAxes);
    },
  },
  argmax: {
    write: writeArgmax,
    tripCount: (kernel, { invocations, rows }) =>
      loop(
        Math.ceil(elementsInRows(kernel.output.shape, rows) / invocations),
        loop(elementsOf(kernel)),
      ),
  },
};
