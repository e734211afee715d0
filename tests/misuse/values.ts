/** What users pass by mistake, and enough of what is right for a mistake in a later argument to be reached. */
import { adam, dense, init, key, lstmCell, spec, tensor } from "@cellfold/cellfold";
import type { Value } from "./walk.ts";

const layer = dense({ units: 2 });
const variables = init(layer, key(0), spec([null, 3]));
const x = tensor([[1, 2, 3], [4, 5, 6]]);

function rejected(): Promise<never> {
  const promise = Promise.reject(new Error("of the test"));
  promise.catch(() => {}); // nobody waits for it
  return promise;
}

/** An object that holds itself. */
function itself(): unknown {
  const object: Record<string, unknown> = {};
  object.self = object;
  return object;
}

function listOfItself(): unknown {
  const list: unknown[] = [];
  list.push(list);
  return list;
}

/** Numbers in so many lists that nobody can walk through them by recursion. */
const deep: unknown = Array.from({ length: 100_000 }).reduce((inner) => [inner], 1);

/** Wrong nearly everywhere. */
export const bad: readonly Value[] = [
  { name: "undefined", make: () => undefined },
  { name: "null", make: () => null },
  { name: "3", make: () => 3 },
  { name: "NaN", make: () => NaN },
  { name: '"text"', make: () => "text" },
  { name: "[1, 2]", make: () => [1, 2] },
  { name: "[null]", make: () => [null] },
  { name: "Promise", make: () => Promise.resolve(x) },
  { name: "rejected Promise", make: rejected },
  { name: "(x) => x", make: () => (x: unknown) => x },
  { name: "{}", make: () => ({}) },
  { name: "{ a: 1 }", make: () => ({ a: 1 }) },
  { name: "Map", make: () => new Map() },
  { name: "generator", make: async function* () {}.bind(undefined) },
  { name: "itself", make: itself },
  { name: "list of itself", make: listOfItself },
  { name: "deep list", make: () => deep },
  { name: "5n", make: () => 5n },
  { name: "Symbol", make: () => Symbol("s") },
  { name: "{ params: Promise, state }", make: () => ({ params: Promise.resolve(x), state: [] }) },
  { name: "[Promise]", make: () => [Promise.resolve(x)] },
  { name: "bare object", make: () => Object.create(null) },
  { name: "bytes", make: () => new Uint8Array([1, 2, 3]) },
];

/** Right somewhere. */
export const right: readonly Value[] = [
  { name: "tensor", make: () => x },
  { name: "spec", make: () => spec([null, 3]) },
  { name: "key", make: () => key(0) },
  { name: "layer", make: () => layer },
  { name: "cell", make: () => lstmCell({ units: 2 }) },
  { name: "variables", make: () => variables },
  { name: "data", make: () => ({ x, y: tensor([[1, 2], [3, 4]]) }) },
  { name: "optimizer", make: () => adam() },
];
