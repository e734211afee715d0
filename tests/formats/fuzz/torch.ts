/**
 * Reads mutated files of PyTorch and NumPy:
 *
 *     deno run --allow-read tests/formats/fuzz/torch.ts [count] [first seed]
 *
 * Without a seed one is drawn; it is printed.
 */
import {
  decodeNpy,
  decodeNpz,
  decodeTorchFile,
  NumpyFileError,
  TorchFileError,
} from "../../../formats/torch/mod.ts";
import { entryPlace, inflate, openArchive } from "../../../formats/support/archive.ts";
import { failTorch } from "../../../formats/torch/files/errors.ts";
import { readPickle } from "../../../formats/torch/files/pickle.ts";
import { selectStateDict } from "../../../formats/torch/files/select.ts";
import { fixture } from "../torch/fixtures.ts";
import { storedZip } from "../support/zip.ts";
import { mutate } from "./mutate.ts";
import { fuzzAll, type Fuzzed, fuzzTarget } from "./target.ts";

const maxBytes = 2 ** 24;

/** Of each file, as the tests of files read them. */
const torchFiles = await Promise.all(
  ["dtypes, protocol 2", "dtypes, protocol 5", "views", "checkpoint", "big-endian"].map(fixture),
);
const oldFiles = await Promise.all(["views, before 1.6", "checkpoint, before 1.6"].map(fixture));
const npzFiles = await Promise.all(["stored.npz", "compressed.npz"].map(fixture));

/** The entries of an archive. */
async function entriesOf(file: Uint8Array): Promise<Record<string, Uint8Array>> {
  const fail = (reason: string, place: string) => new Error(`${place}: ${reason}`);
  const entries = [...await openArchive(file, fail)];
  const contents = entries.map(async ([name, entry]) =>
    [name, await inflate(entry, maxBytes, fail)] as const
  );
  return Object.fromEntries(await Promise.all(contents));
}

/** The entry of an archive with this name in any folder. */
function entryOf(entries: Readonly<Record<string, Uint8Array>>, name: string): string {
  const found = Object.keys(entries).find((entry) => entry === name || entry.endsWith(`/${name}`));
  if (found === undefined) throw new Error(`there is no ${entryPlace(name)}`);
  return found;
}

const [archive, arrays] = [await entriesOf(torchFiles[2]), await entriesOf(npzFiles[0])];
const pickleName = entryOf(archive, "data.pkl");
const pickles = await Promise.all(torchFiles.map(async (file) => {
  const entries = await entriesOf(file);
  return entries[entryOf(entries, "data.pkl")];
}));
const npyFiles = ["<f4", "fortran >i2", "axes", "scalar"].map((name) => arrays[`${name}.npy`]);

/** Files of PyTorch: whole ones, and the parts that checksums protect in an archive. */
export const torch: Fuzzed = {
  name: "PyTorch",
  isDocumented: (error) => error instanceof TorchFileError,
  targets: {
    "files before 1.6": fuzzTarget(oldFiles, mutate, (bytes) => decodeTorchFile(bytes, { maxBytes })),
    "pickles": fuzzTarget(
      pickles,
      mutate,
      (pickle) => selectStateDict(readPickle(pickle, 0, "the pickle", failTorch).value, ""),
    ),
    "pickles in archives": fuzzTarget(
      [archive[pickleName]],
      mutate,
      (pickle) => decodeTorchFile(storedZip({ ...archive, [pickleName]: pickle }), { maxBytes }),
    ),
    "archives": fuzzTarget(torchFiles, mutate, (bytes) => decodeTorchFile(bytes, { maxBytes })),
  },
};

/** Files of NumPy: arrays, and archives of them. */
export const numpy: Fuzzed = {
  name: "NumPy",
  isDocumented: (error) => error instanceof NumpyFileError,
  targets: {
    "arrays": fuzzTarget(npyFiles, mutate, (bytes) => decodeNpy(bytes)),
    "arrays in archives": fuzzTarget(
      npyFiles,
      mutate,
      (bytes) => decodeNpz(storedZip({ "whole.npy": npyFiles[0], "mutated.npy": bytes }), { maxBytes }),
    ),
    "archives": fuzzTarget(npzFiles, mutate, (bytes) => decodeNpz(bytes, { maxBytes })),
  },
};

if (import.meta.main) {
  for (const fuzzed of [torch, numpy]) await fuzzAll(fuzzed, Deno.args);
}
