/**
 * Cellfold: recurrent networks as folds. A cell is a pure function, a sequence is folded through it, and the fold is
 * differentiated and compiled whatever the cell is.
 *
 * @module
 */
export * from "./src/tensor/mod.ts";
export * from "./src/tree/mod.ts";
export * from "./src/operations/mod.ts";
export * from "./src/program/mod.ts";
export * from "./src/transforms/mod.ts";
export { type Cell, scan, type ScanOptions } from "./src/scan.ts";
export * from "./src/options/mod.ts";
export * from "./src/cells/mod.ts";
export * from "./src/layers/mod.ts";
export * from "./src/models/mod.ts";
export * from "./src/training/mod.ts";
export * from "./src/data/mod.ts";
