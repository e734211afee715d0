/** What Programs are compiled to: the same kernels for any length and for gates written apart, and memory planned. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import {
  add,
  at,
  batchNormalization,
  createTrainer,
  dense,
  einsum,
  type HostTensor,
  init,
  key,
  type Layer,
  lstm,
  lstmCell,
  matmul,
  mean,
  mul,
  type RecurrentCell,
  rnn,
  scan,
  sequential,
  sigmoid,
  type Spec,
  spec,
  square,
  sub,
  tanh,
  type Tensor,
  trace,
  type Tree,
  treeLeaves,
  uniform,
  valueAndGrad,
  zeros,
} from "../../../mod.ts";
import { fixedSize, zipTrees } from "../../../src/internal.ts";
import { evaluateDim } from "../../../src/tensor/dims.ts";
import { planProgram } from "../../../benches/cellfold/plan.ts";
import { fitWith } from "../../../src/training/fit.ts";
import type { Data } from "../../../src/training/objective.ts";
import type { Equation, Program } from "../../../src/program/types.ts";
import { runPasses } from "../../../src/passes/mod.ts";

const [BATCH, FEATURES, UNITS] = [16, 12, 24];

const guide = (recurrent: Layer): Layer =>
  sequential([recurrent, batchNormalization(), dense({ units: 10 })]);

/** An LSTM as in a textbook, with a kernel, a recurrent kernel and a bias for each gate. */
function lstmOfFourGates(units: number): RecurrentCell {
  return {
    type: "lstmOfFourGates",
    options: { units },
    initParams(key, input) {
      const features = fixedSize(input as Spec, 1); // one tensor
      const weights = (rows: number) => uniform(key, [rows, units], { min: -0.1, max: 0.1 });
      return [0, 1, 2, 3].map(() => [weights(features), weights(units), zeros([units])]);
    },
    initState(_, input) {
      const zero = zeros([(input as Spec).shape[0], units]); // one tensor
      return [zero, zero];
    },
    step(params) {
      const gates = params as unknown as Tensor[][]; // made by initParams
      return (state, input) => {
        const [h, c] = state as readonly Tensor[]; // made by initState
        const [i, f, g, o] = gates.map(([kernel, recurrent, bias]) =>
          add(add(matmul(input as Tensor, kernel), matmul(h, recurrent)), bias) // one tensor
        );
        const nextC = add(mul(sigmoid(f), c), mul(sigmoid(i), tanh(g)));
        const nextH = mul(sigmoid(o), tanh(nextC));
        return [nextH, [nextH, nextC]];
      };
    },
  };
}

/** The cell of the guide's section on nested inputs. */
const nestedCell: RecurrentCell = {
  type: "nestedCell",
  options: {},
  initParams: (key) => [uniform(key, [3, 4]), uniform(key, [5, 6, 4, 2])],
  initState: (_, input) => {
    const [{ shape: [batch] }] = treeLeaves<Spec>(input);
    return [zeros([batch, 4]), zeros([batch, 4, 2])];
  },
  step: (params) => (state, input) => {
    const [[kernel1, kernel23], [x1, x23]] = [treeLeaves<Tensor>(params), treeLeaves<Tensor>(input)];
    const [s1, s23] = treeLeaves<Tensor>(state);
    const [output1, output23] = [matmul(x1, kernel1), einsum("bij,ijkl->bkl", x23, kernel23)];
    return [[output1, output23], [add(s1, output1), add(s23, output23)]];
  },
};

/** What `explain` says of one train step. */
async function explainTraining(
  model: Layer,
  data: Data,
  loss: "mse" | "sparseCategoricalCrossentropy",
): Promise<string> {
  using trainer = createTrainer(model, { loss, optimizer: "adam", device: { name: "wasm", threads: 2 } });
  const variables = init(model, key(0), data.x);
  await fitWith(trainer, variables, data, { batchSize: BATCH, report: "none" });
  return (await trainer.session("explain", variables, data).train()).explain();
}

