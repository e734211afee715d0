/**
 * Models that leave as one file: code and weights together, for programs that do not have this library.
 *
 * @module
 */
export { type StandaloneOptions } from "./options.ts";
export { toWasm, type WasmModel } from "./to_wasm.ts";
