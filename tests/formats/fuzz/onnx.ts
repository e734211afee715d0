/**
 * Mutated ONNX files, half of them as bytes and half as messages: each must be read and traced, or be refused with an OnnxError, soon.
 *
 *     deno run --allow-read tests/formats/fuzz/onnx.ts [count] [seed]
 *
 * Without a seed one is drawn; it is printed.
 */
import { fromOnnx, OnnxError, type OnnxInput, type OnnxModel } from "../../../formats/onnx/mod.ts";
import type { HostTensor, Spec, Tensor, Tree, Variables } from "../../../mod.ts";
import { outputSpecs } from "../../../src/program/functions.ts";
import { bytesOf, namedLeaves } from "../onnx/support/agree.ts";
import { exportCases } from "../onnx/support/cases.ts";
import { operatorCases } from "../onnx/support/operator_cases.ts";
import { fileOf } from "../onnx/support/graphs.ts";
import type { Named } from "../onnx/support/runtime.ts";
import { drawSeed, mutate, seeded } from "./mutate.ts";
import { mutateMessages } from "./onnx_messages.ts";

/** The longest that a file may take, in milliseconds; a file that is whole takes some 20. */
const LONGEST = 5_000;

/** What the language itself says of a mistake in the reader, whatever error it is told with. */
const INTERNAL =
  /undefined|is not a function|not iterable|of null|Invalid (array|typed array) length|call stack|BigInt|\[object/;

/** What came of the files. */
export interface Outcome {
  readonly read: number;
  readonly refused: number;
  /** Of one file, in milliseconds. */
  readonly longest: number;
}

/** A file that is whole, and what its inputs are given. */
interface Whole {
  readonly bytes: Uint8Array;
  readonly inputs: Named;
}

/** Exported models, and a graph for each operator. */
function files(): Whole[] {
  return [
    ...exportCases.map((one) => ({ bytes: bytesOf(one), inputs: namedLeaves(one.data, "input") })),
    ...operatorCases.map((one) => ({ bytes: fileOf(one), inputs: one.inputs })),
  ];
}

/** What an input of a mutated file is given: what that of the whole one was, where it still fits. */
function specOf({ name, shape, dtype }: OnnxInput, whole: Named): Spec {
  const given: HostTensor | undefined = whole[name];
  const fits = given?.dtype === dtype && (!shape || (shape.length === given.shape.length &&
    shape.every((dim, axis) => typeof dim !== "number" || dim === given.shape[axis])));
  return fits ? { shape: given.shape, dtype } : { shape: shape ?? [2, 3, 4], dtype };
}

/** Traces a model as a call of it would. */
function traced({ model, variables, inputs }: OnnxModel, whole: Named): void {
  const specs = inputs.map((input) => specOf(input, whole));
  outputSpecs(
    (variables: Variables, x: Tree<Tensor>) => model.apply(variables, x, { training: false }).output,
    variables,
    inputs.length === 1
      ? specs[0]
      : Object.fromEntries(inputs.map(({ name }, index) => [name, specs[index]])),
  );
}

/**
 * Reads mutated files.
 *
 * @throws Error for a file that is neither read nor refused with an OnnxError, or takes too long; with the seed and the
 *   number of the file, by which it can be made again.
 */
export function fuzz(count: number, seed: number): Outcome {
  const whole = files();
  let [read, refused, longest] = [0, 0, 0];
  for (let index = 0; index < count; index++) {
    const random = seeded(seed + index);
    const { bytes: file, inputs } = whole[random(whole.length)];
    const bytes = random(2) === 0 ? mutate(file, random) : mutateMessages(file, random);
    const begun = performance.now();
    try {
      traced(fromOnnx(bytes), inputs);
      read++;
    } catch (error) {
      if (!(error instanceof OnnxError) || INTERNAL.test(error.message)) {
        throw new Error(`File ${index} of seed ${seed} is not refused with an OnnxError`, { cause: error });
      }
      refused++;
    }
    const took = performance.now() - begun;
    longest = Math.max(longest, took);
    if (took > LONGEST) throw new Error(`File ${index} of seed ${seed} took ${took.toFixed(0)} ms`);
  }
  return { read, refused, longest };
}

if (import.meta.main) {
  const [count = 100_000, seed = drawSeed()] = Deno.args.map(Number);
  console.log(`ONNX: ${count} files, seed ${seed}`);
  const begun = performance.now();
  const { read, refused, longest } = fuzz(count, seed);
  const seconds = ((performance.now() - begun) / 1000).toFixed(0);
  console.log(
    `${count} files, seed ${seed}: ${read} read, ${refused} refused, longest ${
      longest.toFixed(0)
    } ms, ${seconds} s`,
  );
}
