/** Bytes of the binary format: LEB128 numbers, floats and names, appended to a list or to a growing array. */

/** Appends an unsigned LEB128 number. */
export function pushUnsigned(code: { push(byte: number): unknown }, value: number): void {
  let rest = value >>> 0;
  while (rest > 0x7f) {
    code.push((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  code.push(rest);
}

/** Appends a signed LEB128 number of 32 bits. */
export function pushSigned(code: { push(byte: number): unknown }, value: number): void {
  for (let rest = value | 0;;) {
    const low = rest & 0x7f;
    rest >>= 7;
    if ((rest === 0 && (low & 0x40) === 0) || (rest === -1 && (low & 0x40) !== 0)) {
      code.push(low);
      return;
    }
    code.push(low | 0x80);
  }
}

/** Appends a signed LEB128 number of 64 bits. */
export function pushSigned64(code: { push(byte: number): unknown }, value: bigint): void {
  for (let rest = BigInt.asIntN(64, value);;) {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    if ((rest === 0n && (low & 0x40) === 0) || (rest === -1n && (low & 0x40) !== 0)) {
      code.push(low);
      return;
    }
    code.push(low | 0x80);
  }
}

const floats = new Float32Array(1);
const floatBytes = new Uint8Array(floats.buffer);

/** Appends the four bytes of an f32. */
export function pushFloat(code: { push(byte: number): unknown }, value: number): void {
  floats[0] = value;
  for (const byte of floatBytes) code.push(byte);
}

/** A growing array of bytes. */
export class ByteWriter {
  #bytes = new Uint8Array(1024);
  length = 0;

  #reserve(more: number): void {
    if (this.length + more <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(this.#bytes.length * 2, this.length + more));
    larger.set(this.#bytes.subarray(0, this.length));
    this.#bytes = larger;
  }

  /** Appends a byte. */
  push(byte: number): void {
    this.#reserve(1);
    this.#bytes[this.length++] = byte;
  }

  /** Appends many bytes. */
  append(bytes: ArrayLike<number>): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.length);
    this.length += bytes.length;
  }

  /** Appends a name with its length. */
  text(name: string): void {
    const bytes = utf8(name);
    pushUnsigned(this, bytes.length);
    this.append(bytes);
  }

  /** Appends what `write` writes, preceded by its length. */
  sized(write: (inner: ByteWriter) => void): void {
    const inner = new ByteWriter();
    write(inner);
    pushUnsigned(this, inner.length);
    this.append(inner.bytes());
  }

  /** The bytes written so far. */
  bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.length);
  }
}

/** A text as UTF-8; an audio worklet has no `TextEncoder`. */
function utf8(text: string): Uint8Array {
  const escaped = encodeURIComponent(text.toWellFormed());
  const bytes = escaped.replace(/%(..)/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
  return Uint8Array.from(bytes, (byte) => byte.charCodeAt(0));
}
