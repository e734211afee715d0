/** How many random examples a property is tried on. */

const isThorough = Deno.permissions.querySync({ name: "env" }).state === "granted";

/**
 * All of `count` where tests have permissions, and a tenth where they have none: `.ci/run` does both, and the second
 * run asks whether anything wants a permission, not once more whether all is right.
 */
export function exampleCount(count: number): number {
  return isThorough ? count : Math.ceil(count / 10);
}
