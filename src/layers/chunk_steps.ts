/**
 * What streams compile, for all streams through a layer: chunks of any length where the layer allows it, and
 * single steps. It is freed with the last stream that uses it.
 */
import { symbol } from "../tensor/dims.ts";
import { printSpec, type Spec, type Tensor } from "../tensor/tensor.ts";
import { type Device, keyOfDevice } from "../transforms/devices.ts";
import { type CompiledStep, compileStep } from "../transforms/loop.ts";
import { flattenTree, mapTree, printStructure, type Tree } from "../tree/tree.ts";
import type { Layer } from "./layer.ts";

type Step = CompiledStep<Tree<Tensor>, Tree<Tensor>, Tree<Tensor>, Tree<Tensor>>;

/** A compiled step that streams share. */
interface Shared {
  readonly step: Promise<Step>;
  /** It, once it is compiled, as long as later streams may use it. */
  ready: Step | undefined;
  /** How many streams use it. */
  users: number;
  /** Where later streams find it. */
  readonly among: Map<string, Shared>;
  readonly key: string;
}

/** Sees to it that later streams do not find it any more. */
function forget(shared: Shared): void {
  const { among, key } = shared;
  shared.ready = undefined;
  if (among.get(key) === shared) among.delete(key);
}

/** A compiled step, as one stream uses it. */
export class ChunkStep {
  readonly #shared: Shared;
  #step: Step | undefined;

  /** @param shared What it shares; the stream is counted among its users already. */
  constructor(step: Step, shared: Shared) {
    this.#step = step;
    this.#shared = shared;
  }

  /** Whether it is compiled for inputs like this one, and not released. */
  accepts(input: Tree<Tensor>): boolean {
    return this.#step?.accepts(input) ?? false;
  }

  begin(...[params, state, input]: Parameters<Step["begin"]>): ReturnType<Step["begin"]> {
    if (!this.#step) throw new Error("Cannot begin a loop over a step that was released");
    return this.#step.begin(params, state, input);
  }

  /** The same for another stream; undefined if it is gone, or its device was lost. */
  share(): ChunkStep | undefined {
    const { ready } = this.#shared;
    if (!ready) return undefined;
    this.#shared.users++;
    return new ChunkStep(ready, this.#shared);
  }

  /** The stream needs it no longer; `isLost`: its device was lost, so later streams compile it anew. */
  release(isLost = false): void {
    const shared = this.#shared;
    if (isLost) forget(shared);
    const step = this.#step;
    this.#step = undefined;
    if (!step || --shared.users > 0) return;
    forget(shared);
    step[Symbol.dispose]();
  }
}

/** A step as a function of params, state and input. */
type StepFunction = (
  params: Tree<Tensor>,
  state: Tree<Tensor>,
  input: Tree<Tensor>,
) => readonly [Tree<Tensor>, Tree<Tensor>];

/** How a step is called the first time. */
interface FirstCall {
  readonly name: "chunks" | "steps" | "slots";
  readonly params: Tree<Tensor>;
  readonly state: Tree<Tensor>;
  readonly input: Tree<Tensor>;
  readonly device: Device | undefined;
  /** Which tensors of the input are sequences. */
  readonly isSequence: (index: number) => boolean;
}

const stepsOf = new WeakMap<Layer, Map<string, Shared>>();

/** The compiled step for calls like this one. */
export async function chunkStep(layer: Layer, fn: StepFunction, call: FirstCall): Promise<ChunkStep> {
  const { name, params, state, input, device, isSequence } = call;
  const steps = stepsOf.get(layer) ?? new Map<string, Shared>();
  stepsOf.set(layer, steps);
  const compiled = async (specs: unknown): Promise<ChunkStep> => {
    const key = `${name} ${keyOfDevice(device)} ${keyOf([params, state, specs])}`;
    const shared: Shared = steps.get(key) ?? {
      step: compileStep(fn, params, state, specs, input, { device }),
      ready: undefined,
      users: 0,
      among: steps,
      key,
    };
    steps.set(key, shared);
    shared.users++;
    try {
      const step = await shared.step;
      if (steps.get(key) === shared) shared.ready = step;
      return new ChunkStep(step, shared);
    } catch (error) {
      forget(shared);
      throw error;
    }
  };
  if (name !== "chunks") return await compiled(mapTree(input, (leaf: Spec) => leaf));
  const time = symbol("time");
  let index = 0;
  const open = mapTree(input, ({ shape, dtype }: Spec): Spec => ({
    dtype,
    shape: isSequence(index++) && shape.length > 1 ? shape.with(1, time) : shape,
  }));
  try {
    return await compiled(open);
  } catch (error) {
    // A layer that needs the length as a number is compiled for each.
    if (!(error instanceof TypeError || error instanceof RangeError)) throw error;
    return await compiled(mapTree(input, (leaf: Spec) => leaf));
  }
}

/** The text of the structure and specs of a tree. */
export function keyOf(tree: unknown): string {
  const { leaves, structure } = flattenTree<Spec>(tree);
  return printStructure(structure) + leaves.map(printSpec).join();
}
