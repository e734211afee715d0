/**
 * When a number is right: within a tolerance relative to the largest magnitude of the expected tensor, with an
 * absolute floor. Shapes and dtypes are part of the answer; whole numbers and booleans must be equal.
 */
import type { HostTensor, Tensor } from "../../src/tensor/tensor.ts";
import type { OracleTensor, OracleTensors } from "./format.ts";

/** Of outputs, relative to the largest magnitude expected. */
export const OUTPUT_TOLERANCE = 1e-5;

/** Of gradients and training trajectories. */
export const GRADIENT_TOLERANCE = 1e-4;

/** Differences up to this are never a miss. */
const FLOOR = 1e-6;

/** What came of comparing one tensor. */
export interface Finding {
  /** The tensor's name, such as `grads kernel`. */
  readonly what: string;
  readonly passed: boolean;
  /** The largest difference over the largest magnitude expected; above the tolerance exactly where it is a miss. */
  readonly relative: number;
  /** Why it is a miss. */
  readonly reason?: string;
}

/** A miss that is no difference of values. */
export function miss(what: string, reason: string): Finding {
  return { what, passed: false, relative: Infinity, reason };
}

function isWhole(dtype: string): boolean {
  return dtype !== "float32" && dtype !== "float64";
}

/** The dtypes in which a tensor of the oracle may come out. */
function fits(actual: string, expected: string): boolean {
  return actual === expected || (actual === "int32" && (expected === "int64" || expected === "uint8"));
}

/** Compares one tensor. */
export function compareTensor(
  what: string,
  actual: Tensor | undefined,
  expected: OracleTensor,
  tolerance: number,
): Finding {
  if (actual === undefined) return miss(what, "there is no such tensor");
  if (actual.kind !== "host") return miss(what, "it is not on the host");
  if (!fits(actual.dtype, expected.dtype)) {
    return miss(what, `its dtype is ${actual.dtype}, expected ${expected.dtype}`);
  }
  if (actual.shape.join() !== expected.shape.join()) {
    return miss(what, `its shape is [${actual.shape}], expected [${expected.shape}]`);
  }
  return compareValues(what, actual, expected, isWhole(expected.dtype) ? 0 : tolerance);
}

function compareValues(what: string, actual: HostTensor, expected: OracleTensor, tolerance: number): Finding {
  let [largest, worst, at] = [0, 0, 0];
  for (let index = 0; index < expected.data.length; index++) {
    const [a, b] = [actual.data[index], expected.data[index]];
    largest = Math.max(largest, Math.abs(b));
    const error = Object.is(a, b) || a === b ? 0 : Math.abs(a - b);
    if (Number.isNaN(error) || Number.isNaN(a)) {
      return miss(what, `element ${index} is ${a}, expected ${b}`);
    }
    if (error > worst) [worst, at] = [error, index];
  }
  if (worst === 0) return { what, passed: true, relative: 0 };
  if (tolerance === 0) {
    return miss(what, `element ${at} is ${actual.data[at]}, expected ${expected.data[at]} exactly`);
  }
  const allowed = Math.max(tolerance * largest, FLOOR);
  // Over the floor's scale where that is larger, so that the figure is above the tolerance just where it is a miss.
  const relative = worst * tolerance / allowed;
  if (worst <= allowed) return { what, passed: true, relative };
  const reason = `element ${at} is ${actual.data[at]}, expected ${expected.data[at]}: error ${
    printError(worst)
  }, tolerance ${printError(allowed)}`;
  return { what, passed: false, relative, reason };
}

/** Compares every expected tensor with that of the same name. */
export function compareTensors(
  part: string,
  actual: Readonly<Record<string, Tensor>>,
  expected: OracleTensors,
  tolerance: number,
): Finding[] {
  return Object.entries(expected).map(([name, tensor]) =>
    compareTensor(`${part} ${name}`, actual[name], tensor, tolerance)
  );
}

/** Compares a number. */
export function compareNumber(
  what: string,
  actual: number | undefined,
  expected: number,
  tolerance: number,
): Finding {
  if (actual === undefined) return miss(what, "there is no such number");
  const value: HostTensor = { kind: "host", shape: [], dtype: "float64", data: new Float64Array([actual]) };
  return compareTensor(what, value, { shape: [], dtype: "float64", data: [expected] }, tolerance);
}

/** An error as people read it: `3e-7`. */
export function printError(error: number): string {
  return error === 0 ? "0" : error.toExponential(0);
}
