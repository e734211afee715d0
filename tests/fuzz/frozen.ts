/** Which weights of a description training must not change. */
import type { LayerDescription } from "./description.ts";

/** Paths below which everything is frozen. */
export function frozenPaths(description: LayerDescription, path = "params"): string[] {
  const { options, spread, inner, backward, layers = [] } = description;
  if ({ ...options, ...spread }.trainable === false) return [path];
  switch (description.type) {
    case "timeDistributed":
      return frozenPaths(inner!, path); // it has one
    case "bidirectional":
      return [
        ...frozenPaths(inner!, `${path}.forward`), // it has one
        ...frozenPaths(backward ?? inner!, `${path}.backward`),
      ];
    default:
      return layers.flatMap((layer, index) => frozenPaths(layer, `${path}.${index}`));
  }
}

/** Whether a weight is trained. */
export function isTrained(description: LayerDescription, path: string): boolean {
  return path.startsWith("params") &&
    !frozenPaths(description).some((frozen) => path === frozen || path.startsWith(`${frozen}.`));
}
