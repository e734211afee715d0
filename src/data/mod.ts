/** Data on the host: files, batches, ragged sequences. Nothing here reads a file or needs a permission. */
export { batches, type BatchOptions, sampleCount, shuffledOrder, splitRows, takeRows } from "./batches.ts";
export { parseIdx } from "./idx.ts";
export { type PaddedSequences, type PadOptions, padSequences, type RaggedSequence } from "./padding.ts";
