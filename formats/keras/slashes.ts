/** Names of layers with "/", which Keras 2 allows: in a configuration they become names without it. */
import type { Json } from "../../src/options/json.ts";
import { withoutSlash } from "./names.ts";
import { isList, isObject } from "./objects.ts";

/** The configuration with other names for these layers, where they are made and where they are called. */
export function withoutSlashes(config: Json): Json {
  const names = new Set<string>();
  collect(config, names);
  return names.size === 0 ? config : renamed(config, names);
}

/** The names of layers that have a "/". */
function collect(value: Json, names: Set<string>): void {
  if (isList(value)) value.forEach((part) => collect(part, names));
  if (!isObject(value)) return;
  const { class_name: className, config } = value;
  if (typeof className === "string" && isObject(config) && String(config.name ?? "").includes("/")) {
    names.add(String(config.name));
  }
  Object.values(value).forEach((part) => collect(part, names));
}

function renamed(value: Json, names: ReadonlySet<string>): Json {
  if (typeof value === "string") return names.has(value) ? withoutSlash(value) : value;
  if (isList(value)) return value.map((part) => renamed(part, names));
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, renamed(part, names)]));
}
