/** Parts of a tensor, `x[:, -1]`, as Keras writes them in a graph: its operation `GetItem` with a key. */
import type { Json } from "../../src/options/json.ts";
import { reshape, reverse, slice } from "../../src/operations/structure.ts";
import { addDims, type Dim, floorDivideDims, subtractDims } from "../../src/tensor/dims.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { isList, isObject } from "./objects.ts";

/** What is done with one axis. */
type Part =
  | { readonly kind: "index"; readonly at: number }
  | {
    readonly kind: "range";
    readonly start: number | null;
    readonly stop: number | null;
    readonly step: number;
  }
  /** A new axis of size 1. */
  | { readonly kind: "new" }
  /** As many axes as the others leave, whole. */
  | { readonly kind: "rest" };

const whole: Part = { kind: "range", start: null, stop: null, step: 1 };

const isIndex = (value: Json | undefined): value is number => Number.isSafeInteger(value);

function partOf(key: Json): Part | undefined {
  if (isIndex(key)) return { kind: "index", at: key };
  if (key === null) return { kind: "new" };
  if (!isObject(key) || !isObject(key.config)) return undefined;
  if (key.class_name === "__ellipsis__") return { kind: "rest" };
  const { start = null, stop = null, step = null } = key.config;
  const isEnd = (end: Json): end is number | null => end === null || isIndex(end);
  // Backwards, whole axes alone.
  const isStep = step === null ||
    isIndex(step) && (step > 0 || step === -1 && start === null && stop === null);
  if (key.class_name !== "__slice__" || !isEnd(start) || !isEnd(stop) || !isStep) return undefined;
  return { kind: "range", start, stop, step: step ?? 1 };
}

/** Where an end of a range is: within an axis of a known size as in Python, else where it says. */
function endOf(end: number, size: Dim): Dim {
  if (typeof size !== "number") return end < 0 ? addDims(size, end) : end;
  return Math.min(Math.max(end < 0 ? size + end : end, 0), size);
}

/**
 * The function `x => x[key]`; undefined for a key that has no equivalent here, such as one with tensors, or that takes
 * a part of the batch.
 */
export function getItem(key: Json): ((x: Tensor) => Tensor) | undefined {
  const given = (isList(key) ? key : [key]).map(partOf);
  if (given.some((part) => part === undefined)) return undefined;
  const parts = given.filter((part) => part !== undefined);
  if (parts.filter(({ kind }) => kind === "rest").length > 1) return undefined;
  const [first] = parts;
  const keepsBatch = first?.kind === "rest" ||
    first?.kind === "range" && first.start === null && first.stop === null && first.step === 1;
  return keepsBatch ? (x) => partsOf(x, parts) : undefined;
}

function partsOf(x: Tensor, parts: readonly Part[]): Tensor {
  const used = parts.filter(({ kind }) => kind === "index" || kind === "range").length;
  const missing = x.shape.length - used;
  if (missing < 0) throw new TypeError(`Cannot take ${used} axes of a tensor that has ${x.shape.length}`);
  const rest = new Array<Part>(missing).fill(whole);
  const at = parts.findIndex(({ kind }) => kind === "rest");
  const all = at < 0 ? [...parts, ...rest] : parts.toSpliced(at, 1, ...rest);
  const start: Dim[] = [],
    size: Dim[] = [],
    stride: number[] = [],
    reversed: number[] = [],
    shape: Dim[] = [];
  for (const part of all) {
    const axis = start.length;
    if (part.kind === "new") shape.push(1);
    else if (part.kind === "index") {
      start.push(part.at < 0 ? addDims(x.shape[axis], part.at) : part.at);
      size.push(1);
      stride.push(1);
    } else if (part.kind === "range") {
      if (part.step < 0) reversed.push(axis);
      const step = Math.max(part.step, 1);
      const from = endOf(part.start ?? 0, x.shape[axis]);
      const to = part.stop === null ? x.shape[axis] : endOf(part.stop, x.shape[axis]);
      const count = floorDivideDims(addDims(subtractDims(to, from), step - 1), step);
      start.push(from);
      size.push(typeof count === "number" ? Math.max(count, 0) : count);
      stride.push(step);
      shape.push(size[axis]);
    }
  }
  const taken = slice(x, { start, size, stride });
  return reshape(reversed.length === 0 ? taken : reverse(taken, reversed), shape);
}
