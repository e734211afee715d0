/**
 * Variables on the host that `predict` is given again and again: from the second call in a row on they lie on the
 * device, until others are given. They are told by their data, which is not read again meanwhile.
 */
import type { Variables } from "../layers/layer.ts";
import { type HostTensor, printSpec, type Tensor } from "../tensor/tensor.ts";
import { type Device, DeviceLost, DeviceOutOfMemory } from "../transforms/devices.ts";
import { backendsFor, type HeldTensors, holdAll } from "../transforms/uploads.ts";
import { flattenTree, printStructure, unflattenTree } from "../tree/tree.ts";

/** The variables of the last call. */
interface Live {
  /** Their structure and specs. */
  text: string;
  data: readonly WeakRef<HostTensor["data"]>[];
  /** Their copies, and the name of the device that has them. */
  held: { readonly copies: HeldTensors; readonly device: string } | undefined;
}

/** By what runs the calls, as `createPredictor` gives it. */
const lives = new WeakMap<object, Live>();

/** The copies of what was dropped without being disposed of are let go of when it is collected. */
const dropped = new FinalizationRegistry<Live>(letGo);

function letGo(live: Live): void {
  live.held?.copies.release();
  live.held = undefined;
}

/** Lets go of the copies that calls of this trainer made. */
export function forgetLive(trainer: object): void {
  const live = lives.get(trainer);
  if (live) letGo(live);
  lives.delete(trainer);
}

/**
 * The result of `use` with these variables, or with their copies on the device.
 *
 * @param predictor What runs them; its device is that of its last call.
 * @param device The device that was asked for.
 */
export async function withLive<Result>(
  trainer: object,
  { predictor, device }: {
    readonly predictor: { readonly device: string };
    readonly device: Device | undefined;
  },
  variables: Variables,
  use: (variables: Variables) => Promise<Result>,
): Promise<Result> {
  const { leaves, structure } = flattenTree<Tensor>(variables);
  const given = leaves.filter((leaf) => leaf.kind === "host");
  if (leaves.length === 0 || given.length < leaves.length) return await use(variables);
  const text = printStructure(structure) + given.map(printSpec).join();
  const live = lives.get(trainer);
  if (!live || live.text !== text || given.some(({ data }, index) => live.data[index].deref() !== data)) {
    remember(trainer, text, given);
    return await use(variables);
  }
  const copies = await copiesFor(live, given, predictor.device, device);
  if (!copies) return await use(variables);
  try {
    return await use(unflattenTree(structure, copies.tensors));
  } catch (error) {
    if (error instanceof DeviceLost) copies.forget();
    if (error instanceof DeviceLost || error instanceof DeviceOutOfMemory) letGo(live);
    if (!(error instanceof DeviceOutOfMemory)) throw error;
  } finally {
    copies.release();
  }
  return await use(variables); // which takes no memory beyond the call
}

/** These are the variables of the last call from now on. */
function remember(trainer: object, text: string, given: readonly HostTensor[]): void {
  const before = lives.get(trainer);
  if (before) letGo(before);
  dropped.unregister(trainer);
  const live: Live = { text, data: given.map(({ data }) => new WeakRef(data)), held: undefined };
  lives.set(trainer, live);
  dropped.register(trainer, live, trainer);
}

/** The copies on the device of the last call, for one more user; undefined if it has none. */
async function copiesFor(
  live: Live,
  given: readonly HostTensor[],
  name: string,
  device: Device | undefined,
): Promise<HeldTensors | undefined> {
  if (live.held) return live.held.device === name ? live.held.copies.share() : undefined;
  const backend = (await backendsFor(device)).find((backend) => backend.name === name);
  if (!backend) return undefined; // there was no call yet
  try {
    const copies = await holdAll(given, backend, new Set());
    if (live.held) return copies; // another call was first
    live.held = { copies, device: name };
    return copies.share();
  } catch (error) {
    if (error instanceof DeviceOutOfMemory) return undefined;
    throw error;
  }
}
