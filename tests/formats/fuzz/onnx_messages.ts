/** Mutations of ONNX's messages: files that are right as messages and wrong in what they say. */
import { decodeModel, encodeModel } from "../../../formats/onnx/protos.ts";
import { mutate, type Random } from "./mutate.ts";

/** A place in a message. */
interface Slot {
  readonly holder: Record<string | number, unknown>;
  readonly key: string | number;
}

/** Every field and every entry of a list below a message. */
function slotsOf(value: unknown, slots: Slot[] = []): Slot[] {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return slots;
  const holder = value as Slot["holder"]; // an object or an array
  const keys = Array.isArray(value) ? value.keys() : Object.keys(value).filter((key) => !key.startsWith("$"));
  for (const key of keys) {
    slots.push({ holder, key });
    slotsOf(holder[key], slots);
  }
  return slots;
}

const WHOLES = [
  0n,
  1n,
  -1n,
  2n,
  3n,
  7n,
  100n,
  2n ** 31n - 1n,
  2n ** 31n,
  -(2n ** 31n),
  2n ** 62n,
  -(2n ** 63n),
];
const NUMBERS = [0, 1, -1, 2, 3, 6, 7, 9, 11, 100, 2 ** 31 - 1, -(2 ** 31)];
const FLOATS = [0, -1, 0.5, NaN, Infinity, -Infinity, 1e30];

function pick<T>(list: readonly T[], random: Random): T {
  return list[random(list.length)];
}

/** A list with an entry gone, twice, or exchanged with another. */
function changedList(list: readonly unknown[], random: Random): unknown[] {
  const changed = [...list];
  if (changed.length === 0) return changed;
  const [at, to] = [random(changed.length), random(changed.length)];
  switch (random(3)) {
    case 0:
      changed.splice(at, 1);
      break;
    case 1:
      changed.splice(to, 0, changed[at]);
      break;
    default:
      [changed[at], changed[to]] = [changed[to], changed[at]];
  }
  return changed;
}

/** Another value of the same type. */
function changed(value: unknown, key: string | number, texts: readonly string[], random: Random): unknown {
  if (typeof value === "bigint") return pick(WHOLES, random);
  if (typeof value === "number") {
    return key === "f" || random(3) === 0 ? pick([...FLOATS, 1, 2], random) : pick(NUMBERS, random);
  }
  if (typeof value === "string") return pick(texts, random);
  if (value instanceof Uint8Array) return mutate(value, random);
  if (Array.isArray(value)) return changedList(value, random);
  return value;
}

/** A file with one to three fields of its messages changed; as it was where that is no file. */
export function mutateMessages(file: Uint8Array, random: Random): Uint8Array {
  const model = decodeModel(file);
  for (let count = 1 + random(3); count > 0; count--) {
    const slots = slotsOf(model);
    const texts = [
      "",
      "__proto__",
      ...slots.map(({ holder, key }) => holder[key]).filter((v) => typeof v === "string"),
    ];
    const { holder, key } = pick(slots, random);
    holder[key] = changed(holder[key], key, texts, random);
  }
  try {
    return encodeModel(model);
  } catch {
    return file; // a float where a whole number belongs: no file says that
  }
}
