/**
 * Data with functions beside it: layers, cells, losses, metrics, optimizers, schedules and callbacks are
 * plain objects, so they can be copied with changes, `{ ...layer, trainable: false }`. This file keeps the
 * data and the behavior of such a copy consistent: its functions, called on the copy, check that its data is
 * what they were made with. Fields that a function reads when it runs may differ; any other change is
 * refused, naming it and the remedy.
 */
import { INSPECT } from "../inspect.ts";
import { nearest } from "../known_names.ts";
import { MADE_HOOK } from "./print.ts";

/** The data members of such objects, if present. */
interface Described {
  readonly type?: string;
  readonly name?: string;
  readonly options?: object;
}

/** The record of an object that a factory made. */
interface Made {
  /** The object as it was made. */
  readonly object: Described;
  /** The object's main function; a copy with another one is a custom object. */
  readonly main: string;
  /** The fields that are read at use. */
  readonly acts: readonly string[];
  /** How the object is made, for errors: `dense({ … })`. */
  readonly factory: string;
  /** The objects with functions that it uses. */
  readonly parts: readonly object[];
}

/** How an object was made. */
export interface Making<T> {
  /** The object's main function. A copy with another one is a custom object and is not checked. */
  readonly main: keyof T & string;
  /** The fields that are read at use: by the functions through `this`, or by code that uses the object. */
  readonly acts?: readonly (keyof T & string)[];
  /** The name of the factory; default: the type, which every object without this entry has. */
  readonly factory?: string;
  /** Objects with functions that it uses and that its options describe, such as a schedule; default none. */
  readonly parts?: readonly object[];
}

// deno-lint-ignore no-explicit-any -- functions of any arguments, which are handed on as they are
type AnyFunction = (this: any, ...args: any[]) => unknown;

/** How an object was made, looked up by any of its functions. */
const makings = new WeakMap<AnyFunction, Made>();

/**
 * Freezes the object together with its options. Its functions get the object as `this` when they are called
 * on it or on a copy of it, after its data is checked. A function detached from its object acts as the object
 * was made.
 */
export function made<T extends object>(object: T, making: Making<T>): Readonly<T> {
  const result: Record<string, unknown> = {};
  const record: Made = {
    object: result as unknown as Described, // complete when the first function is called
    main: making.main,
    acts: making.acts ?? [],
    factory: making.factory ?? (object as Described).type ?? "",
    parts: making.parts ?? [],
  };
  for (const [key, value] of Object.entries(object)) {
    if (typeof value !== "function") {
      result[key] = key === "options" ? frozenOptions(value) : value;
      continue;
    }
    const member = value as AnyFunction;
    const checked = function (this: unknown, ...args: unknown[]): unknown {
      return member.apply(subjectOf(record, this), args);
    };
    makings.set(checked, record);
    result[key] = Object.defineProperty(checked, "name", { value: key });
  }
  Object.defineProperty(result, INSPECT, { value: MADE_HOOK, enumerable: true }); // copies have it too
  return Object.freeze(result) as unknown as Readonly<T>; // the same keys; functions with the same signatures
}

/** The object whose data a function uses: the one it is called on, if that is of its kind. */
function subjectOf(record: Made, given: unknown): object {
  if (given === record.object || typeof given !== "object" || given === null) return record.object;
  const { type } = given as Described; // read only if it is text
  if (typeof type !== typeof record.object.type || !functionOf(given, record.main)) return record.object;
  checkAsMade(given);
  return given;
}

function functionOf(object: object, key: string): AnyFunction | undefined {
  const value = (object as Readonly<Record<string, unknown>>)[key];
  return typeof value === "function" ? value as AnyFunction : undefined;
}

/** The record of an object, found by its functions. */
function makingsOf(object: object): Made[] {
  const found = new Set<Made>();
  for (const key in object) { // also what an object inherits from another
    const record = makings.get(functionOf(object, key) ?? makingsOf);
    if (record) found.add(record);
  }
  return [...found];
}

/**
 * Throws unless a copy of a factory's object has the data that its functions were made with. Other objects
 * have no record and pass.
 *
 * @throws TypeError naming the object, what was changed, and what to do instead.
 */
export function checkAsMade(object: object): void {
  for (const record of makingsOf(object)) {
    if (object === record.object) return;
    const main = functionOf(object, record.main);
    if (main === undefined || main !== functionOf(record.object, record.main)) continue;
    const change = changeOf(record, object);
    if (change === undefined) return;
    const type = record.object.type ?? record.factory;
    const { name } = object as Described; // a copy of one
    const self = name === undefined || name === type ? type : `${type} ${name}`;
    throw new TypeError(`Cannot use ${self}: ${change}`);
  }
}

