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
import { zip } from "../torch/pickles.ts";
import { drawSeed, fuzz, type FuzzTarget } from "./mutate.ts";

const maxBytes = 2 ** 24;

/** The longest that an archive may take, in milliseconds, on a busy machine; one that is whole takes some 30. */
const limit = 10_000;

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

const isTorchError = (error: unknown) => error instanceof TorchFileError;
const isNumpyError = (error: unknown) => error instanceof NumpyFileError;

const [archive, arrays] = [await entriesOf(torchFiles[2]), await entriesOf(npzFiles[0])];
const pickleName = entryOf(archive, "data.pkl");

/** The readers, and what is mutated: whole files, and the parts that checksums protect in an archive. */
export const torchTargets: Readonly<Record<string, FuzzTarget>> = {
  "files of PyTorch before 1.6": {
    seeds: oldFiles,
    read: (bytes) => decodeTorchFile(bytes, { maxBytes }),
    isDocumented: isTorchError,
  },
  "pickles": {
    seeds: await Promise.all(torchFiles.map(async (file) => {
      const entries = await entriesOf(file);
      return entries[entryOf(entries, "data.pkl")];
    })),
    read: (pickle) => selectStateDict(readPickle(pickle, 0, "the pickle", failTorch).value, ""),
    isDocumented: isTorchError,
  },
  "pickles in archives": {
    seeds: [archive[pickleName]],
    read: async (pickle) => decodeTorchFile(await zip({ ...archive, [pickleName]: pickle }), { maxBytes }),
    isDocumented: isTorchError,
    limit,
  },
  "archives of PyTorch": {
    seeds: torchFiles,
    read: (bytes) => decodeTorchFile(bytes, { maxBytes }),
    isDocumented: isTorchError,
    limit,
  },
  "arrays of NumPy": {
    seeds: ["<f4", "fortran >i2", "axes", "scalar"].map((name) => arrays[`${name}.npy`]),
    read: (bytes) => decodeNpy(bytes),
    isDocumented: isNumpyError,
  },
  "archives of NumPy": {
    seeds: npzFiles,
    read: (bytes) => decodeNpz(bytes, { maxBytes }),
    isDocumented: isNumpyError,
    limit,
  },
};

/** The targets of which a file takes a millisecond or more, as an archive is opened or written for each. */
export const slowTargets: readonly string[] = [
  "pickles in archives",
  "archives of PyTorch",
  "archives of NumPy",
];

if (import.meta.main) {
  const [count = 100_000, firstSeed = drawSeed()] = Deno.args.map(Number);
  console.log(`PyTorch and NumPy: ${count} files, seed ${firstSeed}`);
  // A tenth of the files for the slow targets, as one of theirs takes as long as dozens of others.
  const [slow, fast] = [slowTargets.length, Object.keys(torchTargets).length - slowTargets.length];
  for (const [name, target] of Object.entries(torchTargets)) {
    const share = slowTargets.includes(name) ? 0.1 / slow : 0.9 / fast;
    const { read, refused, slowest } = await fuzz(target, Math.ceil(share * count), firstSeed);
    console.log(`${name}: ${read} read, ${refused} refused, the slowest took ${slowest.toFixed(1)} ms`);
  }
}
