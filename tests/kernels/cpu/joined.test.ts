/** Kernels joined in loops: the same numbers as in float64, what is not written any more, and what is left apart. */
import {
  add,
  cast,
  type Cell,
  compile,
  concat,
  div,
  exp,
  full,
  grad,
  host,
  key,
  layerNormLstmCell,
  matmul,
  max,
  mean,
  mul,
  normal,
  reverse,
  rnn,
  scan,
  sigmoid,
  slice,
  spec,
  split,
  sqrt,
  square,
  sub,
  sum,
  tanh,
  type Tensor,
  trace,
  type Tree,
  zeros,
} from "@cellfold/cellfold";
import { assert, assertEquals } from "@std/assert";
import { lowerForCpu } from "../../../kernels/cpu/lower.ts";
import type { CpuKernel, CpuScanKernel } from "../../../kernels/cpu/kernels.ts";
import type { FusedKernel } from "../../../kernels/lowering/kinds/fused.ts";
import { nativeTarget } from "../../../kernels/native/kinds.ts";
import { runPasses } from "../../../src/passes/mod.ts";
import { wasmTarget } from "../../../kernels/wasm/target.ts";
import { backends, missing } from "../native/backends.ts";

const rows = { axes: -1, keepDims: true } as const;

/** Normalizes rows, with a gain. */
function normalized(v: Tensor, gain: Tensor): Tensor {
  const centered = sub(v, mean(v, rows));
  return mul(div(centered, sqrt(add(mean(square(centered), rows), 1e-3))), gain);
}

type NormCell = (w: Tensor, gain: Tensor, bias: Tensor) => Cell<Tensor, Tensor, Tensor>;

/** What runs over rows in different ways. */
const cells: { readonly [name: string]: NormCell } = {
  "a normalized state": (w, gain, bias) => (h, x) => {
    const next = tanh(add(add(normalized(matmul(h, w), gain), x), bias));
    return [next, next];
  },
  "a softmax, which takes maxima": (w, gain, bias) => (h, x) => {
    const logits = add(mul(matmul(h, w), gain), add(x, bias));
    const weights = exp(sub(logits, max(logits, rows)));
    const next = div(weights, sum(weights, rows));
    return [next, next];
  },
  "parts of a row, joined": (w, gain, bias) => (h, x) => {
    const both = concat([normalized(matmul(h, w), gain), tanh(x)], { axis: 1 });
    const next = add(tanh(sub(add(h, bias), mean(both, rows))), mul(sum(square(both), rows), 0.01));
    return [next, next];
  },
};

const loss = (cell: NormCell) => (x: Tensor, c: Tensor, w: Tensor, gain: Tensor, bias: Tensor) => {
  const of = ([w, gain, bias]: readonly Tensor[]) => {
    const [batch, , units] = x.shape;
    return sum(mul(scan(cell(w, gain, bias), zeros([batch, units], { dtype: x.dtype }), x)[0], c));
  };
  return [of([w, gain, bias]), ...grad(of)([w, gain, bias])];
};

/** Rows of whole vectors and of parts; fewer rows than threads, and more than a block; few steps, and so many that sums care. */
const SIZES = [[2, 130, 21], [21, 131, 64], [1, 4, 3], [19, 5, 48]] as const;

for (const [index, [name, cell]] of Object.entries(cells).entries()) {
  // A C compiler takes a second for each.
  for (const [batch, steps, units] of index === 0 ? SIZES : SIZES.slice(0, 2)) {
    Deno.test({
      name: `native: ${name}, of ${batch} rows of ${units} over ${steps} steps, is that of float64`,
      ignore: missing !== undefined,
      sanitizeResources: false, // threads stay
      sanitizeOps: false,
      fn: async () => {
        const fn = loss(cell);
        const given = [
          normal(key(0), [batch, steps, units]),
          normal(key(1), [batch, steps, units]),
          mul(normal(key(2), [units, units]), 1 / Math.sqrt(units)),
          add(mul(normal(key(3), [units]), 0.1), 1),
          mul(normal(key(4), [units]), 0.1),
        ] as const;
        const [x, c, w, gain, bias] = given.map((each) => cast(each, "float64"));
        const wanted = fn(x, c, w, gain, bias).map((each) => host(each).data);
        for (const device of backends) {
          using compiled = compile(fn, { device });
          for (const [at, found] of (await compiled(...given)).entries()) {
            // All of a gradient is off by what rounding loses of its largest terms, over all steps.
            const largest = Array.from(wanted[at], Number).reduce(
              (most, x) => Math.max(most, Math.abs(x)),
              1,
            );
            host(found).data.forEach((value, i) =>
              assert(
                Math.abs(Number(value) - Number(wanted[at][i])) <= 2e-5 * largest,
                `${device.name} ${at}[${i}]`,
              )
            );
          }
        }
      },
    });
  }
}

