/** The checks shared by everything that takes a cell. */
import { wrongKind } from "../describe.ts";
import { checkAsMade } from "../options/made.ts";
import type { RecurrentCell } from "./cell.ts";

/**
 * Throws a TypeError unless `value` is a cell, and not a copy whose changed data has no effect; `where` names
 * what it is given for.
 */
export function checkCell(where: string, value: unknown): asserts value is RecurrentCell {
  const given = value as Partial<RecurrentCell> | null | undefined; // any member may be missing
  if (
    typeof given?.step === "function" && typeof given.initParams === "function" &&
    typeof given.initState === "function"
  ) return checkAsMade(given);
  const expected = "a cell such as lstmCell(...), or an object with the members of RecurrentCell";
  throw wrongKind(where, value, "the cell", expected);
}
