/**
 * Mutated ONNX files, half of them as bytes and half as messages: each must be read and traced, or be refused with an OnnxError, soon.
 *
 *     deno run --allow-read tests/formats/fuzz/onnx.ts [count] [first seed]
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
import { mutate } from "./mutate.ts";
import { mutateMessages } from "./onnx_messages.ts";
import { fuzzAll, type Fuzzed, fuzzTarget } from "./target.ts";

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

/** Files mutated as bytes, and as messages. */
export const onnx: Fuzzed = {
  name: "ONNX",
  isDocumented: (error) => error instanceof OnnxError,
  targets: Object.fromEntries(
    Object.entries({ bytes: mutate, messages: mutateMessages }).map(([name, mutation]) => [
      name,
      fuzzTarget(
        files(),
        ({ bytes, inputs }, draw) => ({ bytes: mutation(bytes, draw), inputs }),
        ({ bytes, inputs }) => traced(fromOnnx(bytes), inputs),
      ),
    ]),
  ),
};

if (import.meta.main) await fuzzAll(onnx, Deno.args);
