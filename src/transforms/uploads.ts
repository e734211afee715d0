/**
 * Tensors that lie on a device for many users, such as the weights of a model for all its streams: copied
 * there once, and freed when the last user lets go of them. A tensor on the host is told by its data, which
 * must not be written to meanwhile.
 */
import type { Backend, Input } from "../../kernels/backend.ts";
import { type Device, devicesFor } from "../../kernels/mod.ts";
import { trace } from "../program/functions.ts";
import { type DeviceTensor, type HostTensor, isTensor, printSpec, type Tensor } from "../tensor/tensor.ts";
import { toHost } from "../tree/to_host.ts";
import { flattenTree, type MappedTree, printPath, unflattenTree } from "../tree/tree.ts";

/** A copy, and how many use it. */
interface Upload {
  readonly tensor: Promise<DeviceTensor>;
  users: number;
}

/** Copies by the data, then by the backend and the spec. */
const uploads = new WeakMap<HostTensor["data"], WeakMap<Backend, Map<string, Upload>>>();

/** A tensor for a backend, until it is let go of. */
export interface Held {
  readonly tensor: Input;
  /** Lets go of it; `isLost`: its device was lost, so nobody else can use it either. */
  release(isLost?: boolean): void;
}

/** The tensor on a backend's device; one that is on a device already stays where it is. */
export async function hold(tensor: HostTensor | DeviceTensor, backend: Backend): Promise<Held> {
  if (tensor.kind === "device") return { tensor, release: () => {} };
  const { data, dtype, shape } = tensor;
  const copies = uploads.get(data) ?? new WeakMap<Backend, Map<string, Upload>>();
  uploads.set(data, copies);
  const ofBackend = copies.get(backend) ?? new Map<string, Upload>();
  copies.set(backend, ofBackend);
  const key = `${dtype} ${shape}`;
  const upload = ofBackend.get(key) ??
    { tensor: backend.share?.(tensor) ?? backend.upload(tensor), users: 0 };
  ofBackend.set(key, upload);
  upload.users++;
  const forget = () => {
    if (ofBackend.get(key) === upload) ofBackend.delete(key);
  };
  let isHeld = true;
  try {
    const copy = await upload.tensor;
    return {
      tensor: copy,
      release(isLost = false) {
        if (isLost) forget();
        if (!isHeld) return;
        isHeld = false;
        if (--upload.users > 0) return;
        forget();
        copy[Symbol.dispose]();
      },
    };
  } catch (error) {
    forget();
    throw error;
  }
}

/** Tensors on a backend's device that several users hold together, such as the params of loops over one step. */
export class HeldTensors {
  readonly #held: readonly Held[];
  readonly #from: readonly Tensor[];
  #users = 1;
  #isGone = false;

  constructor(held: readonly Held[], from: readonly Tensor[]) {
    this.#held = held;
    this.#from = from;
  }

  get isHeld(): boolean {
    return !this.#isGone;
  }

  get tensors(): readonly Input[] {
    return this.#held.map(({ tensor }) => tensor);
  }

  /** The same for another user who gives these tensors; undefined if they are others or are held no more. */
  sharedFor(tensors: readonly Tensor[]): HeldTensors | undefined {
    return tensors.some((tensor, index) => tensor !== this.#from[index]) ? undefined : this.share();
  }

  /** The same for another user; undefined if they are held no more. */
  share(): HeldTensors | undefined {
    if (this.#isGone) return undefined;
    this.#users++;
    return this;
  }

  /** Lets go of them; `isLost`: their device was lost. */
  release(isLost = false): void {
    if (isLost) return this.forget();
    if (--this.#users === 0) this.#drop();
  }

  /** Their device was lost, so nobody can use them. */
  forget(): void {
    this.#drop(true);
  }

  #drop(isLost?: boolean): void {
    this.#isGone = true;
    for (const each of this.#held) each.release(isLost);
  }
}

/**
 * All tensors on a backend's device; if one cannot be copied, none is held.
 *
 * @param known Those that are held already, and may be shared; weakly, as users may be dropped without letting
 *   go of them.
 * @param laidOut What is held in their place; default: they themselves.
 */
export async function holdAll(
  tensors: readonly (HostTensor | DeviceTensor)[],
  backend: Backend,
  known: Set<WeakRef<HeldTensors>>,
  laidOut: (tensors: readonly (HostTensor | DeviceTensor)[]) => Promise<typeof tensors> = (tensors) =>
    Promise.resolve(tensors),
): Promise<HeldTensors> {
  for (const each of known) {
    const shared = each.deref()?.sharedFor(tensors);
    if (shared) return shared;
    if (!each.deref()?.isHeld) known.delete(each);
  }
  const all = await Promise.allSettled((await laidOut(tensors)).map((tensor) => hold(tensor, backend)));
  const held = all.flatMap((each) => each.status === "fulfilled" ? [each.value] : []);
  for (const each of all) {
    if (each.status === "fulfilled") continue;
    for (const other of held) other.release();
    throw each.reason;
  }
  const together = new HeldTensors(held, tensors);
  known.add(new WeakRef(together));
  return together;
}

/** The backends that calls for a device choose from. */
export async function backendsFor(device: Device | undefined): Promise<readonly Backend[]> {
  return (await devicesFor(device)).backends;
}

/** Copies all tensors of a tree to the device that suits them; the result is the caller's to dispose of. */
export async function uploadTree<T>(tree: T, device?: Device): Promise<MappedTree<T, DeviceTensor>> {
  const { leaves, structure, paths } = flattenTree<Tensor>(tree);
  leaves.forEach((leaf, index) => {
    if (isTensor(leaf) && leaf.kind !== "traced") return;
    throw new TypeError(
      `Cannot copy ${printSpec(leaf)} at ${printPath(paths[index], "the tree")}: it has no values`,
    );
  });
  const devices = await devicesFor(device);
  const { program } = trace((all: readonly Tensor[]) => all, leaves);
  const uploaded = await devices.choose(program, leaves, async ({ backend }) => {
    const done: DeviceTensor[] = [];
    try {
      for (const leaf of leaves) done.push(await backend.upload(await toHost(leaf) as HostTensor));
      return done;
    } catch (error) {
      for (const tensor of done) tensor[Symbol.dispose]();
      throw error;
    }
  });
  return unflattenTree<MappedTree<T, DeviceTensor>>(structure, uploaded);
}
