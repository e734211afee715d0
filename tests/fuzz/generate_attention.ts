/** Random layers of several values of a graph: attention, and products along an axis of each. */
import type { LayerDescription, Options, Ref } from "./description.ts";
import type { Kind } from "./kinds.ts";
import type { Random } from "./random.ts";

/** A value of a graph. */
interface Node {
  readonly ref: Ref;
  readonly kind: Kind;
}

/** A call of a layer on a list of values. */
export interface DrawnCall {
  readonly layer: LayerDescription;
  readonly inputs: readonly Ref[];
  readonly kind: Kind;
}

const last = ({ shape }: Kind) => shape[shape.length - 1];

function maybe(random: Random, probability: number, options: () => Options): Options {
  return random.chance(probability) ? options() : {};
}

/** The options of a layer, and the features of its output. */
function drawLayer(random: Random, draws: boolean, query: Kind, value: Kind, key: Kind) {
  const common = {
    ...maybe(random, 0.3, () => ({ useCausalMask: true })),
    ...(draws ? maybe(random, 0.3, () => ({ dropout: 0.25 })) : {}),
    ...maybe(random, 0.1, () => ({ trainable: false })),
  };
  // One head compares a query with a key as they are.
  if (last(query) === last(key) && random.chance(0.6)) {
    const layer = random.chance(0.6)
      ? {
        type: "attention",
        options: {
          ...common,
          ...maybe(random, 0.4, () => ({ useScale: true })),
          ...maybe(random, 0.4, () => ({ scoreMode: "concat" })),
        },
      }
      : {
        type: "additiveAttention",
        options: { ...common, ...maybe(random, 0.3, () => ({ useScale: false })) },
      };
    return { layer, features: last(value) };
  }
  const outputShape = random.chance(0.4) ? random.whole(1, 3) : undefined;
  const options = {
    numHeads: random.whole(1, 2),
    keyDim: random.whole(1, 2),
    ...maybe(random, 0.4, () => ({ valueDim: random.whole(1, 3) })),
    ...(outputShape === undefined ? {} : { outputShape }),
    ...maybe(random, 0.2, () => ({ useBias: false })),
    ...common,
  };
  return { layer: { type: "multiHeadAttention", options }, features: outputShape ?? last(query) };
}

/** Attention of one sequence to another, or to itself; now and then with keys of their own. */
export function drawAttention(random: Random, draws: boolean, nodes: readonly Node[]): DrawnCall | undefined {
  const sequences = nodes.filter(({ kind }) =>
    kind.time === 1 && kind.shape.length === 2 && kind.dtype === "float32"
  );
  if (sequences.length === 0) return;
  const query = random.pick(sequences), value = random.pick(sequences);
  const keys = sequences.filter(({ kind }) =>
    kind.shape[0] === value.kind.shape[0] && kind.made === value.kind.made && kind.mask === value.kind.mask
  );
  const key = random.chance(0.3) ? random.pick(keys) : undefined;
  const given = [query, value, ...(key ? [key] : [])];
  const { layer, features } = drawLayer(random, draws, query.kind, value.kind, (key ?? value).kind);
  return {
    layer,
    inputs: given.map(({ ref }) => ref),
    kind: {
      ...query.kind,
      shape: [query.kind.shape[0], features],
      wild: false,
      // What is before a step depends on where the padding is.
      clean: given.every(({ kind }) => kind.clean && kind.mask > 0) && !("useCausalMask" in layer.options),
      range: undefined,
    },
  };
}

/** The products of two values along an axis of both. */
export function drawDot(random: Random, nodes: readonly Node[]): DrawnCall | undefined {
  const fitting = nodes.filter(({ kind }) => kind.time === 0 && kind.dtype === "float32" && !kind.wild);
  if (fitting.length === 0) return;
  const a = random.pick(fitting);
  const b = random.pick(fitting.filter(({ kind }) => kind.shape.join() === a.kind.shape.join()));
  const rank = a.kind.shape.length;
  const axis = random.whole(1, rank);
  const rest = a.kind.shape.filter((_, index) => index !== axis - 1);
  const shape = rest.length === 0 ? [1] : [...rest, ...rest];
  if (shape.length > 4 || shape.some((size) => size > 24)) return;
  const axes = random.pick<number | number[]>([axis, axis - rank - 1, [axis, axis - rank - 1]]);
  return {
    layer: { type: "dot", options: { axes, ...maybe(random, 0.3, () => ({ normalize: true })) } },
    inputs: [a.ref, b.ref],
    kind: { ...a.kind, shape, mask: 0, clean: a.kind.clean && b.kind.clean, range: undefined },
  };
}