/** The first change that has no effect, as text. */
function changeOf(record: Made, copy: object): string | undefined {
  const before = record.object as unknown as Readonly<Record<string, unknown>>;
  const after = copy as Readonly<Record<string, unknown>>;
  const remedy = (option = "…") => `make it anew, as in ${record.factory}({ ${option} })`;
  for (const key of Object.keys(before)) {
    if (record.acts.includes(key) || typeof before[key] === "function" || same(before[key], after[key])) {
      continue;
    }
    const [field, was, is] = firstDifference(key, before[key], after[key]);
    const difference = was === undefined || is === undefined
      ? `${field} is another in a copy than its functions were made with`
      : `${field} is ${is} in a copy, but its functions were made with ${was}`;
    return `${difference}; ` +
      (key === "type"
        ? `give the copy a function ${record.main} of its own too`
        : remedy(field === key || is === undefined ? undefined : `${field}: ${is}`));
  }
  for (const [key, value] of Object.entries(after)) {
    if (key in before || record.acts.includes(key) || value === undefined || typeof value === "function") {
      continue;
    }
    const known = [...Object.keys(record.object.options ?? {}), ...Object.keys(before), ...record.acts];
    const near = known.includes(key) ? undefined : nearest(key, known);
    const text = printed(value);
    return `${key} is ${text ?? "there"} in a copy, but its functions do not read it there; ` +
      (near === undefined
        ? `if it is an option, ${remedy(text && `${key}: ${text}`)}; data of your own goes under a symbol`
        : `did you mean ${JSON.stringify(near)}?`);
  }
  return undefined;
}

function isPlain(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Whether two values are equivalent. */
function same(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item, index) => same(item, b[index]));
  }
  if (!isPlain(a) || !isPlain(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && !refusesJson(a) && !refusesJson(b) &&
    keys.every((key) => Object.hasOwn(b, key) && same(a[key], b[key]));
}

/**
 * The first difference of two values: for options the one that differs, for anything else the whole value.
 */
function firstDifference(
  key: string,
  before: unknown,
  after: unknown,
): [field: string, before: string | undefined, after: string | undefined] {
  if ((key !== "options" && key !== "flags") || !isPlain(before) || !isPlain(after)) {
    return [key, printed(before), printed(after)];
  }
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  const option = keys.find((option) => !same(before[option], after[option])) ?? key;
  return [option, printed(before[option]), printed(after[option])];
}

/**
 * Text by which two objects of one factory act alike if it is equal. Undefined for copies, objects of the
 * caller's own and objects with functions in their options: only the object itself says what they do.
 */
export function describedBy(object: object): string | undefined {
  const record = makingsOf(object).find((record) => record.object === object);
  if (!record) return undefined;
  const parts = record.parts.map(describedBy);
  if (parts.includes(undefined)) return undefined;
  const { type, name, options } = record.object;
  try {
    return JSON.stringify(
      [record.factory, type, name, options, parts],
      (_, value: unknown) => typeof value === "number" && !Number.isFinite(value) ? String(value) : value,
    );
  } catch {
    return undefined; // a placeholder for a function
  }
}

/** A value as text, if that is short. */
function printed(value: unknown): string | undefined {
  try {
    const text = JSON.stringify(value);
    return text === undefined || text.length > 60 ? undefined : text;
  } catch {
    return undefined; // a placeholder for a function
  }
}

/** Whether this is a placeholder for a function in options (see `functionOption`). */
function refusesJson(value: object): boolean {
  return Object.hasOwn(value, "toJSON");
}

/** Functions that a copy may have and still be saved, unless they give a reason why not. */
const substitutes = new WeakMap<AnyFunction, () => string | undefined>();

/**
 * Marks a function that a copy may have in place of the original and still be saved under its type.
 *
 * @param unsaved Why the copy's data does not describe what it does, if so: the end of a sentence.
 */
export function substitute<T extends AnyFunction>(
  fn: T,
  unsaved: () => string | undefined = () => undefined,
): T {
  substitutes.set(fn, unsaved);
  return fn;
}

/**
 * Why the data of a copy does not describe what it does, for example because a function was replaced while
 * the type was kept: the end of a sentence. Undefined if it does.
 */
export function unsavable(object: Pick<Described, "type">): string | undefined {
  for (const { object: before } of makingsOf(object)) {
    if (before.type !== object.type) continue;
    for (const [key, value] of Object.entries(before)) {
      const present = functionOf(object, key);
      if (typeof value !== "function" || present === value) continue;
      const known = present && substitutes.get(present);
      const reason = known
        ? known()
        : `its ${key} is a function of your own, which is not data; give the copy a type of its own, under which ` +
          `fromJson finds what makes it`;
      if (reason !== undefined) return reason;
    }
  }
  return undefined;
}

/** A deeply frozen copy of options. */
function frozenOptions(options: object): object {
  const copy = Array.isArray(options) ? [] : {};
  for (const [key, descriptor] of Object.entries(Object.getOwnPropertyDescriptors(options))) {
    if (Array.isArray(options) && key === "length") continue;
    const { value } = descriptor;
    const nested = typeof value === "object" && value !== null && !refusesJson(value);
    Object.defineProperty(copy, key, nested ? { ...descriptor, value: frozenOptions(value) } : descriptor);
  }
  return Object.freeze(copy);
}
