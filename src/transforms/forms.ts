/**
 * What a compiled function has compiled: an Executable for each structure and specs of the arguments, and for
 * each device that holds an argument.
 */
import { checkList } from "../describe.ts";
import { quoted } from "../quoted.ts";
import { DeviceLost, type Executable, type Input } from "../../kernels/backend.ts";
import { type Device, type Devices, devicesFor } from "../../kernels/mod.ts";
import type { TracedFunction } from "../program/functions.ts";
import { type Equation, isEquation } from "../program/types.ts";
import { sameShape } from "../tensor/dims.ts";
import { isTensor, printSpec, type Spec, type Tensor } from "../tensor/tensor.ts";
import { specsOf, type TreeSpecs } from "../tree/specs.ts";
import {
  checkSameStructure,
  flattenTree,
  leavesOf,
  printPath,
  printStructure,
  type Structure,
} from "../tree/tree.ts";
import { compileOptimized, optimize } from "./optimize.ts";
import { type Passed, takePassed } from "./passed.ts";

/** A function, and how it is compiled. */
export interface Source {
  /** Traces it, for arguments of these specs. */
  readonly trace: (args: readonly unknown[]) => TracedFunction;
  readonly device: Device | undefined;
  readonly donate: readonly number[] | undefined;
  readonly keep: boolean | readonly number[] | undefined;
  /** How many of the first arguments are mostly the same as in the call before, such as weights; default none. */
  readonly fixed?: number;
  /** Whether a kept result that is an argument unchanged is that argument itself; default no, a copy. */
  readonly passes?: boolean;
  /** The specs that it is traced with, whatever the arguments are; default: those of the arguments. */
  readonly specs: readonly unknown[] | undefined;
}

/** A function compiled for arguments of certain specs. */
export interface Form {
  /** The structure of the arguments and their specs, by which a later call finds this form quickly. */
  readonly given: TreeSpecs;
  /** As traced, before any pass. */
  readonly traced: TracedFunction;
  readonly executable: Executable;
  /** The results that are inputs; see passed.ts. */
  readonly passed: Passed["from"];
  /** The structure of the function's result. */
  readonly structure: Structure;
  /** The name of the backend. */
  readonly device: string;
  /** Why it was chosen. */
  readonly why: string;
  /** How many calls are running it. */
  running: number;
}

/**
 * The most bytes that the forms of a function take. A function for many sizes is given specs in which they are open,
 * and has one form.
 */
const MOST_BYTES = 64 << 20;

/**
 * About what a form takes at most besides its constants. Measured were, with 3 and with 14 equations, 310 and 690 kB on
 * WebGPU, 154 and 249 kB on wasm, and less on native.
 */
const BYTES_PER_FORM = 512 << 10;
const BYTES_PER_EQUATION = 32 << 10;

/** All forms of a function. */
export interface Forms {
  readonly source: Source;
  /** The devices to choose from; looked up at the first call. */
  devices: Devices | undefined;
  /** By the text of their keys, including those still being compiled. */
  readonly pending: Map<string, Promise<Form>>;
  /** By the text of their keys, those ready to run. */
  readonly ready: Map<string, Form>;
  /** Those ready to run, last used last, with the texts of their keys and about what they take. */
  readonly kept: Map<Form, Kept>;
  /** The form of the last call. */
  latest: Form | undefined;
  disposed: boolean;
}

/** What is known of a form that is kept. */
interface Kept {
  readonly texts: Set<string>;
  readonly bytes: number;
}

/** A form, and the leaves of the arguments to run it with. */
export interface Found {
  readonly form: Form;
  readonly leaves: readonly Input[];
}

/** The key of a form: the device that holds an argument, if one does, and the specs of the arguments. */
interface Key {
  readonly device: string | undefined;
  readonly specs: string;
}

/** No form yet. */
export function createForms(source: Source): Forms {
  return {
    source,
    devices: undefined,
    pending: new Map(),
    ready: new Map(),
    kept: new Map(),
    latest: undefined,
    disposed: false,
  };
}

/** The form of the last call with the leaves of these arguments, if they have the same specs. */
export function findLatest({ source, latest, disposed }: Forms, args: readonly unknown[]): Found | undefined {
  if (!latest || disposed) return undefined;
  const { structure, specs } = latest.given;
  const leaves = leavesOf<Tensor>(structure, args);
  // A leaf that is only a spec has no kind.
  const matches = leaves?.every((leaf, index) =>
    (leaf.kind === "host" || (leaf.kind === "device" && leaf.device === latest.device)) &&
    leaf.dtype === specs[index].dtype &&
    (source.specs !== undefined || sameShape(leaf.shape, specs[index].shape))
  );
  return matches ? { form: latest, leaves: leaves as Input[] } : undefined; // checked just above
}

