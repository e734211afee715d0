/** What a random key is. `operations/random.ts` makes keys and draws with them. */
import { wrongKind } from "../describe.ts";
import { isTensor, printSpec, type Spec } from "./tensor.ts";

/**
 * Throws a TypeError unless `key` is a random key, a tensor of `int32[2]`.
 *
 * @param what What cannot be done, such as `draw random numbers`.
 */
export function checkKey(what: string, key: unknown): void {
  const expected = "int32[2]; make one with key(seed)";
  if (!isTensor(key)) throw wrongKind(what, key, "the key", expected);
  if (isKeySpec(key)) return;
  throw new TypeError(`Cannot ${what}: the key is ${printSpec(key)}, expected ${expected}`);
}

function isKeySpec({ dtype, shape }: Spec): boolean {
  return dtype === "int32" && shape.length === 1 && shape[0] === 2;
}
