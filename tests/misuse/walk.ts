/**
 * Calls functions with what they are not made for, in every combination, and collects what a user would have to guess
 * at: errors of the JavaScript engine instead of the library's, what is thrown and is no error, and calls that hang.
 */
import { scrambled } from "../kernels/accuracy.ts";
import { exampleCount } from "../support/examples.ts";

/** What an error of the library never says: the words of the engine for what nobody checked. */
const ENGINE_WORDS = new RegExp(
  [
    "Cannot read propert",
    "Cannot set propert",
    "is not a function",
    "is not iterable",
    "undefined \\(reading",
    "Cannot destructure",
    "Maximum call stack",
    "\\[object ",
    "NaN is not",
    "Invalid array length",
    "Invalid typed array length",
    "is not a constructor",
    "Cannot convert (undefined|null|object|a BigInt|a Symbol)",
    "Cannot mix BigInt",
    "Reduce of empty",
    "Cannot use 'in' operator",
    "not defined",
    "toString",
    "serialize a BigInt",
    "called on non-object",
    "circular structure",
    "Invalid string length",
    "Method get TypedArray",
    "incompatible receiver",
    "Spread syntax",
    "Invalid value used",
  ].join("|"),
);

/** A call may take so many milliseconds of waiting. */
const PATIENCE = 5000;

/** What is passed, with a name for reports. */
export interface Value {
  readonly name: string;
  /** Anew for each call, so that what one call changes reaches no other. */
  make(): unknown;
}

/** A function under test. */
export interface Subject {
  readonly name: string;
  readonly call: (...args: never[]) => unknown;
  /** The most arguments that it is given. */
  readonly arity: number;
}

/** What is wrong with a message, or nothing. */
function faultOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return `threw ${String(error)}, which is no Error`;
  if (ENGINE_WORDS.test(error.message)) return `${error.name}: ${error.message}`;
  return error.message === "" ? "an Error without a message" : undefined;
}

/** The result of a call, waited for; what it holds of the machine is given back. */
async function settle(result: unknown): Promise<string | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve(`was not done after ${PATIENCE} ms`), PATIENCE);
  });
  const done = (async () => {
    try {
      const value = await (result as Promise<Partial<Disposable> | undefined>); // whatever it is
      value?.[Symbol.dispose]?.();
    } catch (error) {
      return faultOf(error);
    }
  })();
  try {
    return await Promise.race([done, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Lists of `length` of the values, in every combination; from three on in every combination of two neighbors. */
export function* combinations(values: readonly Value[], length: number, usual: Value): Generator<Value[]> {
  if (length === 0) {
    yield [];
  } else if (length <= 2) {
    for (const rest of combinations(values, length - 1, usual)) {
      for (const value of values) yield [...rest, value];
    }
  } else {
    for (let at = 0; at + 1 < length; at++) {
      for (const [a, b] of combinations(values, 2, usual)) {
        for (const other of values.filter((value) => value === usual || value === a)) {
          yield Array.from({ length }, (_, index) => index === at ? a : index === at + 1 ? b : other);
        }
      }
    }
  }
}

/** All lists of up to one value, and as many of the longer ones as {@linkcode exampleCount} says, others for each seed. */
export function* someOf(lists: Iterable<Value[]>, seed: number): Generator<Value[]> {
  const total = 1 << 16, most = exampleCount(total);
  let index = seed;
  for (const list of lists) {
    if (list.length <= 1 || scrambled(index++) % total < most) yield list;
  }
}

/** What a user would have to guess at. */
export interface Fault {
  readonly subject: string;
  readonly call: string;
  readonly fault: string;
}

/** Calls a subject with every list of arguments. */
export async function faultsOf(subject: Subject, lists: Iterable<readonly Value[]>): Promise<Fault[]> {
  const faults: Fault[] = [];
  for (const list of lists) {
    let fault: string | undefined;
    try {
      const result = subject.call(...list.map(({ make }) => make()) as never[]);
      fault = result instanceof Promise ? await settle(result) : undefined;
    } catch (error) {
      fault = faultOf(error);
    }
    if (fault !== undefined) {
      faults.push({
        subject: subject.name,
        call: `${subject.name}(${list.map(({ name }) => name).join(", ")})`,
        fault,
      });
    }
  }
  return faults;
}

/** The faults as lines for people, one for each subject. */
export function report(faults: readonly Fault[]): string[] {
  return Object.entries(Object.groupBy(faults, ({ subject }) => subject)).map(([subject, all = []]) =>
    `${subject}: ${all.length} calls, as ${all[0].call}: ${all[0].fault}`
  );
}
