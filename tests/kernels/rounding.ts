/**
 * Holds what a backend computes of a function against the reference, within rounding that is derived case by case: the
 * function is run in float64, and once more in float32 by the reference, whose distance from float64 is what rounding
 * makes of this case. A backend rounds the same operations in another order.
 */
import { assert, assertEquals } from "@std/assert";
import {
  cast,
  host,
  type HostTensor,
  printProgram,
  type Spec,
  type Tensor,
  tensor,
  trace,
} from "../../mod.ts";
import type { Backend } from "../../kernels/backend.ts";
import { runProgram } from "../../kernels/reference/mod.ts";
import type { Program } from "../../src/program/types.ts";
import { runPasses } from "../../src/passes/mod.ts";
import { flattenTree, mapLike } from "../../src/tree/tree.ts";

/** Half the distance from 1 to the next float32. */
const UNIT = 2 ** -24;
/** How many roundings of the largest number one result may gather; as for float64 in finite_differences.ts. */
const ROUNDINGS = 256;
/** How much farther from float64 another order of the operations may be than the reference's. */
const ORDERS = 16;

/** A tree with its float64 tensors in float32, and others as they are. */
export function narrow<T>(tree: T): T {
  return mapLike(tree, (x: Tensor) => x.dtype === "float64" ? host(cast(x, "float32")) : x);
}

function widen<T>(tree: T): T {
  return mapLike(tree, (x: Tensor) => x.dtype === "float32" ? host(cast(x, "float64")) : x);
}

function widenSpecs<T>(specs: T): T {
  return mapLike(
    specs,
    ({ shape, dtype }: Spec): Spec => ({ shape, dtype: dtype === "float32" ? "float64" : dtype }),
  );
}

/**
 * Fails unless `fn` on the backend gives what it gives in float64, but for rounding, for every one of `calls`,
 * twice in a row.
 *
 * @param fn Works in the dtype of its arguments.
 * @param specs float32, with symbolic sizes where `calls` differ in them.
 * @param options `unoptimized`: also as traced.
 */
export async function assertRight<Args extends readonly unknown[]>(
  backend: Backend,
  fn: (...args: Args) => unknown,
  specs: readonly unknown[],
  calls: readonly Args[],
  { unoptimized = false }: { readonly unoptimized?: boolean } = {},
): Promise<void> {
  const traceWith = (given: readonly unknown[]) =>
    trace(fn as (...args: never[]) => unknown, ...given).program; // of the structure of Args
  const [traced, exact] = [traceWith(specs), traceWith(widenSpecs(specs))];
  for (const program of [runPasses(traced), ...(unoptimized ? [traced] : [])]) {
    const options = {
      donate: program.inputs.map(() => false),
      keep: program.outputs.map(() => false),
    };
    using executable = await backend.compile(program, options);
    for (const args of calls) {
      const { leaves } = flattenTree<HostTensor>(args);
      const { truth, allowed } = truthOf(traced, exact, leaves);
      const [first, second] = [await executable.run(leaves), await executable.run(leaves)];
      truth.forEach((expected, output) => {
        const name = `output ${output} on ${backend.name}`;
        const [actual, again] = [host(first[output]), host(second[output])];
        compare(actual, expected, allowed, name, () => printProgram(program));
        const differs = actual.data.findIndex((value: number, i: number) => !Object.is(value, again.data[i]));
        assert(differs < 0, `${name} at ${differs} is ${actual.data[differs]}, then ${again.data[differs]}`);
      });
    }
  }
}

/**
 * The results of a function in float64, and how far from them they may be in float32.
 *
 * @param traced The function in float32.
 * @param exact The same in float64.
 */
function truthOf(
  traced: Program,
  exact: Program,
  args: readonly HostTensor[],
): { readonly truth: readonly HostTensor[]; readonly allowed: number } {
  const truth = runProgram(exact, widen(args));
  return { truth, allowed: tolerance(truth, runProgram(traced, args)) };
}

/**
 * Fails unless these are the values that `fn` gives in float64, but for rounding.
 *
 * @param fn Works in the dtype of its arguments.
 * @param options `exact`: as many outputs, the first ones, that nothing rounds.
 */
export function assertValues(
  fn: (...args: readonly Tensor[]) => readonly Tensor[],
  args: readonly HostTensor[],
  values: readonly (readonly number[])[],
  { name, exact: count }: { readonly name: string; readonly exact: number },
): void {
  const [traced, exact] = [args, widen(args)].map((each) => trace(fn, ...each).program);
  const { truth, allowed } = truthOf(traced, exact, args);
  assertEquals(values.length, truth.length, name);
  truth.forEach((expected, output) => {
    const { shape } = expected;
    const actual = tensor(values[output], { shape, dtype: "float64" });
    const bound = output < count ? 0 : allowed;
    compare(actual, expected, bound, `output ${output} of ${name}`, () => printProgram(traced));
  });
}

/** How far a float32 result of this case may be from the truth. */
function tolerance(truth: readonly HostTensor[], rounded: readonly HostTensor[]): number {
  let [largest, error] = [0, 0];
  truth.forEach((exact, output) => {
    if (exact.dtype !== "float64") return;
    exact.data.forEach((value: number, i: number) => {
      if (!Number.isFinite(value)) return;
      largest = Math.max(largest, Math.abs(value));
      error = Math.max(error, Math.abs(value - rounded[output].data[i]));
    });
  });
  return ROUNDINGS * UNIT * (1 + largest) + ORDERS * error;
}

function compare(
  actual: HostTensor,
  expected: HostTensor,
  allowed: number,
  name: string,
  describe: () => string,
): void {
  assert(
    actual.shape.join() === expected.shape.join(),
    `${name} is [${actual.shape}], not [${expected.shape}]`,
  );
  const bound = expected.dtype === "float64" ? allowed : 0;
  expected.data.forEach((value: number, i: number) => {
    if (Object.is(actual.data[i], value) || Math.abs(actual.data[i] - value) <= bound) return;
    throw new Error(
      `${name} at ${i} is ${actual.data[i]}, expected ${value} within ${bound}, in\n${describe()}`,
    );
  });
}
