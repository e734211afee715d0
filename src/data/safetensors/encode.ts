/** Writes trees of tensors as safetensors files: at once, or in pieces. */
import type { HostTensor } from "../../tensor/tensor.ts";
import { checkOptions } from "../../option_names.ts";
import { quoted } from "../../quoted.ts";
import { bytesOf } from "./dtypes.ts";
import { layOut, type Metadata } from "./header.ts";
import { type Named, namedTensors } from "./names.ts";

/** Options of {@linkcode encodeSafetensors} and {@linkcode writeSafetensors}. */
export interface SafetensorsOptions {
  /** Text about the file, by key: its `__metadata__`. */
  readonly metadata?: Metadata;
}

/** The size in bytes of the pieces. */
const CHUNK = 1 << 20;

function layOutTree(tree: unknown, options: SafetensorsOptions) {
  checkOptions("a safetensors file", options, ["metadata"]);
  const leaves = namedTensors(tree).map((named) => ({
    ...named,
    dtype: named.tensor.dtype,
    shape: named.tensor.shape,
  }));
  return layOut(leaves, options.metadata ?? {});
}

function onHost({ name, tensor }: Named): HostTensor {
  if (tensor.kind === "host") return tensor;
  throw new TypeError(
    `Cannot write ${
      quoted(name)
    }: it is on the device ${tensor.device}; use await toHost(tree), or writeSafetensors`,
  );
}

/**
 * A tree of tensors as the bytes of a safetensors file. The tensors are named by their paths,
 * `params/0/kernel`.
 *
 * float32, float64, int32 and bool are written as F32, F64, I32 and BOOL. The same tree gives the same bytes.
 *
 * @param tree Tensors on the host in arrays and objects, such as variables; empty arrays and objects are not
 * stored.
 * @throws TypeError for a tensor on a device, or metadata that is not text; RangeError for two leaves with
 *   the same name (keys with slashes), or so many tensors that readers would refuse the header (100 MB).
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { tensor } from "@cellfold/cellfold";
 * import { decodeSafetensors, encodeSafetensors } from "@cellfold/cellfold/safetensors";
 * const bytes = encodeSafetensors({ layers: [{ kernel: tensor([[1, 2]]) }] }, { metadata: { epoch: "3" } });
 * const { tensors, metadata } = decodeSafetensors(bytes);
 * assertEquals(tensors["layers/0/kernel"], tensor([[1, 2]]));
 * assertEquals(metadata.epoch, "3");
 * ```
 */
export function encodeSafetensors(
  tree: unknown,
  options: SafetensorsOptions = {},
): Uint8Array<ArrayBuffer> {
  const { header, leaves, fileLength } = layOutTree(tree, options);
  const tensors = leaves.map(onHost);
  const file = new Uint8Array(fileLength);
  file.set(header);
  let offset = header.length;
  for (const tensor of tensors) {
    file.set(bytesOf(tensor), offset);
    offset += bytesOf(tensor).length;
  }
  return file;
}

/** The pieces of a file, with one tensor on the host at a time. */
async function* pieces(
  header: Uint8Array<ArrayBuffer>,
  leaves: readonly Named[],
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  yield header;
  for (const { tensor } of leaves) {
    const bytes = bytesOf(tensor.kind === "host" ? tensor : await tensor.read());
    for (let offset = 0; offset < bytes.length; offset += CHUNK) {
      yield bytes.slice(offset, offset + CHUNK); // a copy: readers of a stream may transfer what they get
    }
  }
}

/**
 * The same file as {@linkcode encodeSafetensors} returns, in pieces: besides the tree itself it needs a
 * megabyte, and one tensor if the tree is on a device.
 *
 * @param tree Tensors on the host or a device; they must not change until the stream has been read.
 * @returns A stream to pipe into a file or a request.
 * @throws As {@linkcode encodeSafetensors}, immediately, but accepts tensors on a device.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { tensor } from "@cellfold/cellfold";
 * import { readSafetensors, writeSafetensors } from "@cellfold/cellfold/safetensors";
 * const { tensors } = await readSafetensors(writeSafetensors({ kernel: tensor([1, 2]) }));
 * assertEquals(tensors.kernel, tensor([1, 2]));
 * ```
 */
export function writeSafetensors(
  tree: unknown,
  options: SafetensorsOptions = {},
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const { header, leaves } = layOutTree(tree, options);
  const source = pieces(header, leaves);
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await source.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    async cancel() {
      await source.return(undefined);
    },
  });
}
