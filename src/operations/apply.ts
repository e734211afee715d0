/**
 * The only entry to the primitives: inside a trace an operation is recorded, outside it is computed
 * immediately.
 */
import { type Application, evaluate } from "../../kernels/reference/mod.ts";
import { wrongKind } from "../describe.ts";
import { type HostTensor, isTensor, printSpec, type Tensor } from "../tensor/tensor.ts";
import { handOnLogits } from "./logits.ts";
import { emit, isTracing, strayTensor } from "../program/trace.ts";
import type { Attributes, Operation, OperationName } from "../program/types.ts";

/** Applies a primitive: traced inside a trace, computed by the reference backend outside. */
export function apply<K extends OperationName>(
  operation: Operation<K>,
  inputs: readonly Tensor[],
  attributes: Attributes[K],
): Tensor[] {
  for (const input of inputs) {
    if (isTensor(input)) continue;
    throw wrongKind(`compute ${operation.name}`, input, "an operand", "a tensor; make one with tensor(...)");
  }
  const outputs = isTracing() ? emit(operation, inputs, attributes) : applyNow(operation, inputs, attributes);
  handOnLogits(
    operation,
    inputs,
    attributes,
    outputs[0],
    (others) => apply(operation, others, attributes)[0],
  );
  return outputs;
}

/** Computes a primitive immediately. */
function applyNow<K extends OperationName>(
  operation: Operation<K>,
  inputs: readonly Tensor[],
  attributes: Attributes[K],
): Tensor[] {
  const onHost = inputs.map((input): HostTensor => {
    if (input.kind === "host") return input;
    if (input.kind === "traced") throw strayTensor(input);
    throw new TypeError(
      `Cannot compute ${operation.name} at once on ${
        printSpec(input)
      }: it is on the device ${input.device}; ` +
        `compile the function, or read the tensor with await toHost(tensor)`,
    );
  });
  const application: Application<K> = { operation, attributes };
  return evaluate(application, onHost, operation.infer(inputs, attributes));
}

/** Applies a primitive with one output. */
export function applyOne<K extends OperationName>(
  operation: Operation<K>,
  inputs: readonly Tensor[],
  attributes: Attributes[K],
): Tensor {
  return apply(operation, inputs, attributes)[0];
}
