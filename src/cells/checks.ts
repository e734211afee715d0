/** What everything that takes a cell checks alike. */
import { wrongKind } from "../describe.ts";
import { checkAsMade } from "../options/made.ts";
import type { RecurrentCell } from "./cell.ts";

/**
 * Throws a TypeError unless `value` is a cell, and no copy of one with data that does not act; `where` says for what it
 * is given.
 */
export function checkCell(where: string, value: unknown): asserts value is RecurrentCell {
  const given = value as Partial<RecurrentCell> | null | undefined; // any of it may be missing
  if (
    typeof given?.step === "function" && typeof given.initParams === "function" &&
    typeof given.initState === "function"
  ) return checkAsMade(given);
  const expected = "a cell such as lstmCell(...), or an object with the members of RecurrentCell";
  throw wrongKind(where, value, "the cell", expected);
}
