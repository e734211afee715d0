/** Checks of what should be a tensor, a spec or a shape, before anything reads it. */
import { requireList, wrongKind } from "../given.ts";
import { requireDim } from "./dims.ts";
import { isLeaf, isTensor } from "./tensor.ts";

/** Throws a TypeError unless `value` is a tensor. */
export function requireTensor(what: string, value: unknown, name = "x"): void {
  if (!isTensor(value)) throw wrongKind(what, name, value, "a tensor; make one with tensor(...)");
}

/** Throws a TypeError unless `value` is a tensor or a spec. */
export function requireSpec(what: string, value: unknown, name = "x"): void {
  if (!isLeaf(value)) {
    throw wrongKind(what, name, value, "a tensor or a spec; make one with tensor(...) or spec([...])");
  }
}

/** Throws a TypeError unless `value` is a list of sizes. */
export function requireShape(what: string, value: unknown, name = "shape"): void {
  requireList(what, name, value, "a list of sizes such as [2, 3]");
  for (const dim of value as readonly unknown[]) requireDim(what, dim, `a size in ${name}`); // a list, as just checked
}
