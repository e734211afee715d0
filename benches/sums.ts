/**
 * The speed and the error of sums on one thread of the wasm backend, by shape:
 * `deno run benches/sums.ts [part of a name]`. All values are equal, so that the roundings of a running sum
 * all go the same way. The machine may be shared: look at the best times.
 */
import { compile, hostTensor, matmul, sum, type Tensor } from "../mod.ts";
import { scatterAdd } from "../src/operations/indexing.ts";

/** A sum of a tensor, with this many equal terms. */
interface Sum {
  readonly name: string;
  readonly shape: readonly number[];
  readonly terms: number;
  readonly of: (x: Tensor) => Tensor;
}

const over = (name: string, shape: readonly number[], axes: number[]): Sum => ({
  name,
  shape,
  terms: axes.reduce((terms, axis) => terms * shape[axis], 1),
  of: (x) => sum(x, { axes }),
});

const SUMS: readonly Sum[] = [
  over("all of 10 million", [10_000_000], [0]),
  over("all of 100,000", [100_000], [0]),
  over("rows of 10", [1792, 10], [1]),
  over("rows of 64", [1792, 64], [1]),
  over("rows of 100", [1792, 100], [1]),
  over("rows of 1,000", [1000, 1000], [1]),
  over("columns of 64", [64, 256], [0]),
  over("columns of 1,792", [1792, 256], [0]),
  over("columns of 100,000", [100_000, 10], [0]),
  over("time of [64, 100, 64]", [64, 100, 64], [1]),
  over("batch and time of [64, 100, 64]", [64, 100, 64], [0, 1]),
  over("batch and features of [64, 100, 64]", [64, 100, 64], [0, 2]),
  {
    name: "product of 1 × 100,000 × 16",
    shape: [1, 100_000],
    terms: 100_000,
    of: (x) => matmul(x, hostTensor(new Float32Array(1_600_000).fill(1), [100_000, 16])),
  },
  {
    name: "rows of 64 by 10,000 indices",
    shape: [10_000, 64],
    terms: 10_000,
    of: (x) => scatterAdd(hostTensor(new Int32Array(10_000), [10_000]), x, { rows: 100 }),
  },
];

const CALLS = 200, MILLISECONDS = 500;

/** The best time of a call, in microseconds. */
function best(call: () => void): number {
  let least = Infinity;
  const end = performance.now() + MILLISECONDS;
  for (let i = 0; i < CALLS && performance.now() < end; i++) {
    const begin = performance.now();
    call();
    least = Math.min(least, performance.now() - begin);
  }
  return 1000 * least;
}

async function main(part: string): Promise<void> {
  const device = { name: "wasm", threads: 1 } as const;
  const upload = compile((x: Tensor) => x, { device, keep: true });
  const value = Math.fround(0.1);
  for (const { name, shape, terms, of } of SUMS.filter((each) => each.name.includes(part))) {
    const size = shape.reduce((all, dim) => all * dim, 1);
    const x = await upload(hostTensor(new Float32Array(size).fill(value), shape));
    using call = compile(of, { device });
    const result = await call(x);
    if (result.kind !== "host") throw new Error("Results are to come to the host");
    const largest = Math.max(...result.data);
    const error = Math.abs(largest / (terms * value) - 1);
    const time = best(() => void call.sync(x));
    console.log(`${name.padEnd(36)}${time.toFixed(1).padStart(10)} µs  error ${error.toExponential(1)}`);
    if (x.kind === "device") x[Symbol.dispose]();
  }
}

await main(Deno.args[0] ?? "");
