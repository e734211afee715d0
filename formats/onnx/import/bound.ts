/** Inputs of a graph that are bound to constants when it is read. */
import { isObject, wrongKind } from "../../../src/describe.ts";
import type { NestedNumbers } from "../../../src/tensor/nested.ts";
import { host, isTensor, type Tensor, tensor } from "../../../src/tensor/tensor.ts";
import { noSuch } from "./axes.ts";
import { checkInput, type OnnxInput } from "./inputs.ts";
import { asSizes, type OnnxValue, valueOf } from "./values.ts";

/** A constant: a tensor, or the numbers or bools of one. */
export type OnnxConstant = Tensor | NestedNumbers;

/**
 * The values of inputs that the option `constants` binds, by name.
 *
 * @throws RangeError for a name that is no input, or a number that its dtype cannot hold; TypeError for a value that
 *   cannot be the input.
 */
export function boundInputs(constants: unknown, inputs: readonly OnnxInput[]): Map<string, OnnxValue> {
  const bound = new Map<string, OnnxValue>();
  if (constants === undefined) return bound;
  if (!isObject(constants) || isTensor(constants)) {
    throw wrongKind("use fromOnnx", constants, "constants", "an object of values by the names of inputs");
  }
  for (const [name, given] of Object.entries(constants)) {
    const input = inputs.find((input) => input.name === name);
    if (!input) throw noSuch(name, inputs.map(({ name }) => name), "constants");
    const value = isTensor(given) ? host(given) : tensor(given as NestedNumbers, { dtype: input.dtype }); // which checks it
    checkInput(input, value);
    bound.set(name, asSizes(valueOf(value)));
  }
  return bound;
}
