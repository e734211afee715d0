/** The performance targets of a workload, as data, and whether it meets them. */
import type { Entry, Peer } from "./measurements.ts";

/** What must be reached, and an aim for later. Every figure is a maximum. */
export type Target =
  /** The ratio of the median to that of a peer in the same run. */
  | { readonly kind: "peer"; readonly peer: Peer; readonly mustReach: number; readonly aim?: number }
  /**
   * The ratio of the median, divided by `parts` (such as directions), to that of another workload; that of a
   * measured value if `value` names one.
   */
  | {
    readonly kind: "workload";
    readonly workload: string;
    readonly value?: string;
    readonly mustReach: number;
    readonly aim?: number;
    readonly parts?: number;
  }
  /** The median in milliseconds. */
  | { readonly kind: "time"; readonly mustReach: number; readonly aim?: number }
  /** Another measured value by name. */
  | {
    readonly kind: "value";
    readonly value: string;
    readonly unit: string;
    readonly mustReach: number;
    readonly aim?: number;
  };

/** An evaluated target. */
export interface Verdict {
  readonly target: Target;
  /** The measured ratio, time or value; undefined if what it is compared with was not measured. */
  readonly reached?: number;
  readonly passes?: boolean;
  /**
   * If the target is missed and lies below what products alone take at the ceiling: that time, in
   * milliseconds.
   */
  readonly leastMs?: number;
}

/** Evaluates the target of a workload on the best entries of a run. */
export function evaluate(target: Target, workload: string, entries: readonly Entry[]): Verdict {
  const find = (name: string, subject: Entry["subject"]) =>
    entries.find((entry) => entry.workload === name && entry.subject === subject);
  const own = find(workload, "cellfold");
  const reached = own && reachedBy(target, own, find);
  if (reached === undefined) return { target };
  const passes = reached <= target.mustReach;
  const peer = target.kind === "peer" ? find(workload, target.peer) : undefined;
  const { leastMs } = own ?? {};
  const isOut = !passes && peer && leastMs !== undefined && target.mustReach * peer.medianMs < leastMs;
  return { target, reached, passes, ...(isOut ? { leastMs } : {}) };
}

function reachedBy(
  target: Target,
  own: Entry,
  find: (workload: string, subject: Entry["subject"]) => Entry | undefined,
): number | undefined {
  switch (target.kind) {
    case "peer": {
      const peer = find(own.workload, target.peer);
      return peer && own.medianMs / peer.medianMs;
    }
    case "workload": {
      const figure = (entry: Entry | undefined) =>
        target.value === undefined ? entry?.medianMs : entry?.values?.[target.value];
      const [reached, compared] = [figure(own), figure(find(target.workload, "cellfold"))];
      return reached === undefined || compared === undefined
        ? undefined
        : reached / (target.parts ?? 1) / compared;
    }
    case "time":
      return own.medianMs;
    case "value":
      return own.values?.[target.value];
  }
}

/** The target in words, without the required figure. */
export function describeTarget(target: Target): string {
  switch (target.kind) {
    case "peer":
      return `× ${target.peer}`;
    case "workload":
      return `× ${target.value === undefined ? "" : `${target.value} of `}${target.workload}${
        target.parts ? `, by ${target.parts}` : ""
      }`;
    case "time":
      return "the median";
    case "value":
      return target.value;
  }
}

/** A figure of the target with its unit. */
export function printFigure(target: Target, figure: number): string {
  switch (target.kind) {
    case "peer":
    case "workload":
      return `${figure.toFixed(figure < 0.1 ? 3 : 2)} ×`;
    case "time":
      return printMilliseconds(figure);
    case "value":
      return `${figure.toLocaleString("en", { maximumFractionDigits: figure < 10 ? 3 : 0 })} ${target.unit}`;
  }
}

/** A time in a suitable unit. */
export function printMilliseconds(milliseconds: number): string {
  if (milliseconds < 0.1) return `${(milliseconds * 1000).toFixed(milliseconds < 0.01 ? 2 : 1)} µs`;
  if (milliseconds >= 10_000) return `${(milliseconds / 1000).toFixed(1)} s`;
  return `${milliseconds.toFixed(milliseconds < 10 ? 2 : milliseconds < 100 ? 1 : 0)} ms`;
}
