/** Gather, its adjoint, and random bits. Indices outside the table are clamped into it. */
import type { GatherKernel, RandomKernel, ScatterKernel } from "../../lowering/kernels.ts";
import { sizeOf, viewOf } from "../../lowering/views.ts";
import { literal, load, type Memory, store, unravel } from "./address.ts";
import type { FunctionWriter } from "./writer.ts";

const names = (shape: readonly number[], prefix: string) => shape.map((_, axis) => `${prefix}${axis}`);

/** Writes the body of the function of a gather; units of work are rows of the first axis of the output. */
export function writeGather(
  f: FunctionWriter,
  { operand, indices, output }: GatherKernel,
  memory: Memory,
): void {
  if (sizeOf(output.shape) === 0) return;
  const rank = indices.shape.length;
  const at = names(output.shape, "i");
  f.overItems(sizeOf(output.shape.slice(1)), (item) => {
    f.lines(...unravel(item, output.shape, at));
    const row = f.let(`clamp(${load(indices, at.slice(0, rank), memory)}, 0, ${operand.shape[0] - 1})`);
    f.line(store(output, at, load(operand, [row, ...at.slice(rank)], memory), memory));
  });
}

/** Writes the body of the function of a scatter; an invocation sums up columns of its own, in the order of the indices. */
export function writeScatter(
  f: FunctionWriter,
  { indices, updates, output, lost }: ScatterKernel,
  memory: Memory,
): void {
  const rest = output.shape.slice(1);
  if (sizeOf(output.shape) === 0) return;
  const rank = indices.shape.length;
  const errors = lost && viewOf(lost, output.shape, output.dtype);
  const columns = names(rest, "i"), at = names(indices.shape, "j");
  f.block(`for (var item = lane; item < ${sizeOf(rest)}; item += lanes)`, () => {
    f.lines(...unravel("item", rest, columns));
    f.count(
      output.shape[0],
      (row) => {
        for (const view of errors ? [output, errors] : [output]) {
          f.line(store(view, [row, ...columns], literal(0, output.dtype), memory));
        }
      },
    );
    if (sizeOf(indices.shape) === 0) return;
    f.count(sizeOf(indices.shape), (index) => {
      f.lines(...unravel(index, indices.shape, at));
      const row = f.let(`clamp(${load(indices, at, memory)}, 0, ${output.shape[0] - 1})`);
      const place = [row, ...columns];
      const term = load(updates, [...at.slice(0, rank), ...columns], memory);
      if (!errors) {
        f.line(store(output, place, `${load(output, place, memory)} + ${term}`, memory));
        return;
      }
      // No compiler may take the parentheses away (Kahan, 1965): to it, what is added to the bits is not known.
      const kept = (value: string) => `bitcast<f32>(bitcast<i32>(${value}) + zero)`;
      const before = f.let(load(output, place, memory));
      const whole = f.let(`${term} + ${load(errors, place, memory)}`);
      const sum = f.let(kept(`${before} + ${whole}`));
      const rest = f.let(`${whole} - ${kept(`${sum} - ${before}`)}`);
      f.line(store(output, place, sum, memory));
      // A sum that is infinite or NaN has lost nothing.
      f.line(store(errors, place, `select(${rest}, 0f, ${f.use("isNan")}(${rest}))`, memory));
    });
  });
}

const ROTATIONS = [13, 15, 26, 6, 17, 29, 16, 24];

/**
 * Writes the body of the function of `randomBits`: threefry-2x32 with 20 rounds (Salmon et al., 2011). Element i is
 * word `i mod 2` of the block with the counter `(i div 2, counter)`, as on every backend.
 */
export function writeRandom(f: FunctionWriter, { key, counter, output }: RandomKernel, memory: Memory): void {
  const size = sizeOf(output.shape);
  if (size === 0) return;
  const bits = (view: typeof key, indices: readonly string[]) =>
    `bitcast<u32>(${load(view, indices, memory)})`;
  const keys = [f.let(bits(key, ["0"])), f.let(bits(key, ["1"]))];
  keys.push(f.let(`${keys[0]} ^ ${keys[1]} ^ 0x1bd11bdau`));
  const second = f.let(`${bits(counter, [])} + ${keys[1]}`);
  const flat = { ...output, shape: [size], strides: [1] };
  f.block(`for (var block = lane; block < ${Math.ceil(size / 2)}; block += lanes)`, () => {
    const x = f.variable(`u32(block) + ${keys[0]}`), y = f.variable(second);
    for (let round = 0; round < 20; round++) {
      const rotation = ROTATIONS[round % 8];
      f.line(`${x} += ${y}; ${y} = ((${y} << ${rotation}u) | (${y} >> ${32 - rotation}u)) ^ ${x};`);
      if (round % 4 === 3) {
        const group = (round + 1) / 4;
        f.line(`${x} += ${keys[group % 3]}; ${y} += ${keys[(group + 1) % 3]} + ${group}u;`);
      }
    }
    f.line(store(flat, ["block * 2"], `bitcast<i32>(${x})`, memory));
    const last = store(flat, ["(block * 2 + 1)"], `bitcast<i32>(${y})`, memory);
    f.line(size % 2 === 0 ? last : `if (block * 2 + 1 < ${size}) { ${last} }`);
  });
}
