/**
 * Packed operands that stay the same from call to call, such as weights. The packed form of a tensor belongs
 * to that tensor: whatever reads it, for whichever sizes, finds it packed, and it is freed with the tensor. An
 * operand that nothing else reads is packed from the host, so that the device does not hold it twice.
 */
import type { HostTensor } from "../../src/tensor/tensor.ts";
import type { Input } from "../backend.ts";
import type { Buffer } from "../lowering/views.ts";
import { roundedUp } from "../shapes.ts";
import { type Attached, StoredTensor } from "../stored_tensor.ts";
import { cpuFunctions, type CpuKernel, type CpuKernelOf } from "./kernels.ts";

/** A kernel that packs an operand which stays packed, and so has a fixed size. */
export interface StayingPack extends CpuKernelOf<"pack"> {
  readonly packed: CpuKernelOf<"pack">["packed"] & { readonly size: number };
}

/** The index of the input that a kernel packs. */
export function packedInput({ right: { buffer: { storage } } }: StayingPack): number {
  if (storage.kind !== "input") throw new Error("Only inputs stay packed");
  return storage.index;
}

/** The packed form of each operand, where it belongs to a tensor on the device. */
export function packedFor(packs: readonly StayingPack[], inputs: readonly Input[]): (Attached | undefined)[] {
  return packs.map((kernel) => {
    const input = inputs[packedInput(kernel)];
    return input instanceof StoredTensor ? packedOf(input, kernel) : undefined;
  });
}

/** What the form that a kernel packs is for, in words. */
const keys = new WeakMap<StayingPack, string>();

function keyOf(kernel: StayingPack): string {
  const { right } = kernel;
  const known = keys.get(kernel);
  if (known !== undefined) return known;
  const key = `packed [${right.shape}] by [${right.strides}] from ${right.offset}`;
  keys.set(kernel, key);
  return key;
}

/** The packed form of a tensor for a kernel. */
export function packedOf(tensor: StoredTensor, kernel: StayingPack): Attached {
  return tensor.attach(keyOf(kernel), kernel.packed.size * 4);
}

/** The inputs that are only packed, from rows or columns that lie side by side. */
export function onlyPacked(
  kernels: readonly CpuKernel[],
  packs: readonly StayingPack[],
): ReadonlySet<number> {
  const others = new Set<Buffer>(
    kernels.filter((kernel) => !packs.includes(kernel as StayingPack)).flatMap(cpuFunctions.buffersOf),
  );
  const isRead = (index: number) =>
    [...others].some(({ storage }) => storage.kind === "input" && storage.index === index);
  const isEasy = ({ right: { shape, strides, offset, dtype } }: StayingPack) =>
    shape.length === 2 && dtype === "float32" && [...shape, ...strides, offset].every((dim) =>
      typeof dim === "number"
    ) &&
    strides.some((stride) => stride === 1);
  const all = new Set(packs.map(packedInput));
  return new Set(
    [...all].filter((index) =>
      !isRead(index) && packs.every((kernel) => packedInput(kernel) !== index || isEasy(kernel))
    ),
  );
}

/** Bytes of the pieces in which an operand is copied to be packed. */
const PIECE_BYTES = 1 << 18;

/** What packs: `pack(source, destination, k, n, strideK, strideN)` of a module, over this memory. */
export interface Packer {
  readonly pack: (...args: number[]) => void;
  readonly memory: { readonly buffer: ArrayBufferLike };
  /** The columns of a panel, or a multiple. */
  readonly panelColumns: number;
  /** The address of this many bytes. */
  readonly place: (bytes: number) => number;
}

/** Packs an operand of {@linkcode onlyPacked} from the host, piece by piece. */
export function packFromHost(
  { right: { shape, strides, offset } }: StayingPack,
  { data }: HostTensor,
  destination: number,
  { pack, memory, panelColumns, place }: Packer,
): void {
  const [k, n] = shape.map(Number), [strideK, strideN] = strides.map(Number), first = Number(offset);
  const panels = Math.max(1, Math.floor(PIECE_BYTES / (4 * panelColumns * Math.max(1, k))));
  const piece = place(4 * k * panelColumns * panels);
  for (let column = 0; column < n; column += panels * panelColumns) {
    const columns = Math.min(panels * panelColumns, n - column);
    const copy = new Float32Array(memory.buffer, piece, k * columns);
    if (strideN === 1) {
      for (let row = 0; row < k; row++) {
        const from = first + row * strideK + column;
        copy.set(data.subarray(from, from + columns), row * columns);
      }
      pack(piece, destination + 4 * k * column, k, columns, 4 * columns, 4);
    } else {
      for (let at = 0; at < columns; at++) {
        const from = first + (column + at) * strideN;
        copy.set(data.subarray(from, from + k), at * k);
      }
      pack(piece, destination + 4 * k * column, k, columns, 4, 4 * k);
    }
  }
}

/** The packed form of an operand, made on the host: what its kernel would write into panels of so many columns. */
export function packedOnHost(
  { right: { shape, strides, offset }, packed }: StayingPack,
  { data }: HostTensor,
  panelColumns: number,
): Float32Array<ArrayBuffer> {
  const result = new Float32Array(packed.size);
  const sizes = shape.map(Number), steps = strides.map(Number);
  const [k, n] = sizes.slice(-2), [strideK, strideN] = steps.slice(-2);
  const packMatrix = (from: number, to: number) => {
    for (let column = 0; column < n; column++) {
      const lane = column % panelColumns;
      const panel = to + (column - lane) * k + lane;
      for (let row = 0; row < k; row++) {
        result[panel + row * panelColumns] = data[from + row * strideK + column * strideN];
      }
    }
  };
  const size = k * roundedUp(n, panelColumns);
  const overMatrices = (axis: number, from: number, index: number): void => {
    if (axis === sizes.length - 2) return packMatrix(from, index * size);
    for (let at = 0; at < sizes[axis]; at++) {
      overMatrices(axis + 1, from + at * steps[axis], index * sizes[axis] + at);
    }
  };
  overMatrices(0, Number(offset), 0);
  return result;
}
