/** Losses and metrics of the interpreter, by the names that they have in logs. */
import { interpret, type Interpreted, type Realized, type Weight } from "../data.ts";
import type { HeadDescription, Places } from "../description.ts";
import { type HeadData, lossSums, metricValue, quotient } from "../interpreter/losses.ts";
import type { Value } from "../interpreter/types.ts";

/** The name of each head in logs; empty where there is one. */
export function headNames(tree: Places): string[] {
  const names: string[] = [];
  const visit = (places: Places, path: readonly (string | number)[]): void => {
    if (typeof places === "number") {
      names[places] = path.length === 0
        ? ""
        : [...(typeof path[0] === "number" ? ["output"] : []), ...path].join("_");
      return;
    }
    const parts = Array.isArray(places) ? [...places.entries()] : Object.entries(places);
    for (const [name, part] of parts) visit(part as Places, [...path, name]);
  };
  visit(tree, []);
  return names.length === 1 ? [""] : names;
}

/** The samples of a head at some rows. */
export function headData(
  { targets, sampleWeights }: Pick<Realized, "targets" | "sampleWeights">,
  outputs: readonly (readonly Value[])[],
  place: number,
  weighted = true,
): HeadData {
  return {
    outputs: outputs.map((leaves) => leaves[place]),
    targets: targets[place],
    ...(weighted && sampleWeights[place] ? { weights: sampleWeights[place] } : {}),
  };
}

const described = (metric: HeadDescription["metrics"][number]) =>
  typeof metric === "string" ? { type: metric, options: {} } : metric;

/**
 * All logs for what the interpreter gave. What an epoch reports is the sum over everything that counts, divided once; only
 * the reduction `sum` has nothing to divide by.
 */
export function exactLogs(
  realized: Pick<Realized, "one" | "targets" | "sampleWeights">,
  { batches, penalty }: Pick<Interpreted, "batches" | "penalty">,
): { readonly [name: string]: number } {
  const outputs = batches.flat();
  const { heads, outputTree } = realized.one;
  const names = headNames(outputTree);
  const logs: Record<string, number> = {};
  const losses = heads.map(({ loss }, place) =>
    quotient(lossSums(loss.type, loss.options, headData(realized, outputs, place)))
  );
  logs.loss = losses.reduce((total, loss, place) => total + loss * heads[place].weight, penalty);
  if (heads.length > 1) losses.forEach((loss, place) => logs[`${names[place]}_loss`] = loss);
  const named = (place: number, name: string) => names[place] === "" ? name : `${names[place]}_${name}`;
  heads.forEach(({ metrics, loss }, place) => {
    for (const metric of metrics) {
      const { type, options } = described(metric);
      logs[named(place, type)] = metricValue(type, options, loss, headData(realized, outputs, place, false));
    }
  });
  heads.forEach(({ weightedMetrics, loss }, place) => {
    for (const metric of weightedMetrics) {
      const { type, options } = described(metric);
      const name = named(place, type);
      const value = metricValue(type, options, loss, headData(realized, outputs, place));
      logs[Object.hasOwn(logs, name) ? `weighted_${name}` : name] = value;
    }
  });
  return logs;
}

/** The loss of one training batch for these weights, if stateful layers start from the carries `held`, if given. */
export function trainingLoss(
  realized: Realized,
  weights: readonly Weight[],
  held?: Interpreted["started"],
): number {
  const { one, inputs } = realized;
  const { batches, penalty } = interpret(realized, inputs, weights, { training: true, held });
  const outputs = batches.flat();
  return one.heads.reduce(
    (total, { loss, weight }, place) =>
      total + weight * quotient(lossSums(loss.type, loss.options, headData(realized, outputs, place))),
    penalty,
  );
}
