/** A cell as JSON, and back. */
import { wrongKind } from "../describe.ts";
import { type Json, type JsonOptions, refusedJson } from "../options/json.ts";
import { checkAsMade, unsavable } from "../options/made.ts";
import type { AnyCell, RecurrentCell } from "./cell.ts";

/**
 * A cell as JSON: `{ type, options }`. `JSON.stringify` of it throws a TypeError if an option is a function,
 * or if the cell is a copy that has its own functions but keeps the type of the original.
 *
 * @throws TypeError for a copy whose changed data has no effect.
 */
export function cellJson(cell: Pick<AnyCell, "type" | "options">): Json {
  if (typeof cell?.type !== "string") {
    throw wrongKind("save a cell", cell, "it", "a cell such as lstmCell(...)");
  }
  checkAsMade(cell);
  const reason = unsavable(cell);
  if (reason !== undefined) return refusedJson(`Cannot save ${cell.type}: ${reason}`);
  return { type: cell.type, options: cell.options };
}

/** How the cells inside a cell are read from JSON. */
export interface ReviveCell {
  /** Reads the cell that `cellJson` wrote. */
  cell(json: Json): RecurrentCell;
}

/** Makes the cell from saved options. */
export type CellReviver = (options: JsonOptions, revive: ReviveCell) => AnyCell;
