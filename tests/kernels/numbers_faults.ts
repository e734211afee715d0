/** What a backend gives other than the table of `numbers.ts` says. */
import { host, type HostTensor, hostTensor, type Tensor, trace } from "../../mod.ts";
import type { Backend } from "../../kernels/backend.ts";
import { runPasses } from "../../src/passes/mod.ts";
import { type Check, floats, NORMAL, ofFloats, ofPairs } from "./numbers_checks.ts";
import { compositions } from "./numbers_compositions.ts";

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

function waysOf({ fn, inputs, expected, pairsOf }: Check, builtIn: boolean): Way[] {
  const order = expected.map((_, i) => i);
  const given: Way[] = [
    { name: "given", fn: (...inputs) => [fn(...inputs)], inputs, order },
    { name: "as constants", fn: (_: Tensor) => [fn(...inputs)], inputs: [floats([1])], order },
  ];
  if (!pairsOf || !builtIn) return given;
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

/**
 * Faults of a backend, as lines.
 *
 * @param options `builtIn`: of pairs also with every first and every second one built in. Without `denormals`, what is
 * made of denormals, or is one, is not looked at; WGSL may take them for 0.
 */
export async function faultsOf(
  backend: Backend,
  check: Check,
  { builtIn = true, denormals = true } = {},
): Promise<string[]> {
  const faults: string[] = [];
  for (const { name, fn, inputs, order } of waysOf(check, builtIn)) {
    const { program: traced } = trace(fn as (...args: never[]) => unknown, ...inputs); // takes as many as there are
    for (const [stage, program] of [["optimized", runPasses(traced)], ["as traced", traced]] as const) {
      const options = { donate: inputs.map(() => false), keep: program.outputs.map(() => false) };
      using compiled = await backend.compile(program, options);
      const outputs = (await compiled.run(inputs)).map(host);
      const results = outputs.flatMap(({ data }) => Array.from<number>(data));
      if (results.length !== order.length) {
        throw new Error(`${results.length} results, expected ${order.length}`);
      }
      results.forEach((result, i) => {
        const at = order[i], expected = check.expected[at];
        if (isRight(result, expected, outputs[0].dtype)) return;
        const aligned = check.inputs.every(({ data }) => data.length === check.expected.length);
        const involved = [expected, ...(aligned ? check.inputs.map(({ data }) => data[at]) : [])];
        if (!denormals && involved.some((x) => x !== 0 && Math.abs(x) <= NORMAL)) return;
        const of = aligned ? check.inputs.map(({ data }) => show(data[at])).join(", ") : `element ${at}`;
        faults.push(`${name}, ${stage}, of ${of}: ${show(result)}, expected ${show(expected)}`);
      });
    }
  }
  return faults;
}

/** The checks of compositions, by their text. */
export function compositionChecks(): (readonly [text: string, check: Check])[] {
  return Object.entries(compositions).map(([text, [fn, definition]]) => [
    text,
    fn.length === 1
      ? ofFloats((x) => fn(x, x), (x) => definition(x, x)) // which read the first alone
      : ofPairs(fn, definition),
  ]);
}
