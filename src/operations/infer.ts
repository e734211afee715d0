/** What shape rules share: checks whose errors name both shapes. */
import { printSpec, type Spec } from "../tensor/tensor.ts";
import { sameShape } from "../tensor/dims.ts";

/** Whether a dtype has derivatives. */
export function isFloat(spec: Spec): boolean {
  return spec.dtype === "float32" || spec.dtype === "float64";
}

/** Specs as text, for errors. */
export function printSpecs(specs: readonly Spec[]): string {
  return specs.map(printSpec).join(" and ");
}

/** Throws unless every input is a float. */
export function requireFloat(name: string, inputs: readonly Spec[]): void {
  if (!inputs.every(isFloat)) {
    throw new TypeError(
      `Cannot compute ${name} of ${printSpecs(inputs)}: it takes floats; use cast(x, "float32")`,
    );
  }
}

/** Throws unless every input is a number (not bool). */
export function requireNumber(name: string, inputs: readonly Spec[]): void {
  if (inputs.some((input) => input.dtype === "bool")) {
    throw new TypeError(
      `Cannot compute ${name} of ${printSpecs(inputs)}: it takes numbers; use cast(x, "float32")`,
    );
  }
}

/** Throws unless every input is bool. */
export function requireBool(name: string, inputs: readonly Spec[]): void {
  if (inputs.some((input) => input.dtype !== "bool")) {
    throw new TypeError(
      `Cannot compute ${name} of ${printSpecs(inputs)}: it takes bool; compare first, as in less(x, 0)`,
    );
  }
}

/** Throws unless all inputs have one dtype. */
export function requireSameDType(name: string, inputs: readonly Spec[]): void {
  if (inputs.some((input) => input.dtype !== inputs[0].dtype)) {
    throw new TypeError(
      `Cannot compute ${name} of ${printSpecs(inputs)}: the dtypes differ; use cast(x, dtype)`,
    );
  }
}

/** Throws unless all inputs have one shape. */
export function requireSameShape(name: string, inputs: readonly Spec[]): void {
  if (inputs.some((input) => !sameShape(input.shape, inputs[0].shape))) {
    throw new TypeError(`Cannot compute ${name} of ${printSpecs(inputs)}: the shapes differ`);
  }
}
