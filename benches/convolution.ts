/**
 * The speed of convolutions, beside products of as many multiply-adds:
 * `deno run -A benches/convolution.ts [part of a name] [--rounds=N] [--device=NAME] [--explain]`.
 *
 * The product multiplies the windows, laid out as a matrix before, by the kernel; its gradients are those of that matrix
 * and of the kernel. A convolution of each channel by itself is no product: beside it stand as many elementwise
 * multiplications and additions of a tensor of the size of its result, and, for its gradients, twice as many. Samples take
 * turns, as the machine may be shared, and the best of each counts. Arguments and
 * results stay on the device. `--explain` prints what runs.
 */
import { createNative, native } from "../kernels/native/mod.ts";
import { createWasm } from "../kernels/wasm/mod.ts";
import { add, compile, convolve, grad, key, matmul, mul, normal, slice, sum, type Tensor } from "../mod.ts";
import type { Backend } from "../src/internal.ts";

interface Case {
  readonly name: string;
  /** `[batch, ...spatial, in]`, and `[...window, in / groups, out]`. */
  readonly x: readonly number[];
  readonly kernel: readonly number[];
  readonly groups?: number;
  readonly strides?: readonly number[];
}

const CASES: readonly Case[] = [
  { name: "conv1d, 64 to 64 channels, window 5", x: [32, 300, 64], kernel: [5, 64, 64] },
  { name: "conv1d, 64 to 64, window 5, stride 2", x: [32, 300, 64], kernel: [5, 64, 64], strides: [2] },
  { name: "conv2d, 32 to 64 channels, 3x3", x: [32, 28, 28, 32], kernel: [3, 3, 32, 64] },
  { name: "conv2d, 32 to 64, 3x3, stride 2", x: [32, 28, 28, 32], kernel: [3, 3, 32, 64], strides: [2, 2] },
  { name: "conv2d, 1 to 32 channels, 3x3", x: [32, 28, 28, 1], kernel: [3, 3, 1, 32] },
  { name: "conv2d, 32 to 64, 4 groups, 3x3", x: [32, 28, 28, 32], kernel: [3, 3, 8, 64], groups: 4 },
  { name: "conv2d, depthwise 64, 3x3", x: [32, 28, 28, 64], kernel: [3, 3, 1, 64], groups: 64 },
  { name: "conv1d, depthwise 64, window 5", x: [32, 300, 64], kernel: [5, 1, 64], groups: 64 },
];

const [wish = ""] = Deno.args.filter((arg) => !arg.startsWith("--"));
const option = (name: string) =>
  Deno.args.find((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3);
const rounds = Number(option("rounds") ?? 15);

const devices: readonly (readonly [string, Backend])[] = [
  ["wasm, 1 thread", createWasm({ threads: 1 })],
  ["wasm, 2 threads", createWasm({ threads: 2 })],
  ...(await native.missing() === undefined
    ? [
      ["native, 1 thread", createNative({ threads: 1 }, "alone")] as const,
      ["native, 2 threads", createNative({ threads: 2 }, "shared")] as const,
    ]
    : []),
];

const product = (sizes: readonly number[]) => sizes.reduce((a, b) => a * b, 1);

/** Runs a function of tensors once, and returns its milliseconds. */
type Sample = () => Promise<number>;

async function sampler(
  fn: (...args: Tensor[]) => unknown,
  args: readonly Tensor[],
  device: Backend,
): Promise<Sample> {
  const place = compile((...given: Tensor[]) => given.map((x) => mul(x, 1)), { device, keep: true });
  const placed = await place(...args);
  const run = compile(fn, { device, keep: true });
  const sample = async () => {
    const begin = performance.now();
    const results = await run(...placed);
    const took = performance.now() - begin;
    for (const result of [results].flat() as readonly Tensor[]) {
      if (result.kind === "device") result[Symbol.dispose]();
    }
    return took;
  };
  for (let i = 0; i < 3; i++) await sample();
  if (Deno.args.includes("--explain")) console.log(run.explain());
  return sample;
}

/** The loss whose gradient has this cotangent for the result. */
const gradient = (fn: (x: Tensor, kernel: Tensor) => Tensor) => (x: Tensor, kernel: Tensor, c: Tensor) =>
  grad(([x, kernel]: readonly Tensor[]) => sum(mul(fn(x, kernel), c)))([x, kernel]);

/** As many multiplications and additions as a depthwise convolution has, of vectors that lie side by side. */
const elementwise = (x: Tensor, kernel: Tensor) => {
  const [places, channels] = kernel.shape.map(Number);
  const factor = (place: number) => slice(kernel, { start: [place, 0], size: [1, channels] });
  return Array.from({ length: places }, (_, place) => mul(x, factor(place))).reduce((a, b) => add(a, b));
};

console.log("| Convolution | Device | Forward | of the other | Gradients | of the other |");
console.log("| --- | --- | --- | --- | --- | --- |");
for (
  const { name, x: shape, kernel, groups = 1, strides } of CASES.filter(({ name }) => name.includes(wish))
) {
  const convolution = (x: Tensor, kernel: Tensor) =>
    convolve(x, kernel, { padding: "same", groups, strides });
  const x = normal(key(1), shape), weights = normal(key(2), kernel);
  const out = shape.slice(1, -1).map((size, axis) => Math.ceil(size / (strides?.[axis] ?? 1)));
  const rows = shape[0] * product(out), columns = kernel[kernel.length - 1] / groups;
  const terms = product(kernel.slice(0, -1));
  const c = normal(key(3), [shape[0], ...out, columns * groups]);
  const inGroups = (...shape: number[]) => groups === 1 ? shape : [groups, ...shape];
  const isDepthwise = kernel[kernel.length - 2] === 1 && groups > 1;
  const [left, right, cotangent] = [inGroups(rows, terms), inGroups(terms, columns), inGroups(rows, columns)]
    .map((shape, index) => normal(key(4 + index), shape));
  const like = normal(key(7), [rows, groups]), factors = normal(key(8), [terms, groups]);
  const work = rows * terms * columns * groups * 2;
  for (const [device, backend] of devices.filter(([name]) => name.includes(option("device") ?? ""))) {
    const samplers = [
      await sampler(convolution, [x, weights], backend),
      isDepthwise
        ? await sampler(elementwise, [like, factors], backend)
        : await sampler((a, b) => matmul(a, b), [left, right], backend),
      await sampler(gradient(convolution), [x, weights, c], backend),
      isDepthwise
        ? await sampler((a, b) => [elementwise(a, b), elementwise(a, mul(b, 2))], [like, factors], backend)
        : await sampler(gradient((a, b) => matmul(a, b)), [left, right, cotangent], backend),
    ];
    const best = samplers.map(() => Infinity);
    for (let round = 0; round < rounds; round++) {
      for (const [at, sample] of samplers.entries()) best[at] = Math.min(best[at], await sample());
    }
    const speed = (at: number, times: number) => `${(work * times / best[at] / 1e6).toFixed(1)} GFLOP/s`;
    console.log(
      `| ${name} | ${device} | ${speed(0, 1)} | ${(best[1] / best[0]).toFixed(2)} | ` +
        `${speed(2, 2)} | ${(best[3] / best[2]).toFixed(2)} |`,
    );
  }
}
