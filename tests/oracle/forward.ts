/**
 * Cases that are one call: a pure function from named tensors (inputs, initial states, weights) to named tensors. Its
 * outputs are compared, and the gradient of the sum of outputs times cotangents is taken inside the compiled function,
 * with all tensors of `grads` as the tree that is differentiated.
 */
import { add, cast, mul } from "../../src/operations/elementwise.ts";
import { sum } from "../../src/operations/structure.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { compile } from "../../src/transforms/compile.ts";
import type { Device } from "../../src/transforms/devices.ts";
import { valueAndGrad } from "../../src/transforms/grad.ts";
import { compareTensors, type Finding, GRADIENT_TOLERANCE, OUTPUT_TOLERANCE } from "./compare.ts";
import { type OracleCase, tensorsIn, tensorsOf } from "./format.ts";
import type { Named } from "./names.ts";

/** From all tensors of a case by name to its outputs by name. */
export type Forward = (tensors: Named) => Named;

/** The sum over the names in `cotangents` of output times cotangent. */
export function weightedSum(outputs: Named, cotangents: Named): Tensor {
  const terms = Object.entries(cotangents).map(([name, cotangent]) => {
    if (!outputs[name]) throw new Error(`there is no output ${name} for its cotangent`);
    return sum(mul(outputs[name], cast(cotangent, outputs[name].dtype)));
  });
  if (terms.length === 0) throw new Error("gradients are expected, but there are no cotangents");
  return terms.reduce((total, term) => add(total, term));
}

/** Runs a call and compares outputs, loss and gradients. */
export async function runForward(
  oracleCase: OracleCase,
  forward: Forward,
  device: Device,
): Promise<Finding[]> {
  const { fields, place } = oracleCase;
  const expected = tensorsIn(fields, "outputs", place);
  const gradients = tensorsIn(fields, "grads", place);
  const given = tensorsOf({ ...tensorsIn(fields, "inputs", place), ...tensorsIn(fields, "weights", place) });
  const only = (tensors: Named): Named =>
    Object.fromEntries(Object.keys(expected).flatMap((name) => tensors[name] ? [[name, tensors[name]]] : []));
  if (Object.keys(gradients).length === 0) {
    using compiled = compile((tensors: Named) => only(forward(tensors)), { device });
    return compareTensors("outputs", await compiled(given), expected, OUTPUT_TOLERANCE);
  }
  const isActive = ([name]: [string, Tensor]) => name in gradients;
  const active: Named = Object.fromEntries(Object.entries(given).filter(isActive));
  const rest: Named = Object.fromEntries(Object.entries(given).filter((entry) => !isActive(entry)));
  const lossOf = (active: Named, rest: Named, cotangents: Named): [Tensor, Named] => {
    const outputs = forward({ ...active, ...rest });
    return [weightedSum(outputs, cotangents), only(outputs)];
  };
  using compiled = compile(valueAndGrad(lossOf), { device });
  const cotangents = tensorsOf(tensorsIn(fields, "cotangents", place));
  const [[, outputs], gradient] = await compiled(active, rest, cotangents);
  return [
    ...compareTensors("outputs", outputs, expected, OUTPUT_TOLERANCE),
    ...compareTensors("grads", gradient, gradients, GRADIENT_TOLERANCE),
  ];
}
