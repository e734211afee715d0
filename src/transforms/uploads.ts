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
