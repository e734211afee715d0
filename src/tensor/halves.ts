/** Floats of 16 bits as they are stored: IEEE 754 half precision, and bfloat16, the upper half of a float32. */

/** The largest number that half precision holds. */
export const LARGEST_HALF = 65504;

/** The bits of the nearest half float, of two equally near ones the even; Node 22 has no `Float16Array`. */
export function halfBits(value: number): number {
  if (Number.isNaN(value)) return 0x7e00;
  const float = Float32Array.of(value);
  const [bits] = new Uint32Array(float.buffer);
  const sign = bits >>> 31 << 15;
  const size = Math.abs(float[0]);
  if (size >= 65520) return sign | 0x7c00; // infinity
  const exponent = Math.max((bits >>> 23 & 0xff) - 127, -14);
  const units = size / 2 ** (exponent - 10); // below 1,024 for subnormal numbers only
  const below = Math.floor(units);
  const rest = units - below;
  const up = rest > 0.5 || (rest === 0.5 && below % 2 === 1);
  return sign | ((exponent + 14) * 1024 + below + (up ? 1 : 0)); // a carry goes into the exponent
}

/** The value of a half float, which float32 holds too. */
export function halfValue(bits: number): number {
  const sign = bits >> 15 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
}

/** The bits of the nearest bfloat16, of two equally near ones the even. */
export function brainBits(value: number): number {
  if (Number.isNaN(value)) return 0x7fc0;
  const [bits] = new Uint32Array(Float32Array.of(value).buffer);
  return bits + 0x7fff + (bits >>> 16 & 1) >>> 16; // a carry goes into the exponent
}

const word = new DataView(new ArrayBuffer(4));

/** The value of a bfloat16. */
export function brainValue(bits: number): number {
  word.setUint32(0, bits << 16);
  return word.getFloat32(0);
}
