/**
 * The speed of the native matrix products by shape, on one thread:
 * `deno run -A benches/native_products.ts [part of a name] [--processor=FLAG] [--rounds=N]`. With
 * `--processor=-march=haswell` vectors have 8 floats; the variable CC names another compiler.
 *
 * As the machine may be shared and its clock change, each sample stands between two of the ceiling, multiply-adds in
 * registers, and counts only if these two agree. The share of the ceiling is the median of all samples that count.
 */
import { RUNTIME } from "../kernels/native/c/runtime.ts";
import { longProductFloats } from "../kernels/native/c/long_product.ts";
import { PANEL_COLUMNS } from "../kernels/native/c/product.ts";
import { compileC, findCompiler } from "../kernels/native/compiler.ts";

/** A product. A long one has left operands of several heights, turned. */
interface Shape {
  readonly name: string;
  readonly rows: number | readonly number[];
  readonly k: number;
  readonly n: number;
  /** What is added: a matrix of rows, or one row to all. */
  readonly added?: "rows" | "bias";
}

const SHAPES: readonly Shape[] = [
  { name: "guide, inputs", rows: 1792, k: 28, n: 256, added: "bias" },
  { name: "guide, state", rows: 64, k: 64, n: 256, added: "rows" },
  { name: "guide, state, half", rows: 32, k: 64, n: 256, added: "rows" },
  { name: "guide, back", rows: 64, k: 256, n: 64 },
  { name: "guide, back, half", rows: 32, k: 256, n: 64 },
  { name: "guide, weights", rows: [64, 28, 1], k: 1792, n: 256 },
  { name: "guide, one row", rows: 1, k: 64, n: 256, added: "rows" },
  { name: "long, inputs", rows: 6400, k: 64, n: 1024, added: "bias" },
  { name: "long, state", rows: 64, k: 256, n: 1024, added: "rows" },
  { name: "long, state, half", rows: 32, k: 256, n: 1024, added: "rows" },
  { name: "long, back", rows: 64, k: 1024, n: 256 },
  { name: "long, back, half", rows: 32, k: 1024, n: 256 },
  { name: "long, weights", rows: [256, 64, 1], k: 6400, n: 1024 },
];

/** Independent sums of the ceiling, and about how many operations a sample takes, of products and of the ceiling. */
const SUMS = 16, OPERATIONS = 2e7, SHORT = 1e7;

/** Times in C: nanoseconds of so many calls, without those in which other programs have the processor. */
const SOURCE = `${RUNTIME}
#include <time.h>
static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}
/* As many sums as fit into registers beside their factors. */
#if defined(__AVX512F__) || defined(__aarch64__)
#define CEILING_SUMS ${SUMS}
#else
#define CEILING_SUMS ${SUMS - 4}
#endif
/* What keeps the compiler from adding the same product up some other way. */
#if defined(__AVX512F__)
#define KEPT(x) __asm__ volatile("" : "+v"(x))
#elif defined(__x86_64__)
#define KEPT(x) __asm__ volatile("" : "+x"(x))
#elif defined(__aarch64__)
#define KEPT(x) __asm__ volatile("" : "+w"(x))
#else
#define KEPT(x) __asm__ volatile("" : "+m"(x))
#endif
EXPORT uint32_t ceiling_sums(void) { return CEILING_SUMS; }
EXPORT double time_ceiling(float *to, uint32_t turns) {
  vf s[CEILING_SUMS], x = v_load(to, v_lanes(LANES)), y = x + v_number(1);
  UNROLL for (int i = 0; i < CEILING_SUMS; i++) s[i] = v_number((float)i);
  const double begin = now();
  for (uint32_t turn = 0; turn < turns; turn++) {
    UNROLL for (int i = 0; i < CEILING_SUMS; i++) {
      s[i] = v_fma(x, y, s[i]);
      KEPT(s[i]);
    }
  }
  const double end = now();
  UNROLL for (int i = 0; i < CEILING_SUMS; i++) *(vf *)(to + i * LANES) = s[i];
  return end - begin;
}
EXPORT double time_product(uint32_t calls, const float *a, const float *packed, float *out, uint32_t m, uint32_t k,
                           uint32_t n, const float *added, uint32_t stride_added) {
  double begin = 0;
  for (uint32_t i = 0; i <= calls; i++) {
    if (i == 1) begin = now(); /* the first call fills the caches */
    product(a, k, 1, packed, out, n, m, n, k, added, stride_added);
  }
  return now() - begin;
}
EXPORT double time_long(uint32_t calls, const float *a, const float *b, float *out, uint32_t k, uint32_t n, float *space,
                        uint32_t m0, uint32_t m1, uint32_t m2) {
  const uint32_t rows[] = {m0, m1, m2};
  struct left lefts[3];
  for (int i = 0; i < 3; i++) {
    lefts[i] = (struct left){a, rows[i], rows[i], out, n};
    a += k * rows[i];
    out += n * rows[i];
  }
  double begin = 0;
  for (uint32_t i = 0; i <= calls; i++) {
    if (i == 1) begin = now();
    long_product(lefts, 3, b, n, k, n, space);
  }
  return now() - begin;
}
`;

