/**
 * Sums and maxima over axes, and the index of the largest: an invocation for each element of the result, or where there
 * are few of them a team of invocations for each.
 */
import type { ArgmaxKernel, ReduceKernel } from "../../lowering/kernels.ts";
import { sizeOf } from "../../lowering/views.ts";
import { literal, load, type Memory, store, typeOf, unravel } from "./address.ts";
import type { FunctionWriter } from "./writer.ts";

/** Writes the body of the function of a reduction; units of work are rows of the output's first axis. */
export function writeReduce(
  f: FunctionWriter,
  { name, input, axes, output }: ReduceKernel,
  memory: Memory,
): void {
  if (sizeOf(output.shape) === 0) return;
  const names = output.shape.map((_, axis) => `i${axis}`);
  f.overItems(sizeOf(output.shape.slice(1)), (item) => {
    f.lines(...unravel(item, output.shape, names));
    const start = name === "sum" ? 0 : input.dtype === "float32" ? -Infinity : -(2 ** 31);
    const result = f.variable(literal(start, input.dtype));
    const over = (rest: readonly number[], found: ReadonlyMap<number, string>): void => {
      const [axis, ...more] = rest;
      if (axis !== undefined) {
        f.count(input.shape[axis], (index) => over(more, new Map([...found, [axis, index]])));
        return;
      }
      let kept = 0;
      const indices = input.shape.map((_, axis) => found.get(axis) ?? names[kept++]);
      const value = load(input, indices, memory);
      f.line(name === "sum" ? `${result} += ${value};` : `${result} = max(${result}, ${value});`);
    };
    over(axes, new Map());
    f.line(store(output, names, result, memory));
  });
}

/** How many elements make up one of a reduction's result. */
export function elementsOf({ input, output }: Pick<ReduceKernel, "input" | "output">): number {
  return sizeOf(input.shape) / Math.max(1, sizeOf(output.shape));
}

/** Where the invocations of a workgroup put their part of a result. */
export function teamMemory(lanes: number): string {
  return `var<workgroup> parts: array<u32, ${lanes}>;`;
}

/**
 * How many invocations of a workgroup with so many make up a team for each element of the result, of which there are at
 * most `outputs`; 1 where a team is not worth it, as each would not have `least` elements.
 */
export function teamSize(kernel: ReduceKernel, outputs: number, lanes: number, least: number): number {
  const each = elementsOf(kernel);
  let size = 1;
  while (size * 2 * outputs <= lanes && size * 2 * least <= each) size *= 2;
  return size;
}

/**
 * Writes the same with teams of `size` invocations: each takes every `size`-th element, then they add up by halves. All
 * invocations of one workgroup call it, with at most as many elements of the result as there are teams.
 */
export function writeTeamReduce(f: FunctionWriter, kernel: ReduceKernel, size: number, memory: Memory): void {
  const perUnit = sizeOf(kernel.output.shape.slice(1));
  f.lines(`let item = begin * ${perUnit} + lane / ${size};`, `let member = lane % ${size};`);
  writeTeam(f, kernel, size, `item < end * ${perUnit}`, memory);
}

/** Whether each element of a result is worth a workgroup, of whose invocations each has `least` elements. */
export function isLongReduction(kernel: ReduceKernel, workgroup: number, least: number): boolean {
  const isPowerOfTwo = (workgroup & (workgroup - 1)) === 0;
  return kernel.input.dtype !== "bool" && isPowerOfTwo && elementsOf(kernel) >= workgroup * least;
}

/** Writes the same as a function `(group: i32, groups: i32, lane: i32)`: a workgroup is a team. */
export function writeGroupReduce(
  f: FunctionWriter,
  kernel: ReduceKernel,
  size: number,
  memory: Memory,
): void {
  f.line("let member = lane;");
  f.block(`for (var item = group; item < ${sizeOf(kernel.output.shape)}; item += groups)`, () => {
    writeTeam(f, kernel, size, "true", memory);
  });
}

/** Reduces element `item` of the result, where it `isOwn`, with the team of which this is `member`. */
function writeTeam(
  f: FunctionWriter,
  { name, input, axes, output }: ReduceKernel,
  size: number,
  isOwn: string,
  memory: Memory,
): void {
  const names = output.shape.map((_, axis) => `i${axis}`);
  const start = name === "sum" ? 0 : input.dtype === "float32" ? -Infinity : -(2 ** 31);
  const result = f.variable(literal(start, input.dtype));
  const combine = (value: string) =>
    name === "sum" ? `${result} += ${value};` : `${result} = max(${result}, ${value});`;
  f.block(`if (${isOwn})`, () => {
    f.lines(...unravel("item", output.shape, names));
    const extents = axes.map((axis) => input.shape[axis]);
    f.block(`for (var element = member; element < ${sizeOf(extents)}; element += ${size})`, () => {
      const places = axes.map((axis) => `r${axis}`);
      f.lines(...unravel("element", extents, places));
      let kept = 0;
      const indices = input.shape.map((_, axis) => {
        const at = axes.indexOf(axis);
        return at >= 0 ? places[at] : names[kept++];
      });
      f.line(combine(load(input, indices, memory)));
    });
  });
  const part = (index: string) => `bitcast<${typeOf(input.dtype)}>(parts[${index}])`;
  f.block(`for (var half = ${size / 2}; half >= 1; half >>= 1u)`, () => {
    f.lines(`parts[lane] = bitcast<u32>(${result});`, "workgroupBarrier();");
    f.line(`if (member < half) { ${combine(part("lane + half"))} }`);
    f.line("workgroupBarrier();");
  });
  f.block(`if (${isOwn} && member == 0)`, () => {
    f.lines(...unravel("item", output.shape, names));
    f.line(store(output, names, result, memory));
  });
}

/** Writes the body of the function of an argmax; the first of equals wins. */
export function writeArgmax(f: FunctionWriter, { input, axis, output }: ArgmaxKernel, memory: Memory): void {
  if (sizeOf(input.shape) === 0) return;
  const names = output.shape.map((_, axis) => `i${axis}`);
  const indices = (index: string) => [...names.slice(0, axis), index, ...names.slice(axis)];
  f.overItems(sizeOf(output.shape.slice(1)), (item) => {
    f.lines(...unravel(item, output.shape, names));
    const best = f.variable(load(input, indices("0"), memory));
    const found = f.variable("0");
    f.count(input.shape[axis], (index) => {
      const value = f.let(load(input, indices(index), memory));
      f.block(`if (${value} > ${best})`, () => f.lines(`${best} = ${value};`, `${found} = ${index};`));
    });
    f.line(store(output, names, found, memory));
  });
}
