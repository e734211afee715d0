/**
 * Compiled loops over the steps of a model, kept with it: a later call of the same kind finds its loop, whatever
 * the length of its prompt and the number of its steps.
 */
import { lazyTrace } from "../../program/functions.ts";
import { symbol } from "../../tensor/dims.ts";
import {
  type DeviceTensor,
  type HostTensor,
  printSpec,
  type Spec,
  specOf,
  type Tensor,
} from "../../tensor/tensor.ts";
import { compile, type Compiled, compileTrace } from "../../transforms/compile.ts";
import type { Device } from "../../transforms/devices.ts";
import type { Backend } from "../../transforms/mod.ts";
import { backendsFor, type Held, hold } from "../../transforms/uploads.ts";
import { flattenTree, mapTree, printStructure, type Tree, unflattenTree } from "../../tree/tree.ts";
import type { Layer } from "../layer.ts";

/** How many loops of a model are kept; what is no longer kept is freed when nobody runs it. */
const MOST_LOOPS = 8;

// deno-lint-ignore no-explicit-any -- loops of all kinds; `key` says which
const loopsOf = new WeakMap<Layer, Map<string, Compiled<any, any>>>();

const devices = new WeakMap<object, number>();
let counted = 0;

/** Text that differs for devices that differ. */
function textOf(device: Device | undefined): string {
  if (typeof device !== "object" || !("compile" in device)) return JSON.stringify(device ?? "auto");
  const known = devices.get(device) ?? counted++;
  devices.set(device, known);
  return `backend ${known}`;
}

/** What the calls of loops with one model have in common. */
export interface LoopContext {
  /** The model that was given. */
  readonly owner: Layer;
  readonly device: Device | undefined;
  /** What calls hold on the device, shared with streams that have the same weights; released by the caller. */
  readonly holds: Held[];
}

/**
 * Calls `fn`, compiled for arguments like these: the second axis of those at `open` may have any size, if the
 * model allows it.
 *
 * @param key Everything that `fn` depends on besides the model and its arguments.
 * @param args The first one are the weights.
 */
export async function runLoop<Args extends readonly [Tree<Tensor>, ...unknown[]], Result>(
  { owner, device, holds }: LoopContext,
  key: string,
  fn: (...args: Args) => Result,
  args: Args,
  open: readonly OpenAxis[],
): Promise<Result> {
  const loops = loopsOf.get(owner) ?? new Map<string, Compiled<Args, Result>>();
  loopsOf.set(owner, loops);
  const specs = args.map((arg, index) => {
    const axis = open.find(({ argument }) => argument === index);
    return mapTree(arg, (leaf: Spec): Spec => {
      const { shape, dtype } = specOf(leaf);
      return { shape: axis === undefined ? shape : shape.with(axis.axis, symbol(axis.name)), dtype };
    });
  });
  const { leaves, structure } = flattenTree<Spec>(specs);
  const at = [key, textOf(device), printStructure(structure), leaves.map(printSpec).join()].join(" ");
  const loop = loops.get(at) ?? compileOpen<Args, Result>(fn, specs, device);
  loops.delete(at);
  loops.set(at, loop);
  for (const [oldest] of loops) {
    if (loops.size <= MOST_LOOPS) break;
    loops.delete(oldest);
  }
  const [params, ...others] = args;
  const held = await holdTree(
    params,
    (await backendsFor(device)).find(({ name }) => name === loop.device),
    holds,
  );
  return await loop(...[held, ...others] as unknown as Args); // the weights in another place
}

/** A tree on the backend that its loop ran on before; as it is if there is none. */
async function holdTree(
  tree: Tree<Tensor>,
  backend: Backend | undefined,
  holds: Held[],
): Promise<Tree<Tensor>> {
  if (backend === undefined) return tree;
  const { leaves, structure } = flattenTree<HostTensor | DeviceTensor>(tree);
  const tensors: Tensor[] = [];
  for (const leaf of leaves) {
    const held = await hold(leaf, backend);
    holds.push(held);
    tensors.push(held.tensor);
  }
  return unflattenTree(structure, tensors);
}

/** An axis that may have any size. */
export interface OpenAxis {
  readonly argument: number;
  readonly axis: number;
  readonly name: string;
}

/** A function compiled for these specs; one that needs a size as a number cannot be, and is for each size. */
function compileOpen<Args extends readonly unknown[], Result>(
  fn: (...args: Args) => Result,
  specs: readonly unknown[],
  device: Device | undefined,
): Compiled<Args, Result> {
  const traced = lazyTrace(fn as (...args: never[]) => unknown, specs); // of Args
  try {
    traced.get();
  } catch (error) {
    if (error instanceof TypeError || error instanceof RangeError) return compile(fn, { device }); // or it fails again, with numbers
    throw error;
  }
  return compileTrace(traced, { device });
}
