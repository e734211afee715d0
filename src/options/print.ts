/** How `console.log` prints what a factory made: `lstm({ units: 64, activation: "tanh" })`; a model in lines. */
import { hookOf } from "../inspect.ts";
import { isObject } from "../describe.ts";

/** The values that options most often have, which are not printed; nor are `null`, `false` and no dropout. */
const USUAL: Readonly<Record<string, unknown>> = {
  useBias: true,
  unitForgetBias: true,
  resetAfter: true,
  recurrentActivation: "sigmoid",
  kernelInitializer: "glorotUniform",
  recurrentInitializer: "orthogonal",
  biasInitializer: "zeros",
  gammaInitializer: "ones",
  betaInitializer: "zeros",
  trainable: true,
  dropout: 0,
  recurrentDropout: 0,
};

/** The members that are printed, of objects made here and of their data in options. */
interface Printed {
  readonly type?: unknown;
  readonly name?: unknown;
  readonly trainable?: unknown;
  readonly options?: unknown;
  readonly layers?: unknown;
  readonly layerNames?: unknown;
}

function printOption(value: unknown, depth: number): string {
  if (typeof value === "function") return value.name || "a function";
  if (Array.isArray(value)) {
    return depth > 3 ? "[…]" : `[${value.map((item) => printOption(item, depth + 1)).join(", ")}]`;
  }
  if (!isObject(value)) return typeof value === "string" ? JSON.stringify(value) : String(value);
  if (Object.hasOwn(value, "toJSON")) return "a function"; // the placeholder for one
  if (depth > 3) return "{…}";
  return typeof (value as Printed).type === "string"
    ? printCall(value, depth + 1)
    : printFields(value, depth + 1);
}

function printFields(fields: object, depth: number): string {
  const shown = Object.entries(fields).filter(([name, value]) =>
    value !== undefined && value !== null && value !== (name in USUAL ? USUAL[name] : false)
  );
  if (shown.length === 0) return "";
  return `{ ${shown.map(([name, value]) => `${name}: ${printOption(value, depth)}`).join(", ")} }`;
}

function printCall({ type, name, trainable, options }: Printed, depth: number): string {
  const { layers: _, ...own } = isObject(options) ? options as { readonly layers?: unknown } : {};
  const fields = {
    ...own,
    ...(name === undefined || name === type ? {} : { name }),
    trainable,
  };
  return `${type}(${printFields(fields, depth)})`;
}

/**
 * What a factory made, as its call with the options that are not the usual ones; a model as a line per layer.
 *
 * @param indent What lines after the first begin with.
 */
export function printMade(made: Printed, indent = ""): string {
  const { type, name, layers, layerNames } = made;
  if (!Array.isArray(layers) || !Array.isArray(layerNames)) return printCall(made, 0);
  const width = Math.max(0, ...layerNames.map((text) => String(text).length));
  const title = name === undefined || name === type ? String(type) : `${type} ${name}`;
  const lines = layers.map((layer, index) =>
    `${indent}  ${String(layerNames[index]).padEnd(width)}  ${printMade(layer, indent + "  ")}`
  );
  return [title + (made.trainable === false ? " (frozen)" : ""), ...lines].join("\n");
}

/** The hook of what a factory made, and of its copies. */
export const MADE_HOOK = hookOf<Printed>((made) => printMade(made));
