/**
 * The arena of an executable: every buffer is placed once; buffers that are never live at the same time may
 * share memory.
 */
import { type Bindings, evaluateDim } from "../../src/tensor/dims.ts";
import type { KernelFunctions } from "./kinds/kind.ts";
import { type Life, planMemory } from "../memory_plan.ts";
import type { Buffer } from "./views.ts";

const ALIGNMENT = 64;

/** Where the buffers of an executable lie within its arena. */
export interface Arena {
  readonly offsets: ReadonlyMap<Buffer, number>;
  readonly bytes: number;
  /** Constants that are written once. */
  readonly constants: readonly Buffer[];
}

/** From which kernel to which a buffer is live, both included. */
export interface Lifetime {
  readonly first: number;
  readonly last: number;
}

/**
 * The lifetimes of every buffer that is not an input or output, or only of those that `only` accepts. Constants
 * and buffers that keep their content from call to call live forever, others from first to last use. They do
 * not depend on sizes.
 */
export function lifetimesOf<Kernel>(
  kernels: readonly Kernel[],
  { buffersOf, keptBy }: Pick<KernelFunctions<Kernel>, "buffersOf" | "keptBy">,
  only: (buffer: Buffer) => boolean = () => true,
): ReadonlyMap<Buffer, Lifetime> {
  const lives = new Map<Buffer, Lifetime>();
  const forever = { first: 0, last: kernels.length };
  kernels.forEach((kernel, index) => {
    for (const buffer of buffersOf(kernel)) {
      const { kind } = buffer.storage;
      if (kind === "input" || kind === "output" || !only(buffer)) continue;
      const { first = index, last = index } = lives.get(buffer) ?? {};
      lives.set(buffer, kind === "constant" ? forever : { first, last: Math.max(last, index) });
    }
    for (const buffer of keptBy(kernel)) if (only(buffer)) lives.set(buffer, forever);
  });
  return lives;
}

/** Places buffers for a set of sizes. */
export function placeBuffers(
  lifetimes: ReadonlyMap<Buffer, Lifetime>,
  { bindings = {}, elementBytes = 4 }: { readonly bindings?: Bindings; readonly elementBytes?: number } = {},
): Arena {
  const lives = new Map<Buffer, Life>();
  for (const [buffer, { first, last }] of lifetimes) {
    lives.set(buffer, { size: evaluateDim(buffer.size, bindings) * elementBytes, first, last });
  }
  const { offsets, size } = planMemory(lives, ALIGNMENT);
  return {
    offsets,
    bytes: size,
    constants: [...lives.keys()].filter(({ storage }) => storage.kind === "constant"),
  };
}

/** Both at once. */
export function planArena<Kernel>(
  kernels: readonly Kernel[],
  functions: Pick<KernelFunctions<Kernel>, "buffersOf" | "keptBy">,
  { only, ...sizes }: {
    readonly bindings?: Bindings;
    readonly only?: (buffer: Buffer) => boolean;
    readonly elementBytes?: number;
  } = {},
): Arena {
  return placeBuffers(lifetimesOf(kernels, functions, only), sizes);
}
