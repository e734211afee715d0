/** That results are the same bits from run to run, and do not depend on the number of threads beyond rounding. */
import { assert } from "@std/assert";
import {
  add,
  einsum,
  gather,
  host,
  type HostTensor,
  matmul,
  mean,
  mul,
  scan,
  sigmoid,
  softmax,
  split,
  sum,
  tanh,
  type Tensor,
  tensor,
  trace,
  valueAndGrad,
  zeros,
} from "../../mod.ts";
import { specOf } from "../../src/internal.ts";
import type { Backend } from "../../kernels/backend.ts";
import { runPasses } from "../../src/passes/mod.ts";
import { numbersFrom } from "../operations/finite_differences.ts";
import { assertRight } from "./rounding.ts";

interface Case {
  readonly name: string;
  readonly fn: (...args: Tensor[]) => unknown;
  readonly shapes: readonly (readonly number[])[];
}

const lstmStep = (kernel: Tensor, recurrent: Tensor) => ([h, c]: readonly [Tensor, Tensor], x: Tensor) => {
  const [i, f, g, o] = split(add(matmul(x, kernel), matmul(h, recurrent)), 4);
  const next = add(mul(sigmoid(f), c), mul(sigmoid(i), tanh(g)));
  const output = mul(sigmoid(o), tanh(next));
  return [output, [output, next]] as [Tensor, [Tensor, Tensor]];
};

/** Larger than what threads share by themselves, in sizes that no number of threads divides. */
const cases: readonly Case[] = [
  { name: "a product", fn: (a, b) => matmul(a, b), shapes: [[131, 67], [67, 93]] },
  {
    name: "a product of two transposed",
    fn: (a, b) => matmul(a, b, { transposeLeft: true, transposeRight: true }),
    shapes: [[67, 131], [93, 67]],
  },
  {
    name: "a product with long sums",
    fn: (a, b) => matmul(a, b, { transposeLeft: true }),
    shapes: [[1301, 45], [1301, 67]],
  },
  {
    name: "products of a batch",
    fn: (a, b) => einsum("bij,bjk->bik", a, b),
    shapes: [[7, 33, 21], [7, 21, 35]],
  },
  {
    name: "sums and softmax",
    fn: (a) => [sum(a, { axes: 0 }), sum(a, { axes: 1 }), mean(a), softmax(a)],
    shapes: [[77, 131]],
  },
  {
    name: "the gradient of an LSTM",
    fn: (x, kernel, recurrent) =>
      valueAndGrad(([kernel, recurrent]: readonly Tensor[]) => {
        const zero = zeros([37, 24], { dtype: x.dtype });
        const [outputs, [, last]] = scan(lstmStep(kernel, recurrent), [zero, zero], x);
        return add(mean(mul(outputs, outputs)), mean(last));
      })([kernel, recurrent]),
    shapes: [[37, 19, 13], [13, 96], [24, 96]],
  },
  {
    name: "a scan that looks up a row of the batch's table at every step",
    fn: (table, state) => {
      const step = (h: Tensor, i: Tensor) => {
        const next = tanh(add(mul(h, 0.5), gather(table, i)));
        return [next, next] as [Tensor, Tensor];
      };
      return scan(step, state, tensor([0, 2, 1, 1, 0, 2, 2, 1], { dtype: "int32" }));
    },
    shapes: [[3, 67, 31], [67, 31]],
  },
];

function inputsOf({ shapes }: Case): HostTensor[] {
  return shapes.map((shape, index) => {
    const next = numbersFrom(index + 1);
    const values = Array.from({ length: shape.reduce((a, b) => a * b) }, () => next() / 2);
    return host(tensor(values, { shape }));
  });
}

/** Tests with backends that `create` makes for a number of threads. */
export function testDeterminism(name: string, create: (threads: number) => Backend, ignore = false): void {
  for (const one of cases) testCase(name, one, create, ignore);
}

function testCase(name: string, one: Case, create: (threads: number) => Backend, ignore: boolean): void {
  Deno.test({
    name: `on ${name}, the bits of ${one.name} are the same from run to run, and close for other threads`,
    // The workers of a device outlive a test.
    sanitizeResources: false,
    sanitizeOps: false,
    ignore,
    async fn() {
      const inputs = inputsOf(one);
      const program = runPasses(trace(one.fn as (...args: never[]) => unknown, ...inputs).program); // tensors
      const options = { donate: inputs.map(() => false), keep: program.outputs.map(() => false) };
      for (const threads of [1, 2, 3]) {
        const runs: HostTensor[][] = [];
        for (let device = 0; device < 2; device++) {
          using executable = await create(threads).compile(program, options);
          for (let run = 0; run < 5; run++) runs.push((await executable.run(inputs)).map(host));
          if (threads > 1) {
            assert(executable.describe().includes(`: ${threads} threads`), executable.describe());
          }
        }
        for (const run of runs) {
          run.forEach(({ data }, output) => {
            const differs = data.findIndex((value: number, i: number) => value !== runs[0][output].data[i]);
            assert(differs < 0, `${threads} threads gave another output ${output} at ${differs}`);
          });
        }
        await assertRight(create(threads), one.fn, inputs.map((input) => specOf(input)), [inputs]);
      }
    },
  });
}
