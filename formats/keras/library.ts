/**
 * The HDF5 library, h5wasm, so that damaged files leave nothing behind in it. What it throws from C unwinds nothing: each
 * error would take a piece of the WebAssembly stack with it until none is left. And libhdf5 prints what is wrong with a
 * file to the console.
 */
type H5wasm = typeof import("h5wasm");

/** The library, loaded on first use: it is 4 MB and compiles itself when imported. */
let loaded: Promise<H5wasm> | undefined;

/** The library. */
export function loadHdf5(): Promise<H5wasm> {
  return loaded ??= import("h5wasm").then(async (h5wasm) => {
    const { FS } = await h5wasm.ready;
    // Emscripten's function, which the types of h5wasm leave out.
    const standardError = (FS as unknown as { getStream?(fd: number): FS.FSStream | undefined }).getStream?.(
      2,
    );
    if (standardError) FS.close(standardError);
    FS.open("/dev/null", "w"); // takes the lowest number that is free, which is that of the standard error
    return h5wasm;
  });
}

/** The name of the function that `ccall` is made to call. */
const HOOK = "cellfoldSession";

/**
 * Runs `run` and gives the stack of the library back, whatever is thrown: Emscripten's `ccall` saves the stack to pass a
 * text, and restores it after the function that it calls.
 */
export function inSession<T>({ Module }: H5wasm, run: () => T): T {
  let outcome: { readonly value: T } | { readonly error: unknown } | undefined;
  const hook = () => {
    try {
      outcome = { value: run() };
    } catch (error) {
      outcome = { error };
    }
    return 0;
  };
  Object.assign(Module, { [`_${HOOK}`]: hook });
  Module.ccall(HOOK, "number", ["string"], ["x"]);
  if (outcome === undefined) throw new Error("h5wasm does not run what it is given");
  if ("error" in outcome) throw outcome.error;
  return outcome.value;
}

/** Gives a file to `run` by its path in the library's memory, and takes it away again. */
export function withFile<T>(
  { Module: { FS } }: H5wasm,
  bytes: Uint8Array | undefined,
  run: (path: string) => T,
): T {
  const path = "/cellfold.h5"; // calls are synchronous, so there is one at a time
  if (bytes) FS.writeFile(path, bytes);
  try {
    return run(path);
  } finally {
    quietly(() => FS.truncate(path, 0)); // where a damaged file cannot be closed, its bytes go all the same
    quietly(() => FS.unlink(path));
  }
}

/** Runs what tidies up after an error that matters more than one in here. */
export function quietly(run: () => unknown): void {
  try {
    run();
  } catch {
    // a file may be damaged so that it cannot be closed either
  }
}
