/**
 * Every primitive on every backend against the table of `numbers.ts`: of values that are given at run time, of constants,
 * and of one value that is given with one that is built in.
 */
import { assert } from "@std/assert";
import { host, type HostTensor, hostTensor, type Tensor, trace } from "../../mod.ts";
import type { Backend } from "../../kernels/backend.ts";
import { reference } from "../../kernels/reference/mod.ts";
import { hasRelaxedSimd } from "../../kernels/wasm/assembler.ts";
import { createWasm } from "../../kernels/wasm/mod.ts";
import { createWebGpu } from "../../kernels/webgpu/mod.ts";
import { optimise } from "../../src/transforms/optimise/mod.ts";
import { type Check, compositions, floats, numbers, ofFloats, ofPairs } from "./numbers.ts";

const webgpu = createWebGpu();
const backends: readonly { readonly name: string; readonly backend: Backend; readonly ignore?: boolean }[] = [
  { name: "reference", backend: reference },
  ...[1, 2].flatMap((threads) =>
    [true, false].map((relaxed) => ({
      name: `wasm with ${threads} threads and ${relaxed ? "relaxed" : "plain"} SIMD`,
      backend: createWasm({ threads, relaxed, shareFrom: threads > 1 ? 0 : undefined }),
      ignore: relaxed && !hasRelaxedSimd(),
    }))
  ),
  { name: "webgpu", backend: webgpu, ignore: !await webgpu.available() },
];

/** Eight roundings, each of half the distance from 1 to the next float32; and twice the smallest denormal. */
const RELATIVE = 8 * 2 ** -24, ABSOLUTE = 2 ** -148;

/** Whether a result is what it should be: any NaN for NaN, with the sign of a zero, and else within rounding. */
function isRight(actual: number, expected: number, dtype: HostTensor["dtype"]): boolean {
  if (dtype !== "float32") return actual === expected;
  const wanted = Math.fround(expected);
  if (Object.is(actual, wanted)) return true;
  return wanted !== 0 && Math.abs(actual - wanted) <= Math.max(RELATIVE * Math.abs(wanted), ABSOLUTE);
}

/** A number with the sign of a zero. */
const show = (value: number) => Object.is(value, -0) ? "-0" : String(value);

/** A way to hand the values of a check to its function. */
interface Way {
  readonly name: string;
  readonly fn: (...inputs: Tensor[]) => Tensor[];
  readonly inputs: readonly HostTensor[];
  /** The index of the expected result for each result. */
  readonly order: readonly number[];
}

function waysOf({ fn, inputs, expected, pairsOf }: Check): Way[] {
  const order = expected.map((_, i) => i);
  const given: Way[] = [
    { name: "given", fn: (...inputs) => [fn(...inputs)], inputs, order },
    { name: "as constants", fn: (_: Tensor) => [fn(...inputs)], inputs: [floats([1])], order },
  ];
  if (!pairsOf) return given;
  const count = pairsOf.data.length;
  const scalars = Array.from({ length: count }, (_, i) => hostTensor(pairsOf.data.slice(i, i + 1), []));
  return [
    ...given,
    { name: "with the first built in", fn: (x) => scalars.map((a) => fn(a, x)), inputs: [pairsOf], order },
    {
      name: "with the second built in",
      fn: (x) => scalars.map((b) => fn(x, b)),
      inputs: [pairsOf],
      order: order.map((i) => (i % count) * count + Math.floor(i / count)),
    },
  ];
}

/** Faults of a backend, as lines. */
async function faultsOf(backend: Backend, check: Check): Promise<string[]> {
  const faults: string[] = [];
  for (const { name, fn, inputs, order } of waysOf(check)) {
    const { program: traced } = trace(fn as (...args: never[]) => unknown, ...inputs); // takes as many as there are
    for (const [stage, program] of [["optimised", optimise(traced)], ["as traced", traced]] as const) {
      const options = { donate: inputs.map(() => false), keep: program.outputs.map(() => false) };
      using compiled = await backend.compile(program, options);
      const outputs = (await compiled.run(inputs)).map(host);
      const results = outputs.flatMap(({ data }) => Array.from<number>(data));
      assert(results.length === order.length, `${results.length} results, expected ${order.length}`);
      results.forEach((result, i) => {
        const at = order[i], expected = check.expected[at];
        if (isRight(result, expected, outputs[0].dtype)) return;
        const aligned = check.inputs.every(({ data }) => data.length === check.expected.length);
        const of = aligned ? check.inputs.map(({ data }) => show(data[at])).join(", ") : `element ${at}`;
        faults.push(`${name}, ${stage}, of ${of}: ${show(result)}, expected ${show(expected)}`);
      });
    }
  }
  return faults;
}

for (const { name, backend, ignore } of backends) {
  // Workers and a device outlive a test.
  const options = { ignore, sanitizeResources: false, sanitizeOps: false };
  const hold = async (checks: readonly Check[]) => {
    const faults: string[] = [];
    for (const check of checks) faults.push(...await faultsOf(backend, check));
    assert(faults.length === 0, `${faults.length} faults:\n${faults.slice(0, 12).join("\n")}`);
  };
  Deno.test({
    name: `${name} has the special values of every primitive`,
    ...options,
    async fn(t) {
      for (const [operation, { checks }] of Object.entries(numbers)) {
        await t.step(operation, () => hold(checks));
      }
    },
  });
  Deno.test({
    name: `${name} computes with NaN and infinities as it is written`,
    ...options,
    async fn(t) {
      for (const [text, [fn, definition]] of Object.entries(compositions)) {
        await t.step(
          text,
          () =>
            hold([
              fn.length === 1
                ? ofFloats(fn as (a: Tensor) => Tensor, definition as (a: number) => number)
                : ofPairs(fn, definition),
            ]),
        );
      }
    },
  });
}