const sequences = (time: number): Data => ({
  x: zeros([BATCH, time, FEATURES]) as HostTensor, // eager
  y: zeros([BATCH], { dtype: "int32" }) as HostTensor, // eager
});
const explainGuide = (recurrent: Layer, time: number) =>
  explainTraining(guide(recurrent), sequences(time), "sparseCategoricalCrossentropy");

/** The kernels that `explain` lists, a line each. */
function kernelsOf(report: string): string[] {
  return report.slice(report.indexOf("kernels on ")).split("\n").slice(3);
}

/** The kernels inside the scans, and the products before and after them; the operations of a fused one in any order. */
function kernelsOfFold(report: string): string[] {
  return kernelsOf(report)
    .filter((line) => line.startsWith("    ") || /^ {2}(matmul|scan)/.test(line))
    .map((line) => line.startsWith("    fused") ? line.split(" ").sort().join(" ") : line);
}

function testOfDevice(name: string, fn: () => Promise<void>): void {
  // The workers of a device outlive a test.
  Deno.test({ name, sanitizeResources: false, sanitizeOps: false, fn });
}

testOfDevice("explain tells what became of the guide's LSTM train step", async () => {
  const report = await explainGuide(lstm({ units: UNITS }), 28);
  assertStringIncludes(
    report,
    `hoisted matmul float32[batch, ${4 * UNITS}] out of a scan, for all length steps at once`,
  );
  assertStringIncludes(
    report,
    `sank the sum over length steps of float32[${UNITS}, ${4 * UNITS}] out of a scan`,
  );
  assertStringIncludes(
    report,
    `hoisted add float32[batch, ${4 * UNITS}] out of a scan, for all length steps at once`,
  );
  assertMatch(report, /pruned \d+ equations nobody reads/);
  for (const title of ["as traced", "after prune", "after sink", "after merge", "kernels on wasm"]) {
    assertStringIncludes(report, title);
  }
  assertMatch(
    report,
    /\d+ bytes of code in \d+ functions for all sizes\nfor batch=16,length=28: 2 threads, \d+ bytes planned/,
  );
  const lines = kernelsOf(report);
  assertEquals(lines.filter((line) => line.startsWith("  scan")), [
    "  scan of length steps, batch rows shared by all threads",
    "  scan of length steps, from the last, batch rows shared by all threads",
  ]);
  // Forward and backward, a step is one product and one pass over registers.
  const inside = lines.filter((line) => line.startsWith("    ")).map((line) => line.trim().split(" ")[0]);
  assertEquals(inside, ["matmul", "fused", "fused", "matmul"]);
});

/** The kinds of kernels inside the scans, forward then backward. */
function kindsInside(report: string): string {
  return kernelsOf(report).filter((line) => line.startsWith("    ")).map((line) => line.trim().split(" ")[0])
    .join(" ");
}

testOfDevice(
  "options of the LSTM take no kernel more in a step, a projection its product and a copy",
  async () => {
    const plain = kindsInside(await explainGuide(lstm({ units: UNITS }), 28));
    for (const options of [{ peepholes: true }, { inputForget: true }, { clip: 1 }]) {
      const kinds = kindsInside(await explainGuide(lstm({ units: UNITS, ...options }), 28));
      assertEquals(kinds, plain, JSON.stringify(options));
    }
    const projected = kindsInside(await explainGuide(lstm({ units: UNITS, projection: 8 }), 28));
    // The state h, which is kept for its gradient, has another number of columns than the gates.
    assertEquals(projected, "matmul fused fused matmul matmul fused fused matmul");
  },
);

testOfDevice(
  "an LSTM whose four gates are written apart is compiled to the kernels of the built-in one",
  async () => {
    const own = await explainGuide(rnn(lstmOfFourGates(UNITS)), 28);
    assertMatch(own, new RegExp(`merged 4 products of a scan into float32\\[batch, ${4 * UNITS}\\]`));
    const builtIn = await explainGuide(lstm({ units: UNITS }), 28);
    assertEquals(kernelsOfFold(own), kernelsOfFold(builtIn));
  },
);

