/** The order in which the calls of a graph are read. */
import { KerasFileError } from "./errors.ts";
import { historiesIn, keyOf } from "./histories.ts";
import type { JsonObject } from "./objects.ts";
import { quoted } from "../../src/quoted.ts";

/** What is called in a graph. */
interface Called {
  readonly name: string;
  readonly place: string;
  readonly calls: readonly JsonObject[];
}

/** The calls in an order in which each follows those that it reads. */
export function inOrder<Operator extends Called>(
  operators: readonly Operator[],
  place: string,
): { operator: Operator; call: number }[] {
  const byKey = new Map(
    operators.flatMap((operator) =>
      operator.calls.map((_, call) => [keyOf(operator.name, call), { operator, call }] as const)
    ),
  );
  const state = new Map<string, "under way" | "done">();
  const order: { operator: Operator; call: number }[] = [];
  for (const start of byKey.keys()) {
    const pending: { key: string; parents: string[] }[] = [];
    const enter = (key: string) => {
      const found = byKey.get(key);
      if (found === undefined || state.get(key) === "done") return; // else nodeAt throws later
      if (state.has(key)) {
        throw new KerasFileError(
          place,
          `its layer ${quoted(found.operator.name)} reads what depends on itself`,
        );
      }
      state.set(key, "under way");
      const read = historiesIn(
        found.operator.calls[found.call],
        found.operator.place,
      );
      pending.push({ key, parents: read.map(({ operator, call }) => keyOf(operator, call)).reverse() });
    };
    enter(start);
    for (let top = pending.at(-1); top; top = pending.at(-1)) {
      const parent = top.parents.pop();
      if (parent !== undefined) {
        enter(parent);
        continue;
      }
      pending.pop();
      state.set(top.key, "done");
      const found = byKey.get(top.key);
      if (found) order.push(found);
    }
  }
  return order;
}
