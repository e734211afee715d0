/** Measurements, and the two forms in which they are kept: one entry per workload and subject, as JSON. */
import { median } from "./statistics.ts";

/** Everything that is measured: this library and its peers. */
export const SUBJECTS = [
  "cellfold",
  "pytorch",
  "jax",
  "keras",
  "tf_keras",
  "tfjs-wasm",
  "jax-js",
  "onnxruntime-web",
  "onnxruntime-node",
  "tfjs-webgpu",
  "jax-js-webgpu",
  "onnxruntime-webgpu",
  "pytorch-gpu",
  "jax-gpu",
] as const;

/** A subject by name. */
export type Subject = typeof SUBJECTS[number];

/** The subjects that Cellfold is compared with. */
export type Peer = Exclude<Subject, "cellfold">;

/** The measurements of one subject in one workload, with one number of threads. */
export interface Measurement {
  readonly workload: string;
  readonly subject: Subject;
  readonly threads: number;
  /** Milliseconds of one step, one entry per run. */
  readonly times: readonly number[];
  /** Other measured values, by name: bytes and counts. */
  readonly values?: Values;
}

/** Measured numbers by name. */
export interface Values {
  readonly [name: string]: number;
}

/**
 * One entry of the JSON; `values` is present only in workloads about memory and code, `leastMs` if most of
 * the work is products: the time they alone take at the ceiling of 128-bit multiply-adds, measured in the
 * same run.
 */
export interface Entry {
  readonly workload: string;
  readonly subject: Subject;
  readonly threads: number;
  readonly medianMs: number;
  readonly minMs: number;
  readonly leastMs?: number;
  readonly values?: Values;
}

/** The entry of a measurement. */
export function entryOf({ workload, subject, threads, times, values }: Measurement): Entry {
  return {
    workload,
    subject,
    threads,
    medianMs: median(times),
    minMs: Math.min(...times),
    ...(values && Object.keys(values).length > 0 ? { values } : {}),
  };
}

/** For each workload and subject, the entry with the better number of threads, by the median. */
export function bestEntries(entries: readonly Entry[]): Entry[] {
  const best = new Map<string, Entry>();
  for (const entry of entries) {
    const key = `${entry.workload} ${entry.subject}`;
    const known = best.get(key);
    if (!known || entry.medianMs < known.medianMs) best.set(key, entry);
  }
  return [...best.values()];
}
