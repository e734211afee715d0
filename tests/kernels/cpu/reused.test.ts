/** Sequences written over those that a scan reads last: where that happens, where it must not, and what is computed. */
import {
  add,
  type Cell,
  compile,
  concat,
  host,
  key,
  matmul,
  mul,
  normal,
  reverse,
  scan,
  slice,
  spec,
  sum,
  tanh,
  type Tensor,
  zeros,
} from "@cellfold/cellfold";
import { assert, assertEquals } from "@std/assert";
import { lowerForCpu } from "../../../kernels/cpu/lower.ts";
import { cpuFunctions } from "../../../kernels/cpu/kernels.ts";
import { createWasm } from "../../../kernels/wasm/mod.ts";
import { wasmTarget } from "../../../kernels/wasm/target.ts";
import { backends, missing } from "../native/backends.ts";

const [BATCH, STEPS, UNITS] = [6, 5, 16];

/** A cell that reads a step of a sequence, and outputs one that lies alike. */
type Step = (h: Tensor, x: Tensor, w: Tensor) => { readonly output: Tensor; readonly next: Tensor };

const over = (step: Step, start: (x: Tensor) => Tensor = tanh) => (x: Tensor, w: Tensor): Tensor[] => {
  const cell: Cell<Tensor, Tensor, Tensor> = (h, x) => {
    const { output, next } = step(h, x, w);
    return [output, next];
  };
  const [outputs, last] = scan(cell, zeros([BATCH, UNITS], { dtype: x.dtype }), start(x));
  return [mul(outputs, 2), last];
};

interface Case {
  readonly name: string;
  readonly run: (x: Tensor, w: Tensor) => Tensor[];
  /** Whether what the scan outputs may lie over what it reads. */
  readonly isReused: boolean;
}

const next = (h: Tensor, x: Tensor, w: Tensor) => tanh(add(matmul(h, w), x));

const CASES: readonly Case[] = [
  {
    name: "a sequence that the kernel reads that writes the other",
    run: over((h, x, w) => ({ output: mul(next(h, x, w), x), next: next(h, x, w) })),
    isReused: true,
  },
  {
    name: "one that is read after the scan as well",
    run: (x, w) => {
      const given = tanh(x);
      const [outputs, last] = over(
        (h, x, w) => ({ output: mul(next(h, x, w), x), next: next(h, x, w) }),
        () => given,
      )(x, w);
      return [outputs, add(last, sum(given, { axes: 1 }))];
    },
    isReused: false,
  },
  {
    name: "one that a later kernel of the step reads",
    run: over((h, x, w) => {
      const output = mul(h, x);
      return { output, next: tanh(add(matmul(output, w), x)) };
    }),
    isReused: false,
  },
  {
    name: "one whose columns are read in another order",
    run: over((h, x, w) => ({ output: mul(next(h, x, w), reverse(x, [1])), next: next(h, x, w) })),
    isReused: false,
  },
  {
    name: "one that is read in parts",
    run: over((h, x, w) => {
      const half = (of: Tensor, from: number) => slice(of, { start: [0, from], size: [BATCH, UNITS / 2] });
      const turned = (at: number) => mul(half(x, UNITS / 2 - at), half(h, at));
      return { output: mul(concat([turned(0), turned(UNITS / 2)], { axis: 1 }), x), next: next(h, x, w) };
    }),
    isReused: false,
  },
  {
    name: "an input, which is the caller's",
    run: over((h, x, w) => ({ output: mul(next(h, x, w), x), next: next(h, x, w) }), (x) => x),
    isReused: false,
  },
];

for (const { name, run, isReused } of CASES) {
  Deno.test(`${name} is ${isReused ? "" : "not "}written over`, () => {
    using compiled = compile(run);
    const { kernels } = lowerForCpu(compiled.program(spec([BATCH, STEPS, UNITS]), spec([UNITS, UNITS])), {
      threads: 1,
      target: wasmTarget,
      shareFrom: 4096,
    });
    const at = kernels.findIndex(({ kind }) => kind === "scan");
    const earlier = new Set(kernels.slice(0, at).flatMap(cpuFunctions.buffersOf));
    const written = cpuFunctions.writesOf(kernels[at]).filter(({ loops }) => loops.length > 0);
    assertEquals(written.map(({ buffer }) => earlier.has(buffer)), [isReused]);
  });

  Deno.test({
    name: `with ${name}, results are those of the reference`,
    sanitizeResources: false, // threads stay
    sanitizeOps: false,
    fn: async () => {
      const given = [
        normal(key(0), [BATCH, STEPS, UNITS]),
        mul(normal(key(1), [UNITS, UNITS]), 0.25),
      ] as const;
      const wanted = run(...given).map((each) => host(each).data);
      const devices = [createWasm({ threads: 1 }), createWasm({ threads: 2, shareFrom: 0 })];
      for (const device of [...devices, ...missing === undefined ? backends.slice(0, 2) : []]) {
        using compiled = compile(run, { device });
        (await compiled(...given)).forEach((found, at) =>
          host(found).data.forEach((value, i) =>
            assert(
              Math.abs(Number(value) - Number(wanted[at][i])) <= 1e-5,
              `${device.name} ${at}[${i}]: ${value}`,
            )
          )
        );
      }
    },
  });
}