const SYMBOLS = {
  ceiling_sums: { parameters: [], result: "u32" },
  time_ceiling: { parameters: ["pointer", "u32"], result: "f64" },
  time_product: {
    parameters: ["u32", "pointer", "pointer", "pointer", "u32", "u32", "u32", "pointer", "u32"],
    result: "f64",
  },
  time_long: {
    parameters: ["u32", "pointer", "pointer", "pointer", "u32", "u32", "pointer", "u32", "u32", "u32"],
    result: "f64",
  },
  cellfold_lanes: { parameters: [], result: "u32" },
  cellfold_reserve: { parameters: ["f64"], result: "pointer" },
} as const satisfies Deno.ForeignLibraryInterface;

function option(name: string): string | undefined {
  return Deno.args.find((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3);
}

async function main(): Promise<void> {
  const found = await findCompiler(), processor = option("processor");
  const compiler = processor === undefined ? found : { ...found, processor: [processor] };
  const { object } = await compileC(compiler, SOURCE, "runtime");
  const { symbols } = Deno.dlopen(object, SYMBOLS);
  const lanes = symbols.cellfold_lanes();
  // As the backend has it: pages of 2 MB, where the system gives them.
  const memory = symbols.cellfold_reserve(2 ** 28);
  if (memory === null) throw new Error("Cannot reserve memory");
  const all = new Float32Array(Deno.UnsafePointerView.getArrayBuffer(memory, 2 ** 28));
  let used = 0;
  const place = (floats: number, value: (index: number) => number) => {
    const from = used;
    used += Math.ceil(floats / 16) * 16 + 16;
    for (let i = 0; i < floats; i++) all[from + i] = value(i);
    return Deno.UnsafePointer.offset(memory, from * 4);
  };
  const wave = (i: number) => Math.sin(i), zero = () => 0;

  const only = Deno.args.find((arg) => !arg.startsWith("--")) ?? "";
  const timers = SHAPES.filter(({ name }) => name.includes(only)).map(({ name, rows, k, n, added }) => {
    const m = typeof rows === "number" ? rows : rows.reduce((sum, each) => sum + each);
    const operations = 2 * m * k * n, calls = Math.max(1, Math.round(OPERATIONS / operations));
    const out = place(m * n, zero), a = place(m * k, wave);
    const isLong = typeof rows !== "number";
    const b = place(k * Math.ceil(n / PANEL_COLUMNS) * PANEL_COLUMNS, wave);
    const space = isLong ? place(longProductFloats(m, n), zero) : added ? place(m * n, wave) : null;
    const time = isLong
      ? () => symbols.time_long(calls, a, b, out, k, n, space, rows[0], rows[1], rows[2])
      : () => symbols.time_product(calls, a, b, out, m, k, n, space, added === "bias" ? 0 : n);
    return {
      label: `${name.padEnd(22)}${`${m}×${k}×${n}`.padEnd(16)}`,
      time,
      operations: operations * calls,
    };
  });
  const operations = 2 * lanes * symbols.ceiling_sums(), turns = Math.round(SHORT / operations);
  const registers = place(SUMS * lanes, zero);
  const ceiling = () => {
    const times = Array.from({ length: 5 }, () => symbols.time_ceiling(registers, turns));
    return operations * turns / Math.min(...times);
  };
  const rounds = Number(option("rounds") ?? 200);
  console.log(
    `${compiler.command} ${compiler.version}, ${processor ?? found.processor}, vectors of ${lanes}`,
  );
  for (const { label, time, operations } of timers) {
    const samples: { readonly rate: number; readonly ceiling: number }[] = [];
    for (let round = 0; round < rounds; round++) {
      const before = ceiling(), rate = operations / time(), after = ceiling();
      const agree = Math.max(before, after) < 1.03 * Math.min(before, after);
      if (agree) samples.push({ rate, ceiling: (before + after) / 2 });
    }
    const sorted = (of: (sample: { rate: number; ceiling: number }) => number) =>
      samples.map(of).sort((a, b) => a - b);
    const middle = (values: readonly number[]) => values[values.length >> 1] ?? NaN;
    const shares = sorted(({ rate, ceiling }) => 100 * rate / ceiling);
    const [rate, share, nine, limit] = [
      middle(sorted(({ rate }) => rate)),
      middle(shares),
      shares[Math.floor(0.9 * shares.length)] ?? NaN,
      middle(sorted(({ ceiling }) => ceiling)),
    ];
    console.log(
      `${label}${rate.toFixed(1).padStart(7)} GFLOP/s, ${share.toFixed(0).padStart(3)} % of ${
        limit.toFixed(1)
      }, ` +
        `${nine.toFixed(0)} % in one of ten; ${samples.length} samples`,
    );
  }
}

await main();
