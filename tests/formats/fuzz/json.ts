/** Mutations of JSON: text that is right as JSON and wrong in what it says. */
import type { Json } from "../../../src/options/json.ts";
import type { Random } from "./mutate.ts";

const odd: readonly Json[] = [null, true, false, 0, -1, 1.5, 1e9, 2 ** 53, 1e300, "", "x", "keras", [], {}, [
  [],
]];

/** A copy with one to three values changed for odd ones, or for others from it, or left out. */
export function mutateJson(json: Json, draw: Random): Json {
  const copy: Json = structuredClone(json);
  for (let count = 1 + draw(3); count > 0; count--) {
    const places: { readonly holder: Record<string, Json>; readonly key: string }[] = [];
    const collect = (value: Json) => {
      if (typeof value !== "object" || value === null) return;
      const holder = value as Record<string, Json>; // a copy of our own, so it may be changed
      for (const key of Object.keys(holder)) {
        places.push({ holder, key });
        collect(holder[key]);
      }
    };
    collect(copy);
    if (places.length === 0) break;
    const { holder, key } = places[draw(places.length)];
    const other = places[draw(places.length)];
    const choice = draw(3);
    if (choice === 0) holder[key] = structuredClone(odd[draw(odd.length)]);
    else if (choice === 1) holder[key] = structuredClone(other.holder[other.key]);
    else delete holder[key];
  }
  return copy;
}
