/** Random ends of models: inputs, and the layer before a loss. */
import type { InputDescription, LayerDescription, Padding, Places } from "./description.ts";
import { growOne, type Scope } from "./generate_layers.ts";
import type { Kind } from "./kinds.ts";
import type { Random } from "./random.ts";

export const features = (random: Random) => random.whole(1, 3);

/** One to three axes, and channels. */
function drawImage(random: Random): number[] {
  const space = Array.from({ length: random.pick([1, 1, 2, 2, 3]) }, () => random.whole(1, 3));
  return [...space, random.whole(1, 2)];
}

/** The forms that inputs have. */
function drawShape(
  random: Random,
  time: number,
  kind: "vector" | "picture" | "sequence" | "images" | "documents",
): Pick<Kind, "shape" | "time"> {
  switch (kind) {
    case "vector":
      return { shape: [features(random)], time: 0 };
    case "sequence":
      return { shape: [time, features(random)], time: 1 };
    case "picture":
      return { shape: drawImage(random), time: 0 };
    case "images":
      return { shape: [time, ...drawImage(random)], time: 1 };
    case "documents":
      return { shape: [time, random.whole(1, 3), features(random)], time: 2 };
  }
}

export function kindOf(input: InputDescription): Kind {
  const { dtype, shape, time } = input;
  return { dtype, shape, time, mask: 0, wild: false, clean: true };
}

export function drawInput(scope: Scope, time: number, group: number, inGraph: boolean): InputDescription {
  const { random } = scope;
  const scale = random.chance(0.05) ? 64 : undefined;
  if (random.chance(0.3)) {
    const shape = random.chance(0.6) ? [time] : [time, random.whole(1, 3)];
    const padding: Padding = random.chance(0.8) ? { kind: "token" } : { kind: "none" };
    return {
      name: `tokens${group}`,
      dtype: "int32",
      shape,
      time: shape.length as 1 | 2,
      padding,
      counted: padding.kind === "none" ? 0 : shape.length as 1 | 2,
      group,
      vocabulary: 5,
    };
  }
  const form = drawShape(
    random,
    time,
    random.pick(["sequence", "sequence", "sequence", "sequence", "images", "picture", "documents", "vector"]),
  );
  const plain = form.shape.length === form.time + 1 && form.time > 0;
  const padding: Padding = plain && random.chance(0.35)
    ? { kind: "value", value: random.pick([0, 0, -1]) }
    : inGraph && form.time > 0 && random.chance(0.6)
    ? random.chance(0.7) ? { kind: "wild" } : { kind: "tame" }
    : { kind: "none" };
  const counted = padding.kind === "none"
    ? 0
    : padding.kind === "value" || form.time < 2 || random.chance(0.5)
    ? form.time
    : 1;
  return { name: `x${group}`, dtype: "float32", ...form, padding, counted, group, scale };
}

/** The last layer: mostly dense, for losses that want probabilities or logits. */
export function headLayer(scope: Scope, kind: Kind) {
  const { random } = scope;
  if (kind.dtype === "int32") return growOne(scope, kind, 1);
  if (kind.shape.length <= kind.time || random.chance(0.3)) return;
  const units = random.whole(1, 4);
  const activation = random.pick([undefined, undefined, "softmax", "softmax", "sigmoid", "tanh"]);
  const range: Kind["range"] = activation === "softmax" || activation === "sigmoid" ? activation : undefined;
  const layer: LayerDescription = {
    type: "dense",
    options: {
      units,
      ...(activation ? { activation } : {}),
      ...(random.chance(0.1) ? { trainable: false } : {}),
    },
  };
  const after: Kind = { ...kind, shape: [...kind.shape.slice(0, -1), units], range };
  return kind.time > 0 && random.chance(0.3)
    ? { layer: { type: "timeDistributed", options: {}, inner: layer } as LayerDescription, kind: after }
    : { layer, kind: after };
}

export interface Drawn {
  readonly model: LayerDescription;
  readonly inputs: readonly InputDescription[];
  readonly inputTree: Places;
  readonly outputs: readonly Kind[];
  readonly outputTree: Places;
}
