/** Runs a case: its model is made, and each of its properties checked. */
import type { Case } from "./description.ts";
import { realize } from "./data.ts";
import { type Device, Fault, trainerFor } from "./properties/context.ts";
import { properties } from "./properties/mod.ts";
import { Skipped } from "./skipped.ts";

/** What came of a property. */
export interface Verdict {
  readonly property: string;
  /** Why it had nothing to say. */
  readonly skipped?: string;
  readonly fault?: { readonly message: string; readonly program?: string };
}

/** What a case came to. */
export async function runCase(one: Case, device: Device): Promise<Verdict[]> {
  let realized;
  try {
    realized = realize(one);
  } catch (error) {
    if (error instanceof Skipped) return [{ property: "making", skipped: error.message }];
    return [{ property: "making", fault: faultOf(error) }];
  }
  const verdicts: Verdict[] = [];
  using trainer = trainerFor(realized, device);
  const context = { realized, device, trainer };
  for (const property of one.properties) {
    try {
      await properties[property].check(context);
      verdicts.push({ property });
    } catch (error) {
      verdicts.push(
        error instanceof Skipped ? { property, skipped: error.message } : { property, fault: faultOf(error) },
      );
    }
  }
  return verdicts;
}

function faultOf(error: unknown): Verdict["fault"] {
  if (error instanceof Fault) return { message: error.message, program: error.program };
  return { message: error instanceof Error ? error.stack ?? error.message : String(error) };
}
