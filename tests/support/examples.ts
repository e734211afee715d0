/** How many random examples a property is tried on. */

/** What `CELLFOLD_EXAMPLES` says, where it may be read. */
function asked(): string {
  const { state } = Deno.permissions.querySync({ name: "env", variable: "CELLFOLD_EXAMPLES" });
  return state === "granted" ? Deno.env.get("CELLFOLD_EXAMPLES") ?? "all" : "few";
}

const examples = asked();
if (examples !== "all" && examples !== "few") {
  throw new RangeError(`Cannot read CELLFOLD_EXAMPLES: current value is "${examples}", expected all or few`);
}

/** Whether a few examples are enough. */
export const fewExamples = examples === "few";

/**
 * All of `count`, or a twentieth with `CELLFOLD_EXAMPLES=few`, as in `deno task test:quick`, and where tests have no
 * permissions: they then ask whether anything wants one, not once more whether all is right.
 */
export function exampleCount(count: number): number {
  return fewExamples ? Math.ceil(count / 20) : count;
}
