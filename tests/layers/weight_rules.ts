/** What tests of penalties and constraints read and compare. */
import { host, type Tensor } from "@cellfold/cellfold";
import { assert } from "@std/assert";

/** Asserts that a number is as expected but for rounding. */
export function near(actual: number, expected: number, message = ""): void {
  const error = Math.abs(actual - expected);
  assert(error <= 2e-6 * Math.max(1, Math.abs(expected)), `${message}: ${actual} instead of ${expected}`);
}

/** The values of a tensor. */
export function valuesOf(x: Tensor): number[] {
  return [...host(x).data];
}
