/**
 * Reads mutated safetensors files and checkpoints, from bytes and from streams:
 *
 *     deno run --allow-read tests/formats/fuzz/safetensors.ts [count] [first seed]
 *
 * Without a seed one is drawn; it is printed.
 */
import {
  dense,
  embedding,
  init,
  key,
  lstm,
  rnn,
  sequential,
  spec,
  stackedCells,
  tensor,
} from "../../../mod.ts";
import { lstmCell } from "../../../src/cells/mod.ts";
import {
  decodeSafetensors,
  encodeSafetensors,
  loadCheckpoint,
  readSafetensors,
  saveCheckpoint,
} from "../../../formats/safetensors/mod.ts";
import { mutate } from "./mutate.ts";
import { fuzzAll, type Fuzzed, fuzzTarget } from "./target.ts";

function isDocumented(error: unknown): error is SyntaxError {
  return error instanceof SyntaxError &&
    /^Cannot read the (safetensors file|checkpoint): /.test(error.message);
}

function files(): Uint8Array[] {
  return [
    encodeSafetensors({}),
    encodeSafetensors([tensor([1.5])], { metadata: { format: "pt" } }),
    encodeSafetensors({
      a: tensor([[1, 2], [3, 4]]),
      b: tensor([1, 2, 3], { dtype: "int32" }),
      c: [tensor([true, false]), tensor([1, 2], { dtype: "float64" }), tensor([], { shape: [0, 3] })],
    }),
    encodeSafetensors({ half: tensor([[1.5, -2]]) }, { floats: "float16" }),
    encodeSafetensors({ brain: tensor([1e30]) }, { floats: "bfloat16" }),
  ];
}

function checkpoints(): Uint8Array[] {
  const model = sequential([
    embedding({ inputDim: 5, outputDim: 2 }),
    lstm({ units: 2, returnSequences: true, name: "first" }),
    rnn(stackedCells([lstmCell({ units: 2 }), lstmCell({ units: 1 })])),
    dense({ units: 1 }),
  ]);
  const variables = init(model, key(0), spec([null, null], "int32"));
  const optimizerState = { step: tensor(3, { dtype: "int32" }), momentum: variables.params };
  return [saveCheckpoint({ model, variables }), saveCheckpoint({ model, variables, optimizerState })];
}

/** Where the header of a file ends. */
function headerEnd(file: Uint8Array): number {
  return 8 + Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
}

/** A file whose header is this text: mutations of the text alone reach what comes after the first checks. */
function withHeader(file: Uint8Array, header: Uint8Array): Uint8Array {
  const data = file.subarray(headerEnd(file));
  const changed = new Uint8Array(8 + header.length + data.length);
  new DataView(changed.buffer).setBigUint64(0, BigInt(header.length), true);
  changed.set(header, 8);
  changed.set(data, 8 + header.length);
  return changed;
}

const decoder = new TextDecoder();

/** A file with one of its metadata replaced by this text. */
function withMetadata(file: Uint8Array, key: "model" | "structure", text: Uint8Array): Uint8Array {
  const header = JSON.parse(decoder.decode(file.subarray(8, headerEnd(file))));
  header.__metadata__[key] = decoder.decode(text);
  return withHeader(file, new TextEncoder().encode(JSON.stringify(header)));
}

function metadataOf(file: Uint8Array, key: "model" | "structure"): Uint8Array {
  return new TextEncoder().encode(decodeSafetensors(file).metadata[key]);
}

const [checkpoint] = checkpoints();
const mixed = files()[2];

/** A stream of portions of 5 bytes. */
function streamOf(bytes: Uint8Array): ReadableStream<Uint8Array> {
  let offset = 0;
  return new ReadableStream({
    pull(controller) {
      if (offset >= bytes.length) return controller.close();
      controller.enqueue(bytes.slice(offset, offset + 5));
      offset += 5;
    },
  });
}

/** Files and checkpoints, from bytes and from streams, and the parts of a header. */
export const safetensors: Fuzzed = {
  name: "safetensors",
  isDocumented,
  targets: {
    "files": fuzzTarget(files(), mutate, (bytes) => decodeSafetensors(bytes)),
    "checkpoints": fuzzTarget(checkpoints(), mutate, (bytes) => loadCheckpoint(bytes)),
    "streams of a known length": fuzzTarget(
      files(),
      mutate,
      (bytes) => readSafetensors(streamOf(bytes), { length: bytes.length }),
    ),
    "streams of any length": fuzzTarget(files(), mutate, (bytes) => readSafetensors(streamOf(bytes))),
    "headers": fuzzTarget(
      [mixed.slice(8, headerEnd(mixed))],
      mutate,
      (header) => decodeSafetensors(withHeader(mixed, header)),
    ),
    "models": fuzzTarget(
      [metadataOf(checkpoint, "model")],
      mutate,
      (text) => loadCheckpoint(withMetadata(checkpoint, "model", text)),
    ),
    "structures": fuzzTarget(
      [metadataOf(checkpoint, "structure")],
      mutate,
      (text) => loadCheckpoint(withMetadata(checkpoint, "structure", text)),
    ),
  },
};

if (import.meta.main) await fuzzAll(safetensors, Deno.args);
