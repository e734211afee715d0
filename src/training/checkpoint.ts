/**
 * The callback `checkpoint`: writes the whole state of training to files, so that a run that is killed goes on
 * where it was. What is in a file is in `saved_run.ts`; `fit` reads it with the option `resume`.
 */
import { type FileSystem, withFiles, writeAtomically } from "../data/files.ts";
import { lockDirectory } from "../data/lock.ts";
import { checkCount, checkPath, isObject, wrongKind } from "../describe.ts";
import { checkOptions } from "../option_names.ts";
import { made } from "../options/made.ts";
import type { Callback, CallbackContext } from "./callbacks.ts";
import { checkpointFiles, checkpointName, removeUnfinished } from "./checkpoint_files.ts";

/** Options of {@linkcode checkpoint}. */
export interface CheckpointingOptions {
  /** The directory of the files, which is made if it is missing; one run writes there at a time. */
  readonly directory: string;
  /**
   * How often a file is written: after this many epochs, or after `{ steps }` updates, also in the middle of
   * an epoch; default 1, after each epoch.
   */
  readonly every?: number | { readonly steps: number };
  /**
   * How many of the newest files are kept; default 2, so that one is left if the newest is damaged.
   */
  readonly keep?: number;
}

/**
 * Writes the whole state of training: before the first step, every few epochs or steps, and where training
 * ends. `fit` with `resume: directory` goes on from the newest file, bit for bit as if there had been no
 * break.
 *
 * A file is complete or not there, whenever the process or the machine stops. Each has the variables, the
 * optimizer's state, the place in the epoch, order and random keys, the states of the other callbacks and the
 * history; it is a safetensors file, which `loadCheckpoint` reads too.
 *
 * @throws RangeError for an unknown option or a number that is not a count. When training starts, Error if the
 *   directory cannot be written, another run writes there, or it has files of a run that this one does not
 *   resume.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { checkpoint } from "@cellfold/cellfold";
 * const callback = checkpoint({ directory: "run", every: { steps: 500 }, keep: 3 });
 * assertEquals(typeof callback.onSave, "function");
 * // fit(model, variables, data, { …, callbacks: [callback], resume: { directory: "run", optional: true } })
 * ```
 */
export function checkpoint(options: CheckpointingOptions): Callback {
  checkOptions("checkpoint", options, ["directory", "every", "keep"]);
  const { directory, every = 1, keep = 2 } = options;
  checkPath("make checkpoint", directory, "directory", "the path of a directory");
  checkCount("make checkpoint", keep, "keep");
  const isDue = dueAfter(every);
  const what = `write checkpoints into ${directory}`;
  let release: (() => void) | undefined;
  let last: Place | undefined;
  return made<Callback>({
    type: "checkpoint",
    onTrainBegin(context) {
      withFiles(what, (files) => files.mkdirSync(directory, { recursive: true }));
      release = lockDirectory(what, directory);
      withFiles(what, (files) => {
        const resumesHere = isIn(files, directory, context.resumedFrom);
        last = resumesHere ? context : undefined;
        const [newest] = checkpointFiles(files, directory);
        if (newest && !resumesHere) {
          throw new Error(
            `it has ${newest.name} of another run, expected none; give fit resume: ` +
              `${JSON.stringify(directory)} to go on with that, or another directory`,
          );
        }
        removeUnfinished(files, directory);
      });
    },
    async onSave(context) {
      if (last && !context.ending && !isDue(context, last)) return;
      const bytes = await context.save();
      withFiles(what, (files) => {
        writeAtomically(files, directory, checkpointName(context.updates), bytes);
        const written = checkpointFiles(files, directory);
        // Files of later updates are damaged, or were written by a run that went another way.
        const later = written.filter(({ updates }) => updates > context.updates);
        const old = written.filter(({ updates }) => updates <= context.updates).slice(keep);
        for (const { name } of [...later, ...old]) files.unlinkSync(`${directory}/${name}`);
      });
      last = context;
    },
    onRelease() {
      release?.();
      release = undefined;
    },
  }, { main: "onSave" });
}

/** When a file was written. */
type Place = Pick<CallbackContext, "epoch" | "updates">;

/** Whether it is time for another file after the last one. */
function dueAfter(every: number | { readonly steps: number }): (now: Place, last: Place) => boolean {
  const what = "make checkpoint";
  if (typeof every === "number") {
    checkCount(what, every, "every");
    return (now, last) => now.epoch - last.epoch >= every;
  }
  if (!isObject(every)) throw wrongKind(what, every, "every", "a number of epochs, or { steps }");
  checkOptions("the option every of checkpoint", every, ["steps"]);
  const { steps } = every;
  checkCount(what, steps, "every.steps");
  return (now, last) => now.updates - last.updates >= steps;
}

/** Whether a file is in a directory, however both were written. */
function isIn(files: FileSystem, directory: string, file: string | undefined): boolean {
  if (file === undefined) return false;
  return files.realpathSync(file.slice(0, file.lastIndexOf("/"))) === files.realpathSync(directory);
}
