/** The losses on Deno, and how near another platform must come to them. */
import { assert, assertEquals } from "@std/assert";
import * as cellfold from "../../../mod.ts";
import { type DeviceName, everywhere, type Losses, smoke } from "../smoke.ts";

/** Sums are ordered by the number of threads and products are rounded by the kind of SIMD; 50 steps amplify both. */
const TOLERANCE = 1e-4;

const DEFAULT = "default" satisfies DeviceName;
let losses: Promise<Losses> | undefined;

/** The losses of the source on this Deno, on its default device. */
async function lossesOnDeno(): Promise<readonly number[]> {
  return (await (losses ??= smoke(cellfold, [DEFAULT])))[DEFAULT] ?? [];
}

/** Fails unless each of these devices has the losses of Deno's default, and the model has learnt. */
export async function assertLossesOfDeno(
  actual: Losses,
  names: readonly DeviceName[] = everywhere,
): Promise<void> {
  const expected = await lossesOnDeno();
  assertEquals<readonly string[]>(Object.keys(actual), names);
  for (const [name, found] of Object.entries(actual)) {
    assertEquals(found.length, expected.length, name);
    const difference = Math.max(...found.map((loss, step) => Math.abs(loss - expected[step])));
    assert(difference <= TOLERANCE, `${name}: losses differ from Deno's by up to ${difference}`);
  }
  assert(expected[expected.length - 1] < 0.9 * expected[0], `from ${expected[0]} to ${expected.at(-1)}`);
}
