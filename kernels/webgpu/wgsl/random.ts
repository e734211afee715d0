/** Random bits. */
import type { RandomKernel } from "../../lowering/kinds/random.ts";
import { load, store } from "./address.ts";
import { elementsInRows, type Site, type WrittenKinds } from "./kind.ts";
import { loop } from "./trip_count.ts";
import type { FunctionWriter } from "./writer.ts";
import { sizeOf } from "../../shapes.ts";

const ROTATIONS = [13, 15, 26, 6, 17, 29, 16, 24];

/**
 * Threefry-2x32 with 20 rounds (Salmon et al., 2011). Element i is
 * word `i mod 2` of the block with the counter `(i div 2, counter)`, as on every backend.
 */
function writeRandom(f: FunctionWriter, { key, counter, output }: RandomKernel, { memory }: Site): void {
  const size = sizeOf(output.shape);
  if (size === 0) return;
  const bits = (view: typeof key, indices: readonly string[]) =>
    `bitcast<u32>(${load(view, indices, memory)})`;
  const keys = [f.let(bits(key, ["0"])), f.let(bits(key, ["1"]))];
  keys.push(f.let(`${keys[0]} ^ ${keys[1]} ^ 0x1bd11bdau`));
  const second = f.let(`${bits(counter, [])} + ${keys[1]}`);
  const flat = { ...output, shape: [size], strides: [1] };
  f.block(`for (var block = lane; block < ${f.table.groups(size, 2)}; block += lanes)`, () => {
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
    const isEven = typeof size === "number" && size % 2 === 0;
    f.line(isEven ? last : `if (block * 2 + 1 < ${f.size(size)}) { ${last} }`);
  });
}

/** How this kind is written. */
export const randomWriting: WrittenKinds<RandomKernel> = {
  randomBits: {
    write: writeRandom,
    units: () => 1,
    tripCount: ({ output }, at) => loop(Math.ceil(elementsInRows(output.shape, at) / at.invocations)),
  },
};
