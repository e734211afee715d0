/** The option `resume` of `fit`: finds the run to go on with, and refuses that of another model or optimizer. */
import { readWhole, reasonOf, withFiles } from "../data/files.ts";
import { checkPath, isObject, wrongKind } from "../describe.ts";
import { checkOptions } from "../option_names.ts";
import type { Json } from "../options/json.ts";
import type { Callback } from "./callbacks.ts";
import { checkpointFiles } from "./checkpoint_files.ts";
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
/** What a run without a file was read from. */
const GIVEN = "the given bytes";

/** The options of `fit` that say where a run goes on, of which only one may be given. */
export interface StartOptions {
  readonly resume?: Resume;
  readonly optimizerState?: unknown;
  readonly initialEpoch?: unknown;
}

/**
 * The run that `resume` names.
 *
 * @param identity What it has to be, from `identityOf`.
 * @param callbacks Those that will get their states back.
 * @returns Undefined if there is none and it is optional.
 * @throws Error if there is no file or each is damaged; RangeError for a run of another model, optimizer or
 *   version, naming the first difference and both values; TypeError for options that contradict it.
 */
export async function resumedRun(
  { resume, optimizerState, initialEpoch }: StartOptions,
  identity: Json,
  callbacks: readonly Callback[],
): Promise<ResumedRun | undefined> {
  for (const [name, value] of Object.entries({ optimizerState, initialEpoch })) {
    if (value === undefined) continue;
    throw new TypeError(`Cannot fit: ${name} and resume are given, but resume brings its own; leave one out`);
  }
  const run = resume instanceof Uint8Array ? await givenRun(resume) : await newestRun(placeOf(resume));
  if (!run) return undefined;
  checkIdentity(run, identity);
  checkHolders(run, callbacks);
  return run;
}

/** The run in bytes. */
async function givenRun(bytes: Uint8Array): Promise<ResumedRun> {
  try {
    return { ...await decodeRun(bytes), file: undefined };
  } catch (error) {
    throw error instanceof SyntaxError ? error : failed(GIVEN, error);
  }
}

function placeOf(resume: Exclude<Resume, Uint8Array> | undefined): { directory: string; optional: boolean } {
  const expected = "a directory, { directory, optional }, or a Uint8Array";
  if (typeof resume !== "string" && !isObject(resume)) throw wrongKind(WHAT, resume, "resume", expected);
  if (typeof resume === "string") {
    checkPath(WHAT, resume, "resume", "the path of a directory");
    return { directory: resume, optional: false };
  }
  checkOptions("resume", resume, ["directory", "optional"]);
  const { directory, optional = false } = resume;
  checkPath(WHAT, directory, "directory", "the path of a directory");
  return { directory, optional };
}

/** The newest run of a directory that is not damaged; warns about those that are. */
async function newestRun(
  { directory, optional }: ReturnType<typeof placeOf>,
): Promise<ResumedRun | undefined> {
  const what = `${WHAT} from ${directory}`;
  const candidates = withFiles(what, (files) => checkpointFiles(files, directory));
  if (candidates.length === 0) {
    if (optional) return undefined;
    throw new Error(
      `Cannot ${what}: it has no checkpoint, expected files that the callback checkpoint wrote; leave resume out ` +
        `to begin, or give { directory, optional: true }`,
    );
  }
  const damaged: string[] = [];
  for (const { name } of candidates) {
    const file = `${directory}/${name}`;
    const bytes = withFiles(`${WHAT} from ${file}`, (files) => readWhole(files, file));
    try {
      const run = await decodeRun(bytes);
      if (damaged.length > 0) console.warn(`Cellfold: resumed from ${file}, as ${damaged.join("; ")}`);
      return { ...run, file };
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw failed(file, error);
      damaged.push(`${name} is damaged (${error.message})`);
    }
  }
  throw new Error(`Cannot ${what}: ${damaged.join("; ")}; expected one that is whole`);
}

function failed(source: string, cause: unknown): Error {
  const message = `Cannot ${WHAT} from ${source}: ${reasonOf(cause)}`;
  return cause instanceof RangeError ? new RangeError(message, { cause }) : new Error(message, { cause });
}

function checkIdentity(run: ResumedRun, identity: Json): void {
  const difference = differenceOf(run.identity, identity);
  if (!difference) return;
  const { path, saved, given } = difference;
  throw new RangeError(
    `Cannot ${WHAT} from ${
      run.file ?? GIVEN
    }: ${path} is ${saved} there, but ${given} in this call; give what it was ` +
      `trained with, or begin a new run from its variables and optimizerState, which loadCheckpoint reads`,
  );
}

/** Throws a RangeError unless the callbacks that hold state are those of the run. */
function checkHolders(run: ResumedRun, callbacks: readonly Callback[]): void {
  const holders = stateful(callbacks);
  const [saved, given] = [run.callbacks.map(({ type }) => type), holders.map(typeOf)];
  if (saved.join() !== given.join()) {
    const list = (types: readonly string[]) => types.length === 0 ? "none" : types.join(", ");
    throw new RangeError(
      `Cannot ${WHAT} from ${run.file ?? GIVEN}: the callbacks that hold state are ${list(saved)} ` +
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
