/**
 * Random bits: threefry-2x32 with 20 rounds (Salmon et al., 2011), four blocks at a time. Element i is word
 * `i mod 2` of the block with the counter `(i div 2, counter)`, as on every backend.
 */
import { type FunctionBuilder, i32, v128 } from "../assembler.ts";
import type { RandomKernel } from "../../lowering/kinds/random.ts";
import { ELEMENT, pushBase } from "./address.ts";
import { type Emission, type EmittedKinds, uncut } from "./kind.ts";
import { sizeOf } from "../../shapes.ts";

const ROTATIONS = [13, 15, 26, 6, 17, 29, 16, 24];
const PARITY = 0x1bd11bda;

/** Writes the function of `randomBits`; its buffer is a multiple of 8 elements and is filled whole. */
function emitRandom(f: FunctionBuilder, kernel: RandomKernel, { addresses }: Emission): void {
  const { key, counter, output } = kernel;
  const keys = [f.local(v128), f.local(v128), f.local(v128)];
  const word = (index: 0 | 1) => {
    pushBase(f, key, key.offset + index * key.strides[0], addresses);
    f.memory("v128.load32_splat");
  };
  word(0);
  f.set(keys[0]);
  word(1);
  f.set(keys[1]);
  f.get(keys[0]).get(keys[1]).op("v128.xor").i32x4(PARITY).op("v128.xor").set(keys[2]);
  const second = f.local(v128), blocks = f.local(v128);
  pushBase(f, counter, counter.offset, addresses);
  f.memory("v128.load32_splat").set(second);
  f.i32x4(0, 1, 2, 3).set(blocks);
  const to = f.local(i32), end = f.local(i32);
  pushBase(f, output, output.offset, addresses);
  f.tee(to).i32(Math.ceil(sizeOf(output.shape) / 8) * 8 * ELEMENT).op("i32.add").set(end);
  const x0 = f.local(v128), x1 = f.local(v128);
  f.count(to, { local: end }, 8 * ELEMENT, () => {
    f.get(blocks).get(keys[0]).op("i32x4.add").set(x0);
    f.get(second).get(keys[1]).op("i32x4.add").set(x1);
    for (let round = 0; round < 20; round++) {
      const rotation = ROTATIONS[round % 8];
      f.get(x0).get(x1).op("i32x4.add").set(x0);
      f.get(x1).i32(rotation).op("i32x4.shl").get(x1).i32(32 - rotation).op("i32x4.shr_u").op("v128.or");
      f.get(x0).op("v128.xor").set(x1);
      if (round % 4 === 3) {
        const group = (round + 1) / 4;
        f.get(x0).get(keys[group % 3]).op("i32x4.add").set(x0);
        f.get(x1).get(keys[(group + 1) % 3]).op("i32x4.add").i32x4(group).op("i32x4.add").set(x1);
      }
    }
    f.get(to).get(x0).get(x1).shuffle([0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23]).memory(
      "v128.store",
    );
    f.get(to).get(x0).get(x1).shuffle([8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31]).memory(
      "v128.store",
      16,
    );
    f.get(blocks).i32x4(4).op("i32x4.add").set(blocks);
  });
}

/** How this kind is emitted. */
export const randomEmission: EmittedKinds<RandomKernel> = { randomBits: { emit: emitRandom, cut: uncut } };
