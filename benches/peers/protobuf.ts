/** The part of the Protocol Buffers wire format that is needed to write a small message. */

/** A field of a message, encoded. */
export type Field = Uint8Array<ArrayBuffer>;

const VARINT = 0, LENGTH_DELIMITED = 2, FIXED32 = 5;

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  do {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    bytes.push(rest === 0n ? low : low | 0x80);
  } while (rest !== 0n);
  return bytes;
}

/** An integer. */
export function integer(number: number, value: number): Field {
  return Uint8Array.from([...varint(number << 3 | VARINT), ...varint(value)]);
}

/** A float of 4 bytes. */
export function float(number: number, value: number): Field {
  const bytes = new Uint8Array(new Float32Array([value]).buffer);
  return Uint8Array.from([...varint(number << 3 | FIXED32), ...bytes]);
}

/** Bytes. */
export function bytes(number: number, value: Uint8Array): Field {
  return joined([
    Uint8Array.from([...varint(number << 3 | LENGTH_DELIMITED), ...varint(value.length)]),
    value,
  ]);
}

/** A string. */
export function text(number: number, value: string): Field {
  return bytes(number, new TextEncoder().encode(value));
}

/** A nested message. */
export function message(number: number, fields: readonly Field[]): Field {
  return bytes(number, joined(fields));
}

/** A message: its fields in order. */
export function joined(fields: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(fields.reduce((size, { length }) => size + length, 0));
  let at = 0;
  for (const field of fields) {
    whole.set(field, at);
    at += field.length;
  }
  return whole;
}
