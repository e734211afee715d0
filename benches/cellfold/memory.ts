/** What a process holds in memory. */
import { getHeapSpaceStatistics } from "node:v8";

/** Collects garbage now; available with `--v8-flags=--expose-gc`. */
export function collect(): void {
  const { gc } = globalThis as { gc?: () => void };
  if (!gc) throw new Error("Cannot collect garbage: run with --v8-flags=--expose-gc");
  gc();
}

/** Collects garbage until those who are told about it had several turns to free what they hold. */
export async function collectAll(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) {
    collect();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/**
 * The resident memory less what the engine keeps for new objects. That is empty after a collection; how large it has
 * become, up to some 50 MB, depends on how fast a program made garbage, not on what it holds.
 */
export function heldBytes(): number {
  const young = getHeapSpaceStatistics().find(({ space_name: name }) => name === "new_space");
  return Deno.memoryUsage().rss - (young?.physical_space_size ?? 0);
}
