/** Data on the host: files, batches, windows, ragged sequences. Nothing here reads a file or needs a permission. */
export { batches, type BatchOptions, sampleCount, shuffledOrder, splitRows, takeRows } from "./batches.ts";
export { bucketByLength, type BucketOptions, type PaddedBatch, type SequenceSample } from "./buckets.ts";
export type { DataSource, Items } from "./items.ts";
export { parseIdx } from "./idx.ts";
export { type PaddedSequences, type PadOptions, padSequences, type RaggedSequence } from "./padding.ts";
export { type CountedBatches, type WindowBatch, type WindowOptions, windows } from "./windows.ts";
