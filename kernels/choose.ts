/**
 * How the device `auto` is chosen for a Program:
 *
 * 1. The device that holds an argument, so that the functions of a training run share its parameters.
 * 2. WebGPU on a GPU, if a call has at least {@linkcode WORTH_GPU} multiply-adds in products. An adapter that
 *    computes on the CPU never beats wasm or native, which have the same CPU to themselves.
 * 3. Native where Deno is permitted to compile and load C, else wasm if the engine has SIMD, else the reference.
 *
 * The threshold of the second rule is an estimate, not a measurement: wasm takes 10 to 25 ms for that many on
 * two cores, and a GPU one or two milliseconds on top of submitting a call and iterating over the steps of a
 * scan.
 */
import { bindShapes } from "../src/program/bindings.ts";
import type { Program, Value } from "../src/program/types.ts";
import { type Bindings, evaluateShape, type Shape } from "../src/tensor/dims.ts";
import type { Tensor } from "../src/tensor/tensor.ts";
import type { Backend } from "./backend.ts";
import { sizeOf } from "./shapes.ts";

/** Multiply-adds per call from which a GPU is worth it. */
export const WORTH_GPU = 1e9;

/** A backend, and why it was chosen. */
export interface Choice {
  readonly backend: Backend;
  readonly why: string;
}

/** The multiply-adds of the products in a call of a Program. */
export function multiplyAdds({ equations }: Program, bindings: Bindings): number {
  return equations.reduce((sum, { operation, inputs, outputs, attributes }) => {
    if (operation.name === "scan" && "body" in attributes) {
      const { body, length } = attributes;
      const [steps] = evaluateShape([length], bindings);
      return sum + steps * multiplyAdds(body, bindings);
    }
    const terms = termsOf[operation.name]?.(inputs, attributes);
    if (terms === undefined) return sum;
    return sum + sizeOf(evaluateShape([...outputs[0].shape, ...terms], bindings));
  }, 0);
}

/** The sizes whose product is how many terms an element of a product is the sum of. */
const termsOf: { readonly [Name in string]?: (inputs: readonly Value[], attributes: object) => Shape } = {
  matmul: ([{ shape }], attributes) => {
    const transposed = "transposeLeft" in attributes && attributes.transposeLeft;
    return [shape[shape.length - (transposed ? 2 : 1)]];
  },
  convolve: ([, kernel]) => kernel.shape.slice(0, -1),
};

/**
 * The backend among `candidates` for a call with these inputs. It checks for a GPU only if one would be worth
 * it: opening its driver takes a second on some machines.
 */
export async function chooseBackend(
  candidates: readonly Backend[],
  program: Program,
  inputs: readonly Tensor[],
): Promise<Choice> {
  const able = candidates.filter((candidate) => candidate.supports(program));
  // A backend chosen by name reports itself why it cannot run.
  if (candidates.length === 1 || able.length === 0) return { backend: candidates[0], why: "as asked for" };
  const lies = able.find(({ name }) =>
    inputs.some((input) => input.kind === "device" && input.device === name)
  );
  if (lies) return { backend: lies, why: "arguments are stored there" };
  const backend = able.find(({ hasGpu }) => !hasGpu) ?? able[0];
  const gpu = able.find(({ hasGpu }) => hasGpu);
  if (!gpu?.hasGpu) return { backend, why: "the fastest here that can run it" };
  const shapes = inputs.map(({ shape }) => shape.map(Number)); // of arguments, which are numbers
  const count = multiplyAdds(program, bindShapes(program.inputs.map(({ shape }) => shape), shapes));
  const much = `${count.toPrecision(2)} multiply-adds a call`;
  if (count < WORTH_GPU) return { backend, why: `${much}, fewer than a graphics processor is worth` };
  return await gpu.hasGpu()
    ? { backend: gpu, why: much }
    : { backend, why: "there is no graphics processor" };
}
