/**
 * Compiled loops over the steps of a model, kept with it: a later call of the same kind finds its loop, whatever
 * the length of its prompt and the number of its steps.
 */
import { outputSpecs } from "../../program/functions.ts";
import { symbol } from "../../tensor/dims.ts";
import { printSpec, type Spec, specOf } from "../../tensor/tensor.ts";
import { compile, type Compiled, type Device } from "../../transforms/compile.ts";
import { flattenTree, mapTree, printStructure } from "../../tree/tree.ts";
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

/**
 * Calls `fn`, compiled for arguments like these: the second axis of those at `open` may have any size, if the
 * model allows it.
 *
 * @param owner The model that was given.
 * @param key Everything that `fn` depends on besides the model and its arguments.
 */
export async function runLoop<Args extends readonly unknown[], Result>(
  owner: Layer,
  key: string,
  fn: (...args: Args) => Result,
  args: Args,
  { device, open }: { readonly device: Device | undefined; readonly open: readonly OpenAxis[] },
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
  const loop = loops.get(at) ?? compile(fn, { device, specs: allows(fn, specs) ? specs : undefined });
  loops.delete(at);
  loops.set(at, loop);
  for (const [oldest] of loops) {
    if (loops.size <= MOST_LOOPS) break;
    loops.delete(oldest);
  }
  return await loop(...args);
}

/** An axis that may have any size. */
export interface OpenAxis {
  readonly argument: number;
  readonly axis: number;
  readonly name: string;
}

/** Whether a function can be traced with these specs; one that needs a size as a number cannot. */
function allows(fn: (...args: never[]) => unknown, specs: readonly unknown[]): boolean {
  try {
    outputSpecs(fn, ...specs);
    return true;
  } catch (error) {
    if (error instanceof TypeError || error instanceof RangeError) return false; // or it fails again, with numbers
    throw error;
  }
}
