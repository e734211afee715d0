/** Sums and maxima over axes, and the index of the largest: an invocation for each element of the result. */
import type { ArgmaxKernel, ReduceKernel } from "../../lowering/kernels.ts";
import { sizeOf } from "../../lowering/views.ts";
import { literal, load, type Memory, store, unravel } from "./address.ts";
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
