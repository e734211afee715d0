/** How often layers, options and properties were drawn, and how often properties had something to say. */
import type { Case, CellDescription, LayerDescription } from "./description.ts";
import type { Verdict } from "./run.ts";

/** Counts by name. */
export interface Coverage {
  readonly counts: { readonly [group: string]: ReadonlyMap<string, number> };
  count(one: Case, verdicts: readonly Verdict[]): void;
}

/** Counts of nothing yet. */
export function createCoverage(): Coverage {
  const counts: Record<string, Map<string, number>> = {};
  const add = (group: string, name: string) => {
    const map = counts[group] ??= new Map();
    map.set(name, (map.get(name) ?? 0) + 1);
  };
  const options = (type: string, given: object) => {
    for (const [name, value] of Object.entries(given)) {
      const shown = typeof value === "boolean" || typeof value === "string" ? ` ${value}` : "";
      add("options", `${type}.${name}${shown}`);
    }
  };
  const cell = (description: CellDescription): void => {
    add("cells", description.type);
    options(description.type, description.options);
    description.cells?.forEach(cell);
  };
  const layer = (description: LayerDescription): void => {
    add("layers", description.type);
    options(description.type, description.options);
    if (description.spread) options("spread", description.spread);
    if (description.cell) cell(description.cell);
    if (description.backward) add("options", "bidirectional.backwardLayer");
    for (const inner of [description.inner, description.backward, ...description.layers ?? []]) {
      if (inner) layer(inner);
    }
    description.graph?.steps.forEach((step) => {
      if (step.op === "apply") add("graphs", `apply ${step.fn}`);
      if (step.op === "call" && step.mask) add("graphs", "call with mask");
      if (step.op === "call" && step.initialState) add("graphs", "call with initialState");
      if (step.op === "call" && typeof step.inputs !== "string") add("graphs", "call on a tree");
    });
    const calls = description.graph?.steps.flatMap((step) => step.op === "call" ? [step.layer] : []) ?? [];
    if (new Set(calls).size < calls.length) add("graphs", "shared layer");
  };
  return {
    counts,
    count(one, verdicts) {
      layer(one.model);
      one.inputs.forEach(({ padding, scale }) => {
        add("inputs", padding.kind);
        if (scale) add("inputs", "large");
      });
      add("inputs", `holes ${one.holes}`);
      add("inputs", typeof one.inputTree === "number" ? "one tensor" : "a tree");
      add("outputs", typeof one.outputTree === "number" ? "one tensor" : "a tree");
      if (one.statefulBatch !== null) add("inputs", "stateful");
      if (one.samples === 1) add("inputs", "one sample");
      one.heads.forEach(({ loss, metrics, weightedMetrics, sampleWeight, wildTargets }) => {
        add("losses", loss.type);
        options(loss.type, loss.options);
        [...metrics, ...weightedMetrics].forEach((metric) =>
          add("metrics", typeof metric === "string" ? metric : metric.type)
        );
        add("outputs", `sampleWeight ${sampleWeight}`);
        if (wildTargets) add("outputs", "targets of NaN where they do not count");
      });
      for (const { property, skipped, fault } of verdicts) {
        add(
          "properties",
          `${property}${fault ? " FAULT" : skipped ? "" : ""} ${skipped ? "skipped" : "checked"}`,
        );
        if (skipped) add("skipped", `${property}: ${skipped}`);
      }
    },
  };
}

/** Counts as text. */
export function coverageText({ counts }: Coverage): string {
  return Object.entries(counts).map(([group, map]) => {
    const entries = [...map].sort(([a], [b]) => a < b ? -1 : 1);
    return `${group}:\n${entries.map(([name, count]) => `  ${name} ${count}`).join("\n")}`;
  }).join("\n");
}
