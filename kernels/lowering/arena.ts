/** The arena of an executable: every buffer is placed once, and buffers that do not live at the same time share. */
import type { KernelFunctions } from "./kinds/kind.ts";
import type { Buffer } from "./views.ts";

const ALIGNMENT = 64;

/** Where the buffers of an executable lie within its arena. */
export interface Arena {
  readonly offsets: ReadonlyMap<Buffer, number>;
  readonly bytes: number;
  /** Constants to be written once. */
  readonly constants: readonly Buffer[];
}

/**
 * Places every buffer that is not an input or output, or of those the ones that `only` says. Constants and what is
 * kept from call to call live for ever, others from first to last use.
 */
export function planArena<Kernel>(
  kernels: readonly Kernel[],
  { buffersOf, keptBy }: Pick<KernelFunctions<Kernel>, "buffersOf" | "keptBy">,
  { only = () => true, elementBytes = 4 }: {
    readonly only?: (buffer: Buffer) => boolean;
    readonly elementBytes?: number;
  } = {},
): Arena {
  const lives = new Map<Buffer, { first: number; last: number }>();
  kernels.forEach((kernel, index) => {
    for (const buffer of buffersOf(kernel)) {
      const { kind } = buffer.place;
      if (kind === "input" || kind === "output" || !only(buffer)) continue;
      const known = lives.get(buffer);
      if (known) known.last = Math.max(known.last, index);
      else lives.set(buffer, { first: index, last: index });
      if (kind === "constant") lives.set(buffer, { first: 0, last: kernels.length });
    }
    for (const buffer of keptBy(kernel)) lives.set(buffer, { first: 0, last: kernels.length });
  });
  const offsets = new Map<Buffer, number>();
  const placed: {
    readonly start: number;
    readonly end: number;
    readonly first: number;
    readonly last: number;
  }[] = [];
  let bytes = 0;
  // The largest first: small ones fill the gaps.
  for (const [buffer, { first, last }] of [...lives].sort(([a], [b]) => b.size - a.size)) {
    const size = Math.ceil(buffer.size * elementBytes / ALIGNMENT) * ALIGNMENT;
    const rivals = placed.filter((other) => other.first <= last && first <= other.last).sort((a, b) =>
      a.start - b.start
    );
    let start = 0;
    for (const rival of rivals) {
      if (rival.start >= start + size) break;
      start = Math.max(start, rival.end);
    }
    offsets.set(buffer, start);
    placed.push({ start, end: start + size, first, last });
    bytes = Math.max(bytes, start + size);
  }
  return { offsets, bytes, constants: [...lives.keys()].filter(({ place }) => place.kind === "constant") };
}
