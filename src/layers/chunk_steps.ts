/**
 * What streams compile, for all streams through a layer: chunks of any length where the layer allows it, and
 * single steps. It is freed with the last stream that uses it.
 */
import { symbol } from "../tensor/dims.ts";
import { printSpec, type Spec, type Tensor } from "../tensor/tensor.ts";
import type { Device } from "../transforms/compile.ts";
import { type CompiledStep, compileStep } from "../transforms/loop.ts";
import { flattenTree, mapTree, printStructure, type Tree } from "../tree/tree.ts";
import type { Layer } from "./layer.ts";

type Step = CompiledStep<Tree<Tensor>, Tree<Tensor>, Tree<Tensor>, Tree<Tensor>>;

/** A compiled step, as one stream uses it. */
export interface ChunkStep extends Pick<Step, "accepts" | "begin"> {
  /** The same for another stream. */
  share(): ChunkStep;
  /** The stream needs it no longer; `isLost`: its device was lost, so later streams compile it anew. */
  release(isLost?: boolean): void;
}

/** A compiled step, and how many streams use it. */
interface Shared {
  readonly step: Promise<Step>;
  users: number;
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
    const shared = steps.get(key) ??
      { step: compileStep(fn, params, state, specs, input, { device }), users: 0 };
    steps.set(key, shared);
    shared.users++;
    const forget = () => {
      if (steps.get(key) === shared) steps.delete(key);
    };
    try {
      return handle(await shared.step, shared, forget);
    } catch (error) {
      forget();
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

/** A step for a stream that is counted among its users. */
function handle(step: Step, shared: Shared, forget: () => void): ChunkStep {
  let isUsed = true;
  return {
    accepts: step.accepts,
    begin: step.begin,
    share: () => {
      shared.users++;
      return handle(step, shared, forget);
    },
    release(isLost = false) {
      if (isLost) forget();
      if (!isUsed) return;
      isUsed = false;
      if (--shared.users > 0) return;
      forget();
      step[Symbol.dispose]();
    },
  };
}

function keyOf(tree: unknown): string {
  const { leaves, structure } = flattenTree<Spec>(tree);
  return printStructure(structure) + leaves.map(printSpec).join();
}

const numbers = new WeakMap<object, number>();
let count = 0;

/** The text of a device; of a backend, a number that no other has. */
function keyOfDevice(device: Device = "auto"): string {
  if (typeof device === "string") return device;
  if (!("compile" in device)) return JSON.stringify(device);
  const known = numbers.get(device) ?? count++;
  numbers.set(device, known);
  return `backend ${known}`;
}
