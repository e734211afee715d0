/** What the tests of Keras files share: fixtures, tensors in JSON, and comparing. */
import { assert } from "@std/assert";
import { predict } from "../../../src/training/mod.ts";
import type { Layer, Variables } from "../../../src/layers/mod.ts";
import {
  type DType,
  host,
  type HostTensor,
  isLeaf,
  type Tensor,
  tensor,
} from "../../../src/tensor/tensor.ts";
import { mapTree, type Tree, treeLeaves } from "../../../src/tree/tree.ts";

export interface PlainTensor {
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly data: readonly number[];
}

/** A model's inputs with what Keras computes for them. */
export interface Case {
  readonly inputs: Tree<PlainTensor>;
  readonly outputs: Tree<PlainTensor>;
}

export const fixtures = new URL("./fixtures/", import.meta.url);

/** Whether files of the tests may be read; tests that need them are ignored otherwise. */
export const mayRead = Deno.permissions.querySync({ name: "read", path: fixtures }).state === "granted";

export function fixture(name: string): Uint8Array<ArrayBuffer> {
  return Deno.readFileSync(new URL(name, fixtures));
}

/** The files of Keras 2, and HDF5 files of whole models. */
export const oldFixtures = new URL("./fixtures/old/", import.meta.url);

/** A file of them; those that end in `.gz` are compressed. */
export async function oldFixture(name: string): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = Deno.readFileSync(new URL(name, oldFixtures));
  if (!name.endsWith(".gz")) return bytes;
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

export function cases(folder: URL = fixtures): Record<string, Case> {
  return JSON.parse(Deno.readTextFileSync(new URL("predictions.json", folder)));
}

/** Tensors of JSON as tensors. */
export function tensors(tree: Tree<PlainTensor>): Tree<Tensor> {
  const made = ({ data, shape, dtype }: PlainTensor) => tensor([...data], { shape: [...shape], dtype });
  return mapTree(tree, made);
}

/** Tensors as JSON. */
export function plain(tree: Tree<Tensor>): Tree<PlainTensor> {
  const made = (leaf: Tensor): PlainTensor => {
    const { shape, dtype, data } = host(leaf);
    return { shape: shape.map(Number), dtype, data: [...data] };
  };
  return mapTree(tree, made);
}

/** The model's predictions by the reference backend, in one batch. */
export async function predictions(
  model: Layer,
  variables: Variables,
  inputs: Tree<Tensor>,
): Promise<Tree<Tensor>> {
  const [first] = treeLeaves<Tensor>(inputs);
  const batchSize = Number(first.shape[0]);
  return await predict(model, variables, inputs, { batchSize, device: "reference" });
}

/** Fails unless both trees have equal shapes, and values within `tolerance` times the largest magnitude. */
export function assertNear(
  actual: Tree<Tensor>,
  expected: Tree<Tensor>,
  tolerance: number,
  what: string,
): void {
  const pairs: [HostTensor, HostTensor][] = [];
  const collect = (a: Tree<Tensor>, b: Tree<Tensor>) => {
    if (isLeaf(b)) {
      assert(isLeaf(a), `${what}: expected a tensor`);
      pairs.push([host(a), host(b)]);
      return;
    }
    const [left, right] = [a, b] as Record<string, Tree<Tensor>>[];
    assert(
      !isLeaf(a) && Object.keys(left).sort().join() === Object.keys(right).sort().join(),
      `${what}: structure`,
    );
    for (const key of Object.keys(right)) collect(left[key], right[key]);
  };
  collect(actual, expected);
  for (const [a, b] of pairs) {
    assert(String(a.shape) === String(b.shape), `${what}: the shape is [${a.shape}], expected [${b.shape}]`);
    const most = [...b.data].reduce((most, value) => Math.max(most, Math.abs(value)), 1e-3);
    b.data.forEach((value, index) => {
      const off = Math.abs(a.data[index] - value);
      assert(off <= tolerance * most, `${what}: element ${index} is ${a.data[index]}, expected ${value}`);
    });
  }
}

/** The error of a promise that must fail. */
export async function errorOf(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise;
  } catch (error) {
    assert(error instanceof Error, `what is thrown is no Error: ${String(error)}`);
    return error;
  }
  throw new Error("nothing was thrown");
}
