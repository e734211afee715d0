/**
 * The HDF5 library, h5wasm, used so that damaged files leave nothing behind in it. An error thrown from C
 * does not unwind: each would leak a piece of the WebAssembly stack until none is left. libhdf5 would also
 * print errors to the console.
 */
type H5wasm = typeof import("h5wasm");

/** The library, loaded on first use: it is 4 MB and compiles itself when imported. */
let loaded: Promise<H5wasm> | undefined;

/** The library. */
export function loadHdf5(): Promise<H5wasm> {
  return loaded ??= import("h5wasm").then(async (h5wasm) => {
    const { FS } = await h5wasm.ready;
    // Emscripten's function, which the types of h5wasm omit.
    const standardError = (FS as unknown as { getStream?(fd: number): FS.FSStream | undefined }).getStream?.(
      2,
    );
    if (standardError) FS.close(standardError);
    FS.open("/dev/null", "w"); // gets the lowest free descriptor, which is that of standard error
    return h5wasm;
  });
}

/** The name of the function that `ccall` calls. */
const HOOK = "cellfoldSession";

/**
 * Runs `run` and then restores the library's stack, whatever is thrown: Emscripten's `ccall` saves the stack
 * to pass text, and restores it after the function that it calls.
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

/** Passes a file to `run` by its path in the library's memory, and removes it afterwards. */
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
    quietly(() => FS.truncate(path, 0)); // even if a damaged file cannot be closed, its bytes are freed
    quietly(() => FS.unlink(path));
  }
}

/** Runs cleanup after an error that matters more than one in the cleanup. */
export function quietly(run: () => unknown): void {
  try {
    run();
  } catch {
    // a damaged file may be impossible to close, too
  }
}
