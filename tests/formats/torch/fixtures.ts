/** The files that `python/make_files.py` has written, and what is in them; read without any permission. */
import fixtures from "./fixtures.json" with { type: "json" };

/** A tensor as Python prints it: exact numbers, `nan`, `inf`, `True`. */
export interface Printed {
  readonly shape: readonly number[];
  readonly data: readonly string[];
}

/** What is in a file. */
export interface Expected {
  readonly path: string;
  readonly others: readonly string[];
  readonly tensors: Readonly<Record<string, Printed>>;
  /** Inputs of the module, and what it gives. */
  readonly outputs?: Readonly<Record<string, Printed>>;
}

async function unpacked(text: string): Promise<Uint8Array<ArrayBuffer>> {
  const packed = new Blob([Uint8Array.from(atob(text), (character) => character.charCodeAt(0))]);
  return new Uint8Array(
    await new Response(packed.stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer(),
  );
}

const files: Readonly<Record<string, string>> = fixtures.files;

/** A file by its name. */
export async function fixture(name: string): Promise<Uint8Array<ArrayBuffer>> {
  return await unpacked(files[name]);
}

/** What Python says of the files, by name. */
export const expectedFiles: Readonly<Record<string, Expected>> = JSON.parse(
  new TextDecoder().decode(await unpacked(fixtures.expected)),
);

const words: Readonly<Record<string, number>> = {
  nan: NaN,
  inf: Infinity,
  "-inf": -Infinity,
  True: 1,
  False: 0,
};

/** The numbers of a printed tensor. */
export function numbersOf({ data }: Printed): number[] {
  return data.map((text) => words[text] ?? Number(text));
}
