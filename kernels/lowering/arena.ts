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

/**
 * Places every buffer that is not an input or output, or only those that `only` accepts. Constants and
 * buffers that keep their content from call to call live forever, others from first to last use.
 */
export function planArena<Kernel>(
  kernels: readonly Kernel[],
  { buffersOf, keptBy }: Pick<KernelFunctions<Kernel>, "buffersOf" | "keptBy">,
  { bindings = {}, only = () => true, elementBytes = 4 }: {
    readonly bindings?: Bindings;
    readonly only?: (buffer: Buffer) => boolean;
    readonly elementBytes?: number;
  } = {},
): Arena {
  const lives = new Map<Buffer, Life>();
  const note = (buffer: Buffer, first: number, last: number) =>
    lives.set(buffer, { size: evaluateDim(buffer.size, bindings) * elementBytes, first, last });
  kernels.forEach((kernel, index) => {
    for (const buffer of buffersOf(kernel)) {
      const { kind } = buffer.storage;
      if (kind === "input" || kind === "output" || !only(buffer)) continue;
      if (kind === "constant") note(buffer, 0, kernels.length);
      else {
        const { first = index, last = index } = lives.get(buffer) ?? {};
        note(buffer, first, Math.max(last, index));
      }
    }
    for (const buffer of keptBy(kernel)) if (only(buffer)) note(buffer, 0, kernels.length);
  });
  const { offsets, size } = planMemory(lives, ALIGNMENT);
  return {
    offsets,
    bytes: size,
    constants: [...lives.keys()].filter(({ storage }) => storage.kind === "constant"),
  };
}
