/** The option `resume` of `fit`: finds the run to go on with, and refuses that of another model or optimizer. */
import { fileSystem, reasonOf, withFiles } from "../data/files.ts";
import { checkText, isObject, wrongKind } from "../describe.ts";
import { checkOptions } from "../nearest.ts";
import type { Json } from "../options/json.ts";
import type { Callback } from "./callbacks.ts";
import { type CheckpointFile, checkpointFiles } from "./checkpoint_files.ts";
import { differenceOf } from "./run_identity.ts";
import { decodeRun, type SavedRun } from "./saved_run.ts";

/**
 * Where `fit` finds the run to go on with: the directory of `checkpoint`, or what its `save` gave. With
 * `optional` a directory without checkpoints begins a new run, for programs that are started again until they
 * are done.
 */
export type Resume = string | Uint8Array | { readonly directory: string; readonly optional?: boolean };

/** A run to go on with. */
export interface ResumedRun extends SavedRun {
  /** The file that it was read from; undefined if it was given as bytes. */
  readonly file: string | undefined;
}

const WHAT = "resume training";

/**
 * The run that `resume` names.
 *
 * @param identity What it has to be, from `identityOf`.
 * @returns Undefined if there is none and it is optional.
 * @throws Error if there is no file or each is damaged; RangeError for a run of another model, optimizer or
 *   version, naming the first difference and both values.
 */
export async function resumedRun(resume: Resume, identity: Json): Promise<ResumedRun | undefined> {
  if (resume instanceof Uint8Array) {
    const run = await decodeRun(resume).catch((error) => {
      throw error instanceof SyntaxError ? error : failed("the given bytes", error);
    });
    checkIdentity("the given bytes", run, identity);
    return { ...run, file: undefined };
  }
  const { directory, optional } = placeOf(resume);
  const files = withFiles(`${WHAT} from ${directory}`, (files) => checkpointFiles(files, directory));
  if (files.length === 0) {
    if (optional) return undefined;
    throw new Error(
      `Cannot ${WHAT} from ${directory}: it has no checkpoint, expected files that the callback checkpoint wrote; ` +
        `leave resume out to begin, or give { directory, optional: true }`,
    );
  }
  const run = await newestRun(directory, files);
  checkIdentity(run.file, run, identity);
  return run;
}

function placeOf(resume: Exclude<Resume, Uint8Array>): { directory: string; optional: boolean } {
  const expected = "a directory, { directory, optional }, or a Uint8Array";
  if (typeof resume !== "string" && !isObject(resume)) throw wrongKind(WHAT, resume, "resume", expected);
  if (typeof resume === "string") return { directory: resume, optional: false };
  checkOptions("resume", resume, ["directory", "optional"]);
  const { directory, optional = false } = resume;
  checkText(WHAT, directory, "directory", "the path of a directory");
  if (typeof optional !== "boolean") throw wrongKind(WHAT, optional, "optional", "true or false");
  return { directory, optional };
}

/** The newest run of a directory that is not damaged; warns about those that are. */
async function newestRun(
  directory: string,
  candidates: readonly CheckpointFile[],
): Promise<ResumedRun & { readonly file: string }> {
  const files = fileSystem(WHAT);
  const damaged: string[] = [];
  for (const { name } of candidates) {
    const file = `${directory}/${name}`;
    try {
      const run = await decodeRun(files.readFileSync(file));
      if (damaged.length > 0) console.warn(`Cellfold: resumed from ${file}, as ${damaged.join("; ")}`);
      return { ...run, file };
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw failed(file, error);
      damaged.push(`${name} is damaged (${error.message})`);
    }
  }
  throw new Error(`Cannot ${WHAT} from ${directory}: ${damaged.join("; ")}; expected one that is whole`);
}

function failed(source: string, cause: unknown): Error {
  const message = `Cannot ${WHAT} from ${source}: ${reasonOf(cause)}`;
  return cause instanceof RangeError ? new RangeError(message, { cause }) : new Error(message, { cause });
}

function checkIdentity(source: string, run: SavedRun, identity: Json): void {
  const difference = differenceOf(run.identity, identity);
  if (!difference) return;
  const { path, saved, given } = difference;
  throw new RangeError(
    `Cannot ${WHAT} from ${source}: ${path} is ${saved} there, but ${given} in this call; give what it was ` +
      `trained with, or begin a new run from its variables and optimizerState, which loadCheckpoint reads`,
  );
}

/** Throws a RangeError unless the callbacks that hold state are those of the run. */
export function checkHolders(run: ResumedRun, callbacks: readonly Callback[]): void {
  const holders = stateful(callbacks);
  const [saved, given] = [run.callbacks.map(({ type }) => type), holders.map(typeOf)];
  if (saved.join() !== given.join()) {
    const list = (types: readonly string[]) => types.length === 0 ? "none" : types.join(", ");
    throw new RangeError(
      `Cannot ${WHAT} from ${run.file ?? "the given bytes"}: the callbacks that hold state are ${
        list(saved)
      } ` +
        `there, but ${list(given)} in this call; give those it was trained with`,
    );
  }
}

/** Gives the callbacks their states back. */
export function restoreCallbacks(run: ResumedRun, callbacks: readonly Callback[]): void {
  stateful(callbacks).forEach((callback, index) => callback.restore?.(run.callbacks[index].state));
}

/** The states of callbacks, to be saved. */
export function callbackStates(callbacks: readonly Callback[]): SavedRun["callbacks"] {
  return stateful(callbacks).map((callback) => ({
    type: typeOf(callback),
    state: callback.state?.() ?? null,
  }));
}

function stateful(callbacks: readonly Callback[]): readonly Callback[] {
  return callbacks.filter(({ state }) => state !== undefined);
}

function typeOf({ type = "callback" }: Callback): string {
  return type;
}
