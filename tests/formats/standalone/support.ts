/** What tests of exported models share: their inputs, the loader as a module, and comparisons to the bit. */
import { assertEquals } from "@std/assert";
import {
  type Device,
  type HostTensor,
  init,
  key,
  mapTree,
  type Spec,
  type Tree,
  type Variables,
} from "@cellfold/cellfold";
import { statefulLayer } from "../../../src/layers/stateful.ts";
import { sequencesOf } from "../../../src/layers/stream_steps.ts";
import { allocateValues, type DType } from "../../../src/tensor/tensor.ts";
import { zipTrees } from "../../../src/tree/tree.ts";
import { randomFrom } from "../../fuzz/random.ts";
import type { Exported } from "./models.ts";

/** The device whose code is exported. */
export const DEVICE: Device = { name: "wasm", threads: 1, relaxed: false };

/** What a loader takes and gives in `predict`. */
export interface Plain {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: HostTensor["data"];
}

/** A stream of a loader. */
export interface LoadedStream {
  step(input: unknown, mask?: unknown): unknown;
  reset(): void;
  createStream(): Promise<LoadedStream>;
}

/** The loader as a module. */
export async function moduleOf<Loaded>(loader: string): Promise<{ load(source: unknown): Promise<Loaded> }> {
  return await import(`data:text/javascript,${encodeURIComponent(loader)}`);
}

/** Variables of a model, with weights that differ and carries that are zero. */
export function variablesOf({ model, input }: Exported): Variables {
  return init(model, key(7), input);
}

/** Tensors of these specs, by a seed; half of what could be masked is zero. */
export function inputOf(
  { input, tokens = 20 }: Exported,
  sizes: Readonly<Record<string, number>>,
  seed: number,
) {
  const random = randomFrom(seed);
  return mapTree(input, ({ shape, dtype }: Spec): HostTensor => {
    const sized = shape.map((dim) => typeof dim === "number" ? dim : sizes[String(dim)]);
    const data = allocateValues(dtype, sized.reduce((size, dim) => size * dim, 1));
    data.forEach((_, index) => {
      const value = dtype === "int32"
        ? random.whole(0, tokens - 1)
        : dtype === "bool"
        ? random.whole(0, 4) === 0 ? 1 : 0
        : random.whole(0, 3) === 0
        ? 0
        : random.whole(-1000, 1000) / 500;
      data[index] = value;
    });
    return { kind: "host", shape: sized, dtype, data };
  });
}

/** One step of an input of one row, or of the batch that it has. */
export function stepOf(exported: Exported, seed: number): Tree<HostTensor> {
  const sequence = inputOf(exported, { batch: 1, time: 1 }, seed);
  const steps = sequencesOf(statefulLayer(exported.model)).asStep(sequence);
  return zipTrees(sequence, steps, ({ dtype, data }: HostTensor, { shape }: Spec): HostTensor => {
    const sizes = shape.map(Number);
    return {
      kind: "host",
      dtype,
      shape: sizes,
      data: data.slice(0, sizes.reduce((size, dim) => size * dim, 1)),
    };
  });
}

/** Fails unless both trees have the same tensors, to the bit. */
export function assertSame(actual: unknown, expected: Tree<HostTensor>, what: string): void {
  const plain = mapTree(actual, ({ dtype, shape, data }: HostTensor) => ({ dtype, shape, data: [...data] }));
  assertEquals(
    plain,
    mapTree(expected, ({ dtype, shape, data }: HostTensor) => ({ dtype, shape, data: [...data] })),
    what,
  );
}

/** The arrays of a tree of tensors. */
export function arraysOf(tree: Tree<HostTensor>): unknown {
  return mapTree(tree, ({ data }: HostTensor) => data);
}