testOfDevice("of the guide's nested cell only the last step is left, and no scan", async () => {
  const data: Data = {
    x: [zeros([BATCH, 9, 3]) as HostTensor, zeros([BATCH, 9, 5, 6]) as HostTensor], // eager
    y: [zeros([BATCH, 4]) as HostTensor, zeros([BATCH, 4, 2]) as HostTensor], // eager
  };
  const report = await explainTraining(rnn(nestedCell), data, "mse");
  assertStringIncludes(report, "pruned 1 scans down to their last step, or to nothing");
  assert(!kernelsOf(report).some((line) => line.includes("scan")), report);
  assertEquals(kernelsOf(report).filter((line) => line.startsWith("  matmul")), [
    "  matmul [batch, 3] -> [batch, 4]",
    "  matmul [batch, 30] -> [batch, 8]",
  ]);
  // Gradients of weights are sums over the batch, each with that of its bias.
  assertEquals(kernelsOf(report).filter((line) => line.startsWith("  products")).length, 2, report);
});

/** A train step of an LSTM over sequences of one length, as a Program. */
function trainStep(
  [batch, time, features, units]: readonly [number, number, number, number],
  read: (outputs: Tensor) => Tensor,
  checkpointEvery?: number,
): { readonly program: Program; readonly shapes: readonly (readonly number[])[] } {
  const cell = lstmCell({ units });
  const params = cell.initParams(key(0), spec([batch, features]));
  const lossOf = (params: Tree<Tensor>, x: Tensor): Tensor => {
    const input = spec([batch, features]);
    const step = cell.step(params, { training: true, input });
    const [outputs] = scan(step, cell.initState(params, input), x, { checkpointEvery });
    return read(outputs);
  };
  const update = (params: Tree<Tensor>, x: Tensor): Tree<Tensor> =>
    zipTrees(params, valueAndGrad(lossOf)(params, x)[1], (p: Tensor, g: Tensor) => sub(p, mul(g, 0.01)));
  const { program } = trace(update, params, spec([batch, time, features]));
  return { program: runPasses(program), shapes: program.inputs.map(({ shape }) => shape.map(Number)) };
}

const lastStep = (outputs: Tensor) => mean(square(at(outputs, -1, { axis: 1 })));
const allSteps = (outputs: Tensor) => mean(square(outputs));

function countEquations({ equations }: Program): number {
  const bodyOf = ({ attributes }: Equation) => "body" in attributes ? attributes.body as Program : undefined; // of a scan
  return equations.reduce((count, equation) => {
    const body = bodyOf(equation);
    return count + 1 + (body ? countEquations(body) : 0);
  }, 0);
}

for (const [name, read] of [["the last step", lastStep], ["all steps", allSteps]] as const) {
  Deno.test(`an LSTM's train step that reads ${name} has the same equations, functions and code for any length`, () => {
    const [short, long] = [28, 2800].map((time) => {
      const { program, shapes } = trainStep([64, time, 28, 64], read);
      const { emitted, kernels } = planProgram(program, shapes, { threads: 2 });
      return {
        equations: countEquations(program),
        kernels: kernels.map(({ kind }) => kind),
        functions: emitted.functions.map(({ name }) => name),
        bytes: emitted.bytes.length,
      };
    });
    assertEquals(long.equations, short.equations);
    assertEquals(long.kernels, short.kernels);
    assertEquals(long.functions, short.functions);
    // Constants of more digits alone.
    assert(
      Math.abs(long.bytes - short.bytes) <= 0.02 * short.bytes,
      `${short.bytes} and ${long.bytes} bytes`,
    );
  });
}

for (const every of [125, 141, 160]) {
  Deno.test(`training on the last of 20,000 steps, a state kept every ${every}, is planned in 32 MB`, () => {
    const { program, shapes } = trainStep([8, 20_000, 28, 64], lastStep, every);
    const { arena, bindings } = planProgram(program, shapes, { threads: 2 });
    const sizes = [...arena.offsets.keys()].map(({ name, size }) => ({
      name,
      size: evaluateDim(size, bindings),
    }));
    const largest = sizes.sort((a, b) => b.size - a.size).slice(0, 6);
    const buffers = largest.map(({ name, size }) => `${name} ${4 * size}`).join(", ");
    assert(arena.bytes <= 32e6, `${arena.bytes} bytes: ${buffers}`);
  });
}
