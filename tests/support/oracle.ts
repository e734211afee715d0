/** Reads cases of the numeric oracle for unit tests, where they may be read. */
import { type HostTensor, hostTensor } from "../../src/tensor/tensor.ts";
import { mayReadCases, readGroup } from "../oracle/files.ts";
import { type OracleTensor, type OracleTensors, tensorOf } from "../oracle/format.ts";

export { camelCase } from "../oracle/names.ts";
export { mayReadCases, type OracleTensor, type OracleTensors, tensorOf };

/** The part of a case that the unit tests read. */
export interface OracleCase {
  readonly name: string;
  readonly layer: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly inputs: OracleTensors;
  readonly weights: OracleTensors;
  readonly outputs: OracleTensors;
  readonly steps: readonly {
    readonly op?: string;
    readonly inputs?: OracleTensors;
    readonly outputs: OracleTensors;
    readonly grads: OracleTensors;
    readonly weights_after: OracleTensors;
  }[];
}

/** All cases of a group. */
export async function oracleCases(group: string): Promise<OracleCase[]> {
  return JSON.parse(await readGroup(group)).cases;
}

/** A scalar float32 of the oracle's form. */
export function scalarOf(value: number): HostTensor {
  return hostTensor(new Float32Array([value]), []);
}

/** Fails unless all elements differ by at most `tolerance` times the largest magnitude expected (at least 1e-6). */
export function assertClose(
  actual: HostTensor,
  expected: OracleTensor,
  tolerance: number,
  what: string,
): void {
  if (String(actual.shape) !== String(expected.shape)) {
    throw new Error(`${what}: the shape is [${actual.shape}], expected [${expected.shape}]`);
  }
  const largest = expected.data.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const allowed = Math.max(1e-6, tolerance * largest);
  expected.data.forEach((value, index) => {
    if (Math.abs(actual.data[index] - value) <= allowed) return;
    throw new Error(
      `${what}: element ${index} is ${actual.data[index]}, expected ${value} within ${allowed}`,
    );
  });
}
