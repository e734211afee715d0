/** A process that is killed, and started again: what it ends with is what it would have been. */
import { assert, assertEquals } from "@std/assert";
import { killAndResume } from "./interrupted/kill.ts";

const mayRun = (["read", "write", "run"] as const).every((name) =>
  Deno.permissions.querySync({ name }).state === "granted"
);

Deno.test({
  name: "a run that is killed at random moments ends bit for bit as one that was left alone" +
    (mayRun ? "" : " (needs --allow-run --allow-read --allow-write)"),
  ignore: !mayRun,
  fn: async () => {
    const seed = Date.now() % 1e6;
    const survival = await killAndResume({ moments: 5, seed });
    assertEquals(survival.different, 0, JSON.stringify(survival));
    assertEquals(survival.killed, 5);
    assert(survival.runs > 0, JSON.stringify(survival));
  },
});
