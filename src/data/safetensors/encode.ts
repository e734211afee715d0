/** Writes trees of tensors as safetensors files: at once, or in pieces. */
import type { HostTensor } from "../../tensor/tensor.ts";
import { checkOptions } from "../../option_names.ts";
import { quoted } from "../../quoted.ts";
import { unknownName } from "../../known_names.ts";
import { bytesOf, type StoredFloats, writtenAs, writtenFloats } from "./dtypes.ts";
import { layOut, type Metadata, type NamedLeaf } from "./header.ts";
import { type Named, namedTensors } from "./names.ts";

/** Options of {@linkcode encodeSafetensors} and {@linkcode writeSafetensors}. */
export interface SafetensorsOptions {
  /** Text about the file, by key: its `__metadata__`. */
  readonly metadata?: Metadata;
  /**
   * How float32 tensors are written: `float32` (default); or in half the bytes as the nearest numbers of `float16`, with
   * 11 significant bits up to 65,504, or of `bfloat16`, with 8 and the range of float32. They are read as float32.
   */
  readonly floats?: StoredFloats;
}

/** What is written, with how each float32 tensor is. */
export interface Content {
  readonly tree: unknown;
  readonly metadata?: Metadata;
  readonly floatsOf: (name: string) => StoredFloats;
}

/** A tensor to write. */
type Leaf = Named & NamedLeaf;

/** The size in bytes of the pieces. */
const CHUNK = 1 << 20;

function contentOf(tree: unknown, options: SafetensorsOptions): Content {
  checkOptions("a safetensors file", options, ["metadata", "floats"]);
  const floats = checkFloats(options.floats);
  return { tree, metadata: options.metadata, floatsOf: () => floats };
}

/**
 * How floats are written.
 *
 * @throws TypeError or RangeError for what is not known.
 */
export function checkFloats(floats: StoredFloats = "float32"): StoredFloats {
  if (Object.hasOwn(writtenFloats, floats)) return floats;
  throw unknownName("format of floats", floats, Object.keys(writtenFloats));
}

function layOutTree({ tree, metadata = {}, floatsOf }: Content) {
  const leaves = namedTensors(tree).map(({ name, tensor }): Leaf => {
    const { dtype, shape } = tensor;
    return { name, tensor, shape, type: writtenAs(dtype, floatsOf(name)) };
  });
  return layOut(leaves, metadata);
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
 * float32, float64, int32 and bool are written as F32 (or F16 or BF16, as `floats` says), F64, I32 and BOOL. The same
 * tree gives the same bytes.
 *
 * @param tree Tensors on the host in arrays and objects, such as variables; empty arrays and objects are not
 * stored.
 * @throws TypeError for a tensor on a device, or metadata that is not text; RangeError for two leaves with
 *   the same name (keys with slashes), so many tensors that readers would refuse the header (100 MB), or a number that
 *   would be infinite in 16 bits.
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
  return encodeContent(contentOf(tree, options));
}

/** Content as a file. */
export function encodeContent(content: Content): Uint8Array<ArrayBuffer> {
  const { header, leaves, fileLength } = layOutTree(content);
  const tensors = leaves.map(onHost);
  const file = new Uint8Array(fileLength);
  file.set(header);
  let offset = header.length;
  leaves.forEach(({ name, type }, index) => {
    const bytes = bytesOf(name, tensors[index], type);
    file.set(bytes, offset);
    offset += bytes.length;
  });
  return file;
}

/** The pieces of a file, with one tensor on the host at a time. */
async function* pieces(
  header: Uint8Array<ArrayBuffer>,
  leaves: readonly Leaf[],
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  yield header;
  for (const { name, tensor, type } of leaves) {
    const bytes = bytesOf(name, tensor.kind === "host" ? tensor : await tensor.read(), type);
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
 * @throws As {@linkcode encodeSafetensors}, immediately, but accepts tensors on a device; for a number that would be
 *   infinite, the stream fails.
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
  return writeContent(contentOf(tree, options));
}

/** Content in pieces. */
export function writeContent(content: Content): ReadableStream<Uint8Array<ArrayBuffer>> {
  const { header, leaves } = layOutTree(content);
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
