/** How many random examples a property is tried on. */

/** What `CELLFOLD_EXAMPLES` says, where it may be read. */
function asked(): string {
  const { state } = Deno.permissions.querySync({ name: "env", variable: "CELLFOLD_EXAMPLES" });
  return state === "granted" ? Deno.env.get("CELLFOLD_EXAMPLES") ?? "all" : "few";
}

const examples = asked();
if (!["all", "some", "few"].includes(examples)) {
  throw new RangeError(
    `Cannot read CELLFOLD_EXAMPLES: current value is "${examples}", expected all, some or few`,
  );
}

/** Whether a few examples are enough. */
export const fewExamples = examples === "few";

/** Whether all examples are wanted: CI leaves out some of what it draws, or checks in another way too. */
export const allExamples = examples === "all";

/** A count that is small enough for `CELLFOLD_EXAMPLES=some` to leave it as it is. */
const SMALL = 20;

/**
 * All of `count`; with `CELLFOLD_EXAMPLES=some`, as in CI, which draws others each time, a fifth of what is many; or a
 * twentieth with `CELLFOLD_EXAMPLES=few`, as in `deno task test:quick`, and where tests have no permissions: they then ask
 * whether anything wants one, not once more whether all is right.
 */
export function exampleCount(count: number): number {
  if (fewExamples) return Math.ceil(count / 20);
  return examples === "some" && count > SMALL ? Math.ceil(count / 5) : count;
}
