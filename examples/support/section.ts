/** What the sections of the guide share: saying what holds, counting parameters, and numbers to feed. */
import {
  countParams,
  host,
  type HostTensor,
  hostTensor,
  init,
  key,
  type Layer,
  type Spec,
  type Tensor,
  type Tree,
  treeLeaves,
} from "@cellfold/cellfold";

/** Where a section's words go. */
export type Log = (line: string) => void;

/** A section of the guide: it says what it shows, and throws where a claim of it does not hold. */
export type Section = (log?: Log) => void | Promise<void>;

/** Says a claim, once it is known to hold. */
export function claim(log: Log, holds: boolean, text: string): void {
  if (!holds) throw new Error(`Not so: ${text}`);
  log(`  ✓ ${text}`);
}

/** How many numbers a model for inputs of these specs has, statistics of a batch norm included. */
export function parameterCount(model: Layer, input: Tree<Spec>): number {
  return countParams(model, init(model, key(0), input)).total;
}

/** Numbers from 0 to 1 that look random and are the same every time (xorshift32; Marsaglia, 2003). */
export function noise(shape: readonly number[], seed = 1): HostTensor {
  const data = new Float32Array(shape.reduce((size, dim) => size * dim, 1));
  let word = Math.imul(seed, 0x9e3779b1) | 1;
  for (let i = 0; i < data.length; i++) {
    word ^= word << 13;
    word ^= word >>> 17;
    word ^= word << 5;
    data[i] = (word >>> 8) / 2 ** 24;
  }
  return hostTensor(data, shape);
}

/** The largest difference between two trees of host tensors of one structure; NaN where either has one. */
export function largestDifference(first: Tree<Tensor>, second: Tree<Tensor>): number {
  const others = treeLeaves<Tensor>(second);
  const leaves = treeLeaves<Tensor>(first);
  if (leaves.length !== others.length) {
    throw new Error(`Cannot compare ${leaves.length} tensors with ${others.length}`);
  }
  return leaves.reduce((largest, leaf, index) => {
    const [a, b] = [host(leaf).data, host(others[index]).data];
    if (a.length !== b.length) throw new Error(`Cannot compare ${a.length} numbers with ${b.length}`);
    for (let i = 0; i < a.length; i++) {
      const distance = Math.abs(a[i] - b[i]);
      if (!(distance <= largest)) largest = distance; // so that NaN stays
    }
    return largest;
  }, 0);
}

/** A shape as text, such as `[32, null, 10]`. */
export function shapeOf({ shape }: Spec): string {
  return `[${shape.join(", ")}]`;
}
