/**
 * Whether the engine makes one operation of 256 bits from two of 128, as V8 does with
 * `--experimental-wasm-revectorize` on x64 with AVX2. It looks for stores to neighboring addresses, so there is no
 * telling by what an engine accepts; it is timed.
 */
import { type FunctionBuilder, i32, ModuleBuilder, v128 } from "./assembler.ts";

/** Pairs of sums in a loop: enough to keep the units busy either way. */
const PAIRS = 8;
/** Turns of a loop, about 20 microseconds when it is optimized. */
const TURNS = 20_000;
/** Pairs at most this fast, by vectors that cannot be paired, are computed as one. */
const PAIRED = 0.75;
/** An engine optimizes functions while they run: so long it is given, in milliseconds. */
const PATIENCE = 40;
/** How often one loop must be faster in a row. */
const TIMES = 2;

/** Bytes between two vectors that are no neighbors. */
const APART = 64;

let found: Promise<boolean> | undefined;

/** Whether pairs of vectors are computed as one, found out at the first call, which takes up to 40 milliseconds. */
export function pairsVectors(): Promise<boolean> {
  return found ??= findPairs();
}

async function findPairs(): Promise<boolean> {
  if (typeof setTimeout !== "function") return false; // in an audio worklet, which cannot wait
  const module = new ModuleBuilder({ minimum: 1, maximum: 1, shared: false });
  addLoop(module, "paired", 16);
  addLoop(module, "apart", APART);
  const compiled = await WebAssembly.compile(module.encode());
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1 });
  const { exports } = await WebAssembly.instantiate(compiled, { env: { memory } });
  const { paired, apart } = exports as Record<string, (address: number) => void>; // emitted with this signature
  const end = performance.now() + PATIENCE;
  let faster = 0;
  while (performance.now() < end) {
    let [least, leastApart] = [Infinity, Infinity];
    for (let trial = 0; trial < 3; trial++) {
      least = Math.min(least, timeOf(paired));
      leastApart = Math.min(leastApart, timeOf(apart));
    }
    faster = least < PAIRED * leastApart ? faster + 1 : 0;
    if (faster === TIMES) return true;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return false;
}

function timeOf(loop: (address: number) => void): number {
  const start = performance.now();
  loop(0);
  return performance.now() - start;
}

/** Adds a loop of multiply-adds into pairs of sums that lie `distance` bytes apart. */
function addLoop(module: ModuleBuilder, name: string, distance: number): void {
  const loop: FunctionBuilder = module.addFunction(name, [i32]);
  const [address, turn, factor] = [0, loop.local(i32), loop.local(v128)];
  const sums = Array.from({ length: 2 * PAIRS }, () => loop.local(v128));
  const offset = (index: number) => (index >> 1) * 2 * APART + (index % 2) * distance;
  loop.get(address).memory("v128.load32_splat", 4 * 1024).set(factor);
  sums.forEach((sum, index) => loop.get(address).memory("v128.load", offset(index)).set(sum));
  loop.count(turn, TURNS, 1, () => {
    for (const sum of sums) loop.get(factor).get(sum).op("f32x4.mul").get(factor).op("f32x4.add").set(sum);
  });
  // The higher address first, as V8 looks for it.
  for (let index = sums.length - 1; index >= 0; index--) {
    loop.get(address).get(sums[index]).memory("v128.store", offset(index));
  }
  module.export(loop);
}