function scansOf(kernels: readonly CpuKernel[]): CpuScanKernel[] {
  return kernels.flatMap((kernel) => kernel.kind === "scan" ? [kernel, ...scansOf(kernel.body)] : []);
}

const fusedIn = ({ body }: CpuScanKernel) =>
  body.flatMap((kernel): FusedKernel[] => kernel.kind === "fused" ? [kernel] : []);

/** A step of training of an LSTM with layer normalization, with open sizes. */
function lowered(target: typeof nativeTarget, threads = 2) {
  const cell = rnn(layerNormLstmCell({ units: 64 }));
  const params = cell.initParams(key(0), spec([null, null, 28]));
  const of = grad((params: Tree<Tensor>, x: Tensor) =>
    sum(cell.apply({ params, state: {} }, x, { training: true }).output as Tensor)
  );
  using compiled = compile(of);
  return lowerForCpu(compiled.program(params, spec([16, 200, 28])), { threads, target, shareFrom: 4096 })
    .kernels;
}

Deno.test("elementwise work and the sums of its rows are one kernel in loops, and squares are not written", () => {
  const [forward] = scansOf(lowered(nativeTarget));
  assertEquals(forward.body.filter(({ kind }) => kind === "reduce").length, 1); // before the product, it has no other to join
  const squares = fusedIn(forward).flatMap(({ operations, totals = [] }) =>
    operations.filter(({ name, operands: [a, b], output }) =>
      name === "mul" && a.kind === "register" && b.kind === "register" && a.value === b.value &&
      totals.some(({ operand }) => operand.kind === "register" && operand.value === output)
    )
  );
  assertEquals(squares.map(({ stores }) => stores), [[], [], []]); // of the inputs, the state and the cell
});

Deno.test("what nothing reads any more, as others compute it again, is computed no more", () => {
  // The parts of the gradient of what is joined are copied to a whole, and again where they are needed.
  const [, backward] = scansOf(
    lowerForCpu(
      runPasses(
        trace(
          grad((w: Tensor, x: Tensor) => {
            const cell = (h: Tensor, step: Tensor): readonly [Tensor, Tensor] => {
              const [z, r] = split(add(matmul(concat([step, h]), w), 0.1), 2);
              const next = add(mul(sigmoid(z), h), mul(sub(1, sigmoid(z)), tanh(r)));
              return [next, next];
            };
            return mean(square(scan(cell, zeros([3, 5]), x)[0]));
          }),
          zeros([9, 10]),
          zeros([3, 7, 4]),
        ).program,
      ),
      { threads: 2, target: nativeTarget, shareFrom: 0 },
    ).kernels,
  );
  const all = [backward, ...scansOf(lowered(nativeTarget))].flatMap(fusedIn);
  for (const { operations, totals = [], columnTotals = [] } of all) {
    const read = [
      ...operations.flatMap(({ operands }) => operands),
      ...[...totals, ...columnTotals].map((each) => each.operand),
    ];
    for (const { name, stores, output } of operations) {
      assert(stores.length > 0 || read.some((x) => x.kind === "register" && x.value === output), name);
    }
  }
});

Deno.test("targets that cannot write joined kernels get none", () => {
  for (const scan of scansOf(lowered(wasmTarget))) {
    for (const { totals, columnTotals } of fusedIn(scan)) {
      assertEquals([totals, columnTotals], [undefined, undefined]);
    }
  }
});

Deno.test("gradients of gains and biases are summed in a row for each thread, not in one for each row", () => {
  const [, backward] = scansOf(lowered(nativeTarget, 3));
  const totals = fusedIn(backward).flatMap(({ columnTotals = [] }) => columnTotals);
  assertEquals(totals.map(({ total: { shape } }) => shape), [[64], [64], [256], [256], [256]]);
  for (const { total: { buffer, shape: [columns], share } } of totals) {
    // Processors fetch ahead what another thread may be writing.
    assert(typeof columns === "number" && share === columns + 512 && buffer.size === 3 * share);
  }
  const [, alone] = scansOf(lowered(nativeTarget, 1));
  for (const { columnTotals = [] } of fusedIn(alone)) {
    for (const { total: { buffer, shape } } of columnTotals) assertEquals([buffer.size], shape);
  }
});

