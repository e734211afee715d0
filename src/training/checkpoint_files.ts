/** The files of a directory of checkpoints: their names, and which is the newest. */
import { type FileSystem, hasCode, UNFINISHED } from "../data/files.ts";

/** The name of the file after this many updates; names sort as the numbers do. */
export function checkpointName(updates: number): string {
  return `checkpoint-${String(updates).padStart(10, "0")}.safetensors`;
}

/** A file of a directory, by the number of updates in it. */
export interface CheckpointFile {
  readonly name: string;
  readonly updates: number;
}

/** The checkpoints in a directory, the newest first; none if the directory does not exist. */
export function checkpointFiles(files: FileSystem, directory: string): CheckpointFile[] {
  return namesIn(files, directory).flatMap((name) => {
    const [, digits] = /^checkpoint-(\d{10,})\.safetensors$/.exec(name) ?? [];
    return digits === undefined ? [] : [{ name, updates: Number(digits) }];
  }).sort((a, b) => b.updates - a.updates);
}

/** Removes what an interrupted run has left unfinished. */
export function removeUnfinished(files: FileSystem, directory: string): void {
  for (const name of namesIn(files, directory)) {
    if (name.startsWith("checkpoint-") && name.endsWith(UNFINISHED)) files.unlinkSync(`${directory}/${name}`);
  }
}

/** The names of the files in a directory. */
function namesIn(files: FileSystem, directory: string): string[] {
  try {
    const entries = files.readdirSync(directory, { withFileTypes: true });
    return entries.filter((entry) => !entry.isDirectory()).map(({ name }) => name);
  } catch (error) {
    if (hasCode(error, "ENOENT")) return [];
    throw error;
  }
}
