/** Regularizers and constraints that this library does not have: left out, as they act in training only, and noted. */
import type { Json } from "../../src/options/json.ts";
import { quoted } from "../../src/quoted.ts";
import { isList, isObject } from "./objects.ts";
import { ACTIVITY, isCell } from "./option_kinds.ts";
import { readConstraint, readRegularizer } from "./weight_rules.ts";

/** Whether an option is a regularizer or constraint that is read. */
function isKnown(option: string, value: Json, className: Json | undefined): boolean {
  if (option === ACTIVITY && isCell(String(className))) return false; // it would be of each step
  return (option.endsWith("_regularizer") ? readRegularizer(value) : readConstraint(value)) !== undefined;
}

/** A configuration without the rules of training that are not read, and notes of what was left out. */
export function withoutUnknownRules(
  value: Json,
): { readonly config: Json; readonly notes: readonly string[] } {
  const notes: string[] = [];
  const strip = (value: Json, layer: string, owner?: Json): Json => {
    if (isList(value)) return value.map((item) => strip(item, layer));
    if (!isObject(value)) return value;
    const { class_name: className, config } = value;
    const name = isObject(config) && typeof config.name === "string" ? config.name : undefined;
    const own = name === undefined ? layer : `the layer ${quoted(name)} (${className})`;
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => {
        if (!/_(regularizer|constraint)$/.test(key) || item === null) {
          return [key, strip(item, own, className)];
        }
        if (isKnown(key, item, owner)) return [key, item];
        const named = isObject(item) ? item.class_name : item;
        notes.push(`${layer} has the ${key.replaceAll("_", " ")} ${quoted(named)}, which is left out`);
        return [key, null];
      }),
    );
  };
  const config = strip(value, "the model");
  return { config, notes };
}
