/** Holds a backend to the reference on every primitive, optimized and as traced. */
import { assert } from "@std/assert";
import {
  bernoulli,
  cast,
  floor,
  host,
  type HostTensor,
  hostTensor,
  key,
  normal,
  type Tensor,
  trace,
  uniform,
} from "../../mod.ts";
import type { Backend } from "../../kernels/backend.ts";
import { reference } from "../../kernels/reference/mod.ts";
import { runPasses } from "../../src/passes/mod.ts";
import { exampleCount } from "../support/examples.ts";
import { scrambled } from "./accuracy.ts";
import { agreementCases } from "./agreement.ts";
import type { AgreementCase } from "./agreement_case.ts";

/** float32 sums of a few hundred terms in another order, and functions good to 2e-7. */
const TOLERANCE = 2e-5;

/**
 * A test with a step for each case; its name is `<name> agrees with the reference on every primitive`.
 *
 * @param each One of so many cases, from one that is drawn; default all.
 */
export function testAgreement(name: string, backend: Backend, ignore: boolean, each = 1): void {
  const first = Math.floor(Math.random() * each);
  Deno.test({
    name: `${name} agrees with the reference on every primitive`,
    ignore,
    // Workers and a device outlive a test.
    sanitizeResources: false,
    sanitizeOps: false,
    async fn(t) {
      for (const [index, one] of agreementCases.entries()) {
        for (const [how, optimized, special] of index % each === first ? waysOf(index) : []) {
          await t.step(`${one.name}${how}`, async () => {
            const drawn = inputsOf(one, index + 1);
            const inputs = special
              ? drawn.map((input, i) => withSpecialValues(input, 100 * index + i))
              : drawn;
            const { program: traced } = trace(one.fn as (...args: never[]) => unknown, ...inputs);
            const program = optimized ? runPasses(traced) : traced;
            const options = { donate: inputs.map(() => false), keep: program.outputs.map(() => false) };
            using expected = await reference.compile(program, options);
            using compiled = await backend.compile(program, options);
            const want = await expected.run(inputs);
            await compiled.run(inputs);
            const got = await compiled.run(inputs); // twice: nothing may depend on fresh memory
            want.forEach((tensor, output) => compare(host(got[output]), host(tensor), output));
          });
        }
      }
    },
  });
}

/** How a case is run: a word for it, whether optimized, and whether with special values among the floats. */
const WAYS = [
  ["", true, false],
  [", unoptimized", false, false],
  [", with special values", true, true],
  [", unoptimized with special values", false, true],
] as const;

/** All ways, or with few examples one of them, which other cases share. */
function waysOf(index: number): readonly (typeof WAYS)[number][] {
  const first = index % WAYS.length;
  return [...WAYS, ...WAYS].slice(first, first + exampleCount(WAYS.length));
}

/** NaN of either sign, infinities, zeros of either sign and a denormal, as bits. */
const SPECIAL = [0x7fc00000, 0xffc00001, 0x7f800000, 0xff800000, 0, 0x80000000, 0x00012345, 0x80012345];

/** The tensor with about every ninth float replaced. */
function withSpecialValues(tensor: HostTensor, seed: number): HostTensor {
  if (tensor.dtype !== "float32") return tensor;
  const data = Float32Array.from(tensor.data);
  const bits = new Uint32Array(data.buffer);
  bits.forEach((_, i) => {
    const drawn = scrambled(seed * 4096 + i);
    if (drawn % 9 === 0) bits[i] = SPECIAL[(drawn >>> 8) % SPECIAL.length];
  });
  return hostTensor(data, tensor.shape);
}

/** The inputs of a case. */
export function inputsOf({ inputs }: AgreementCase, seed: number): HostTensor[] {
  return inputs.map((input, index) => {
    const [first] = input;
    const shape = input.flatMap((size) => typeof size === "number" ? [size] : []);
    const drawn = key(seed * 100 + index);
    const tensor: Tensor = first === "int32"
      ? cast(floor(uniform(drawn, shape, { min: -2, max: 9 })), "int32")
      : first === "bool"
      ? bernoulli(drawn, shape, { probability: 0.6 })
      : normal(drawn, shape, { stddev: 0.8 });
    return host(tensor);
  });
}

/** Fails where an output differs by more than rounding explains. */
export function compare(actual: HostTensor, expected: HostTensor, output: number): void {
  assert(
    actual.dtype === expected.dtype && actual.shape.join() === expected.shape.join(),
    `output ${output} has another spec`,
  );
  const values = Array.from<number>(expected.data);
  const scale = values.reduce(
    (largest, x) => Number.isFinite(x) ? Math.max(largest, Math.abs(x)) : largest,
    0,
  );
  values.forEach((x, i) => {
    if (Object.is(x, actual.data[i])) return;
    const error = Math.abs(x - actual.data[i]);
    const allowed = expected.dtype === "float32" ? TOLERANCE * scale + 1e-7 : 0;
    assert(error <= allowed, `output ${output} at ${i}: ${actual.data[i]}, expected ${x}`);
  });
}
