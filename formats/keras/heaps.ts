/**
 * The global heaps of an HDF5 file, in which texts of any length lie, checked before libhdf5 reads one: it
 * walks through a heap object by object, and never arrives if one claims to have no size, or more than there is.
 * (HDF5 File Format Specification, III.E: Disk Format of Global Heaps.)
 */
import { KerasFileError } from "./errors.ts";

/** `GCOL` and the version, 1. */
const SIGNATURE = [0x47, 0x43, 0x4f, 0x4c, 1];

/** The smallest heap. */
const SMALLEST = 4096;

/** The header of a heap, and of an object in it, where lengths have 8 bytes. */
const HEADER = 16;

/** Throws for a file with lengths of another size than 8 bytes, or a heap that cannot be walked through. */
export function checkHeaps(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const sizeOfLengths = bytes[8] < 2 ? bytes[14] : bytes[10]; // by the version of the superblock
  if (sizeOfLengths !== 8) {
    throw new KerasFileError("the HDF5 file", `its lengths have ${sizeOfLengths} bytes, expected 8`);
  }
  for (let at = bytes.indexOf(SIGNATURE[0]); at >= 0; at = bytes.indexOf(SIGNATURE[0], at + 1)) {
    if (SIGNATURE.every((byte, index) => bytes[at + index] === byte)) checkHeap(view, at);
  }
}

function checkHeap(view: DataView, start: number): void {
  const length = view.byteLength - start;
  const whole = length < HEADER ? 0 : Number(view.getBigUint64(start + 8, true));
  if (whole < SMALLEST || whole > length) return; // which libhdf5 refuses itself, or is no heap
  let at = HEADER;
  while (at + HEADER <= whole) {
    const size = Number(view.getBigUint64(start + at + 8, true));
    const isFree = view.getUint16(start + at, true) === 0;
    const step = isFree ? size : HEADER + Math.ceil(size / 8) * 8;
    if (step === 0 || step > whole - at) {
      throw new KerasFileError(
        "the HDF5 file",
        `its heap at byte ${start} is damaged: an object has ${step} bytes of ${whole - at}`,
      );
    }
    at += step;
  }
}
