/** What every case is held to, by name. */
import type { Case } from "../description.ts";
import type { Random } from "../random.ts";
import { backends } from "./backends.ts";
import { batchSizes, order } from "./batches.ts";
import type { Context } from "./context.ts";
import { constraints } from "./constraints.ts";
import { evaluations } from "./evaluations.ts";
import { exports } from "./exports.ts";
import { gradients } from "./gradients.ts";
import { padding } from "./padding.ts";
import { predictions } from "./predictions.ts";
import { resuming } from "./resuming.ts";
import { saving } from "./saving.ts";
import { streams } from "./streams.ts";

/** Throws a `Fault` where the property does not hold, `Skipped` where it has nothing to say. */
export type Property = (context: Context) => Promise<void>;

/** All of them; the number is how often each is checked. */
export const properties: { readonly [name: string]: { readonly share: number; readonly check: Property } } = {
  predictions: { share: 1, check: predictions },
  evaluations: { share: 0.6, check: evaluations },
  gradients: { share: 0.6, check: gradients },
  constraints: { share: 0.6, check: constraints },
  padding: { share: 0.6, check: padding },
  batchSizes: { share: 0.35, check: batchSizes },
  order: { share: 0.15, check: order },
  saving: { share: 0.15, check: saving },
  streams: { share: 0.3, check: streams },
  backends: { share: 0.15, check: backends },
  resuming: { share: 0.1, check: resuming },
  exports: { share: 0.15, check: exports },
};

/** Those that a case is held to; each takes its time, so not every case is held to all. */
export function drawProperties(random: Random, _: Omit<Case, "properties">): string[] {
  return Object.entries(properties).flatMap(([name, { share }]) => random.chance(share) ? [name] : []);
}