/** A form for these arguments that is ready to run; undefined if none was compiled yet. */
export function findReady(forms: Forms, args: readonly unknown[]): Found | undefined {
  const latest = findLatest(forms, args);
  if (latest || !forms.devices) return latest;
  const { key, leaves } = prepare(forms, forms.devices, args);
  const form = forms.ready.get(textOf(key));
  return form && { form, leaves };
}

/** The form for arguments that {@linkcode findLatest} has none for, compiled if there is none yet. */
export async function findOrCompile(forms: Forms, args: readonly unknown[]): Promise<Found> {
  const devices = forms.devices ?? await devicesFor(forms.source.device);
  forms.devices ??= devices;
  const { key, leaves } = prepare(forms, devices, args);
  const form = forms.ready.get(textOf(key)) ?? await compileOnce(forms, devices, key, args);
  forms.latest = form;
  touch(forms, form);
  return { form, leaves };
}

/** What is known of a form that is kept, which it is from now on. */
function keptForm({ kept }: Forms, form: Form): Kept {
  const known = kept.get(form);
  if (known) return known;
  const bytes = BYTES_PER_FORM + bytesOfEquations(form.traced.program.equations);
  const created = { texts: new Set<string>(), bytes };
  kept.set(form, created);
  return created;
}

/** Marks a form as used now, and frees those not used for longest that have no room; a form that runs stays. */
function touch(forms: Forms, form: Form): void {
  const { kept } = forms;
  const own = kept.get(form);
  if (!own) return;
  kept.delete(form);
  kept.set(form, own);
  let bytes = bytesOf(forms);
  for (const [oldest, { bytes: freed }] of kept) {
    if (bytes <= MOST_BYTES || oldest === form) break;
    if (oldest.running > 0) continue;
    forget(forms, oldest);
    oldest.executable[Symbol.dispose]();
    bytes -= freed;
  }
}

/** About what all forms take. */
function bytesOf({ kept }: Forms): number {
  let sum = 0;
  for (const { bytes } of kept.values()) sum += bytes;
  return sum;
}

/** About what the code and the constants of equations take. */
function bytesOfEquations(equations: readonly Equation[]): number {
  return equations.reduce((sum, equation) => {
    const own = isEquation(equation, "constant")
      ? equation.attributes.value.data.byteLength
      : BYTES_PER_EQUATION;
    const inner = isEquation(equation, "scan") ? bytesOfEquations(equation.attributes.body.equations) : 0;
    return sum + own + inner;
  }, 0);
}

/** How many forms there are and what they take, for people. */
export function describeForms(forms: Forms): string {
  return `${forms.kept.size} forms kept, about ${
    bytesOf(forms)
  } of at most ${MOST_BYTES} bytes; those used least ` +
    `recently are freed first`;
}

/** No later call finds this form. */
function forget({ ready, pending, kept }: Forms, form: Form): void {
  for (const text of kept.get(form)?.texts ?? []) {
    ready.delete(text);
    pending.delete(text);
  }
  kept.delete(form);
}

function prepare({ source, disposed }: Forms, devices: Devices, args: readonly unknown[]) {
  if (disposed) throw new Error("Cannot call a compiled function: it was disposed");
  if (source.specs) {
    checkSameStructure(source.specs, args, { first: "options.specs", second: "the arguments" });
  }
  const { leaves, structure, paths } = flattenTree<Tensor>(args, "arguments");
  leaves.forEach((leaf, index) => checkInput(leaf, devices, () => printPath(paths[index], "arguments")));
  const stored = leaves.find((leaf) => leaf.kind === "device");
  const key: Key = {
    device: stored?.kind === "device" ? stored.device : undefined,
    specs: printStructure(structure) + (source.specs ? "" : leaves.map(printSpec).join()),
  };
  return { key, leaves: leaves as Input[] }; // checked just above
}

function textOf({ device = "the host", specs }: Key): string {
  return `${device} ${specs}`;
}

/**
 * Calls made while the first one compiles wait for the same executable; a failed compilation may be retried.
 */
