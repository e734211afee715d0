/** All classes of a configuration that have no equivalent here, in one error: readers stop at the first. */
import type { Json } from "../../src/options/json.ts";
import { quoted } from "../../src/quoted.ts";
import { listed } from "../support/listed.ts";
import { cellClasses } from "./cells.ts";
import { knownClasses, mergeClasses } from "./classes.ts";
import { KerasFileError } from "./errors.ts";
import { isList, isObject } from "./objects.ts";

const known: ReadonlySet<string> = new Set([
  ...knownClasses,
  ...cellClasses,
  ...Object.keys(mergeClasses),
  "InputLayer",
]);

/** The most classes that the error lists. */
const MOST_CLASSES = 20;

/**
 * Throws if layers and cells of two or more classes have no equivalent here, and names all. One alone is left for the
 * reader, which says more about it.
 */
export function checkClasses(config: Json): void {
  const lacking = new Map<string, string[]>();
  collect(config, lacking);
  if (lacking.size < 2) return;
  const each = [...lacking].map(([name, layers]) => `${quoted(name)} (${listed(layers.map(quoted))})`);
  throw new KerasFileError(
    "the configuration",
    `${lacking.size} classes have no equivalent here: ${
      listed(each, MOST_CLASSES)
    }; build the model here and ` +
      "read its weights with loadKerasWeights",
  );
}

function collect(value: Json | undefined, lacking: Map<string, string[]>): void {
  if (isList(value)) return value.forEach((part) => collect(part, lacking));
  if (!isObject(value) || !isObject(value.config)) return;
  const { class_name: name, module, config } = value;
  if (typeof name === "string" && isLayer(module) && !known.has(name) && !/Op(Lambda|Layer)$/.test(name)) {
    const layers = lacking.get(name);
    if (layers) layers.push(String(config.name));
    else lacking.set(name, [String(config.name)]);
  }
  for (const option of ["layers", "layer", "backward_layer", "cell", "cells"]) {
    collect(config[option], lacking);
  }
}

/** Whether it is no operation, which has a module of Keras's own. */
function isLayer(module: Json | undefined): boolean {
  return !/^keras\.(src\.)?(ops|models)\b/.test(String(module));
}
