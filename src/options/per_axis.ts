/** Options with one number for each spatial axis, or one for all of them. */
import { checkCount } from "../describe.ts";
import { quoted } from "../quoted.ts";

/** A number for all spatial axes, or one for each. */
export type PerAxis = number | readonly number[];

/**
 * One number from `least` for each spatial axis.
 *
 * @param owner The layer or cell, for errors.
 */
export function perAxis(owner: string, option: string, value: PerAxis, axes: number, least = 1): number[] {
  const list = typeof value === "number"
    ? new Array<number>(axes).fill(value)
    : Array.isArray(value)
    ? [...value]
    : [];
  if (list.length !== axes) {
    throw new RangeError(
      `Cannot make ${owner}: ${option} is ${quoted(value)}, expected a number or ${axes} of them`,
    );
  }
  list.forEach((size) => checkCount(`make ${owner}`, size, option, least));
  return list;
}