async function compileOnce(
  forms: Forms,
  devices: Devices,
  key: Key,
  args: readonly unknown[],
): Promise<Form> {
  const { pending, ready } = forms;
  const at = textOf(key);
  let compiling = pending.get(at);
  if (!compiling) {
    const elsewhere = (device: string) =>
      device === key.device ? undefined : pending.get(textOf({ ...key, device }));
    pending.set(at, compiling = compileForm(forms.source, devices, args, elsewhere));
  }
  try {
    const form = await compiling;
    if (forms.disposed) {
      form.executable[Symbol.dispose]();
      throw new Error("Cannot call a compiled function: it was disposed");
    }
    const { texts } = keptForm(forms, form);
    // Later calls find it by its device too, since results that stayed there come back as arguments.
    for (const text of [at, textOf({ ...key, device: form.device })]) {
      pending.set(text, compiling);
      ready.set(text, form);
      texts.add(text);
    }
    return form;
  } catch (error) {
    pending.delete(at);
    throw error;
  }
}

/** Traces, runs the passes and compiles; `known` returns the form of the same specs on another device. */
async function compileForm(
  source: Source,
  devices: Devices,
  args: readonly unknown[],
  known: (device: string) => Promise<Form> | undefined,
): Promise<Form> {
  const traced = source.trace(args);
  const { structure } = traced;
  const program = await optimize(traced.program);
  checkIndices("donate arguments", source.donate, args.length);
  const donate = args.flatMap((arg, index) =>
    flattenTree(arg).leaves.map(() => source.donate?.includes(index) ?? false)
  );
  const all = { donate, keep: keptLeaves(structure, source.keep) };
  const { program: computed, options, from: passed }: Passed = source.passes
    ? takePassed(program, all)
    : { program, options: all, from: undefined };
  const fixed = flattenTree(args.slice(0, source.fixed ?? 0)).leaves.length;
  const { leaves } = flattenTree<Tensor>(args);
  const given = specsOf(args);
  return await devices.choose(program, leaves, async ({ backend, why }) => {
    const same = known(backend.name);
    if (same) return await same;
    const executable = await compileOptimized(backend, computed, fixed, options);
    return { given, traced, executable, passed, structure, device: backend.name, why, running: 0 };
  });
}

/**
 * After a failed call: what was compiled for a lost device is dropped, so that the next call compiles again.
 */
export function forgetIfLost(forms: Forms, form: Form, error: unknown): void {
  if (!(error instanceof DeviceLost)) return;
  forget(forms, form);
  if (forms.latest === form) forms.latest = undefined;
  form.executable[Symbol.dispose]();
}

/** Frees every form; none is found or compiled afterwards. */
export function disposeForms(forms: Forms): void {
  for (const { executable } of forms.kept.keys()) executable[Symbol.dispose]();
  forms.kept.clear();
  forms.ready.clear();
  forms.pending.clear();
  forms.latest = undefined;
  forms.disposed = true;
}

function checkInput(leaf: Spec, { backends }: Devices, where: () => string): void {
  if (!isTensor(leaf) || leaf.kind === "traced") {
    throw new TypeError(`Cannot run with ${printSpec(leaf)} at ${where()}: it has no values`);
  }
  if (leaf.kind === "device" && !backends.some(({ name }) => name === leaf.device)) {
    throw new TypeError(
      `Cannot run on ${backends[0].name} with ${printSpec(leaf)} at ${where()}: it is on the device ` +
        `${leaf.device}; read it with await toHost(tensor) first`,
    );
  }
}

function checkIndices(what: string, indices: readonly number[] | undefined, count: number): void {
  if (indices === undefined) return;
  checkList(what, indices, "what is given", "an array of indices");
  for (const index of indices) {
    if (Number.isInteger(index) && index >= 0 && index < count) continue;
    throw new RangeError(`Cannot ${what} by index ${quoted(index)}: there are ${count}`);
  }
}

function keptLeaves(structure: Structure, keep: Source["keep"]): boolean[] {
  const count = (node: Structure): number =>
    node.kind === "leaf" ? 1 : node.items.reduce((n, item) => n + count(item), 0);
  if (typeof keep === "boolean" || keep === undefined) return new Array(count(structure)).fill(keep ?? false);
  if (structure.kind !== "array") {
    throw new TypeError("Cannot keep results by index: the function does not return an array");
  }
  checkIndices("keep results", keep, structure.items.length);
  return structure.items.flatMap((item, index) => new Array(count(item)).fill(keep.includes(index)));
}
