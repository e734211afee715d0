/** The interfaces to C that Node can have: its own `node:ffi`, or the package `koffi`. */
import type { CLibrary, CSignatures, CType, Pointer } from "../host_interface.ts";

/** An interface to C. */
export interface Ffi {
  readonly open: <const S extends CSignatures>(path: string, symbols: S) => CLibrary<S>;
  readonly bufferOf: (pointer: Pointer, bytes: number) => ArrayBuffer;
}

/** What is used of `node:ffi`. */
interface NodeFfi {
  dlopen(
    path: string,
    definitions: Record<string, { readonly arguments: readonly string[]; readonly return: string }>,
  ): { readonly lib: { close(): void }; readonly functions: Record<string, (...args: unknown[]) => unknown> };
  toArrayBuffer(pointer: bigint, length: number, copy: boolean): ArrayBuffer;
}

/** What is used of `koffi`. */
export interface Koffi {
  /** Loads a shared object. */
  load(path: string): {
    func(name: string, result: string, parameters: readonly string[]): (...args: unknown[]) => unknown;
    unload(): void;
  };
  /** A buffer over memory. */
  view(pointer: unknown, length: number): ArrayBuffer;
}

/** Types of C by the names of each interface. */
const TYPES: Readonly<Record<CType | "void", { readonly node: string; readonly koffi: string }>> = {
  f64: { node: "float64", koffi: "double" },
  u32: { node: "uint32", koffi: "uint32_t" },
  i32: { node: "int32", koffi: "int32_t" },
  pointer: { node: "pointer", koffi: "void *" },
  void: { node: "void", koffi: "void" },
};

/** A function whose result is null where its pointer is 0. */
function withNull(fn: (...args: unknown[]) => unknown): (...args: unknown[]) => unknown {
  return (...args) => fn(...args) || null;
}

/** The library with symbols that were made one by one. */
function libraryOf<const S extends CSignatures>(
  symbols: S,
  make: (name: string, signature: S[string]) => (...args: unknown[]) => unknown,
  close: () => void,
): CLibrary<S> {
  const made = Object.entries(symbols).map(([name, signature]) => {
    const fn = make(name, signature as S[string]); // a value of this very record
    return [name, signature.result === "pointer" ? withNull(fn) : fn];
  });
  return { symbols: Object.fromEntries(made), close };
}

/** Calls through `node:ffi`. */
export function throughNode(ffi: NodeFfi): Ffi {
  return {
    open(path, symbols) {
      const definitions = Object.entries(symbols).map(([name, { parameters, result }]) =>
        [name, { arguments: parameters.map((type) => TYPES[type].node), return: TYPES[result].node }] as const
      );
      const { lib, functions } = ffi.dlopen(path, Object.fromEntries(definitions));
      return libraryOf(symbols, (name) => functions[name], () => lib.close());
    },
    bufferOf: (pointer, bytes) => ffi.toArrayBuffer(pointer as bigint, bytes, false), // as it gave it
  };
}

/** Calls through `koffi`. */
export function throughKoffi(koffi: Koffi): Ffi {
  return {
    open(path, symbols) {
      const library = koffi.load(path);
      return libraryOf(
        symbols,
        (name, { parameters, result }) =>
          library.func(name, TYPES[result].koffi, parameters.map((type) => TYPES[type].koffi)),
        () => library.unload(),
      );
    },
    bufferOf: (pointer, bytes) => koffi.view(pointer, bytes),
  };
}

/**
 * Imports an interface by its name, which bundlers leave as it is.
 *
 * @returns `undefined` where it is not there.
 */
async function imported<T>(name: string): Promise<T | undefined> {
  try {
    const module = await import(name);
    return module.default ?? module;
  } catch {
    return undefined;
  }
}

/** The interface of this process: `node:ffi` where it is on, else `koffi` where it is installed. */
export async function findFfi(): Promise<Ffi | undefined> {
  const node = await imported<NodeFfi>("node:ffi");
  if (node) return throughNode(node);
  const koffi = await imported<Koffi>("koffi");
  return koffi && throughKoffi(koffi);
}