Deno.test({
  name:
    "native: a sum of rows that becomes infinite stays infinite, and one that is read is that of the rows",
  ignore: missing !== undefined,
  sanitizeResources: false,
  sanitizeOps: false,
  fn: async () => {
    const fn = (x: Tensor) => {
      const cell: Cell<readonly Tensor[], Tensor, Tensor> = ([all, each, h], x) => {
        const next = tanh(add(h, x));
        return [next, [add(all, mul(exp(mul(x, 100)), 3)), add(each, x), next]];
      };
      const zero = zeros([20, 4]);
      const [, [all, each]] = scan(cell, [zero, zero, zero], x);
      return [sum(all, { axes: 0 }), sum(each, { axes: 0 }), each];
    };
    const x = concat([full([20, 200, 1], 1), full([20, 200, 3], 0.1)], { axis: 2 });
    for (const device of backends) {
      using compiled = compile(fn, { device });
      const [all, each, rows] = (await compiled(x)).map((found) => host(found).data);
      const exact = 20 * 200 * 3 * Math.exp(Math.fround(Math.fround(0.1) * 100));
      assertEquals(all[0], Infinity);
      assert(Math.abs(Number(all[1]) / exact - 1) < 2e-6, `${all[1]} for ${exact}`);
      assert(Math.abs(Number(each[1]) / (20 * 200 * Math.fround(0.1)) - 1) < 1e-6, `${each[1]}`);
      assert(Math.abs(Number(rows[1]) / (200 * Math.fround(0.1)) - 1) < 1e-6, `${rows[1]}`);
    }
  },
});

Deno.test({
  name:
    "native: what is computed again reads the state before it is written, whatever the order of its elements",
  ignore: missing !== undefined,
  sanitizeResources: false,
  sanitizeOps: false,
  fn: async () => {
    const reads: readonly ((h: Tensor) => Tensor)[] = [
      (h) => reverse(h, 1),
      (h) => reverse(h, 0),
      (h) => slice(h, { start: [0, 0], size: [1, 20] }),
      (h) => slice(h, { start: [0, 19], size: [5, 1] }),
    ];
    const fn = (h: Tensor, x: Tensor) =>
      reads.map((read) =>
        scan(
          (h: Tensor, x: Tensor) => {
            const product = mul(x, read(h)), total = sum(product, rows);
            return [total, tanh(add(add(product, mul(total, 0.1)), x))];
          },
          h,
          x,
        )
      );
    const given = [normal(key(0), [5, 20]), normal(key(1), [5, 6, 20])] as const;
    const wanted = fn(...given).flat().map((each) => host(each).data);
    using compiled = compile(fn, { device: backends[0] });
    (await compiled(...given)).flat().forEach((found, at) =>
      host(found).data.forEach((value, i) =>
        assert(Math.abs(Number(value) - Number(wanted[at][i])) <= 1e-4, `${at}[${i}]: ${value}`)
      )
    );
  },
});

Deno.test({
  name: "native: sums of rows without columns are 0 in loops",
  ignore: missing !== undefined,
  sanitizeResources: false,
  sanitizeOps: false,
  fn: async () => {
    const fn = (h: Tensor, empty: Tensor, x: Tensor, other: Tensor) =>
      [
        // Memory in which an uninitialized sum would find something else.
        scan((h: Tensor, x: Tensor) => [h, tanh(add(h, mean(x, rows)))], h, tanh(other)),
        scan(
          ([h, empty]: readonly Tensor[], x: Tensor) => {
            const product = mul(tanh(x), empty);
            return [product, [add(h, sum(mul(product, product), rows)), sub(1, product)]];
          },
          [h, empty],
          x,
        )[1][0],
      ] as const;
    using compiled = compile(fn, { device: backends[0] });
    const given = [[5, 1], [5, 0], [5, 6, 0], [5, 6, 40]].map((shape) => full(shape, 1));
    const [, sums] = await compiled(given[0], given[1], given[2], given[3]);
    assertEquals(Array.from(host(sums).data), [1, 1, 1, 1, 1]);
  },
});
