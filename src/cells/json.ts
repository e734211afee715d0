/** A cell as JSON, and back. */
import type { Json, JsonOptions } from "../options/json.ts";
import type { AnyCell, RecurrentCell } from "./cell.ts";

/** A cell as JSON: `{ type, options }`. */
export function cellJson(cell: Pick<AnyCell, "type" | "options">): Json {
  return { type: cell.type, options: cell.options };
}

/** How the cells inside a cell are read from JSON. */
export interface ReviveCell {
  /** The cell that `cellJson` wrote. */
  cell(json: Json): RecurrentCell;
}

/** The cell of saved options. */
export type CellReviver = (options: JsonOptions, revive: ReviveCell) => AnyCell;
