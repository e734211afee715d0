/**
 * A reader of pickles (CPython's pickletools describes the format) that builds plain data only. It is a machine
 * with a stack and no calls: names that a pickle refers to are looked up in `globals.ts`, where nothing but
 * constructors of data is known. What it does and allocates is bounded by the length of the file.
 */
import type { Fail } from "../../support/archive.ts";
import { build, callGlobal, checkGlobal, storageOf } from "./globals.ts";
import type { Machine } from "./machine.ts";
import { describePickled, isKind, isTuple, type PickleList, type PickleValue, type Tuple } from "./values.ts";

/** The longest whole number in bytes; those of PyTorch have at most ten. */
const LONGEST_NUMBER = 64;

/** How many opcodes are read: enough for some 100,000 tensors, and for values that memory holds. */
const MOST_OPCODES = 2 ** 22;

/** The newest protocol that is read. */
const NEWEST = 5;

/** Takes `count` bytes, which are not copied. */
function take(machine: Machine, count: number): Uint8Array {
  const { bytes, at } = machine;
  if (count > bytes.length - at) {
    throw machine.fail(`it ends after ${bytes.length - at} of ${count} bytes`);
  }
  machine.at += count;
  return bytes.subarray(at, at + count);
}

/** A number of 1, 2, 4 or 8 bytes that counts something. */
function count(machine: Machine, size: 1 | 2 | 4 | 8): number {
  const { view, at } = machine;
  take(machine, size);
  switch (size) {
    case 1:
      return view.getUint8(at);
    case 2:
      return view.getUint16(at, true);
    case 4:
      return view.getUint32(at, true);
    case 8:
      return Number(view.getBigUint64(at, true)); // too large a number remains too large when it is rounded
  }
}

function pop(machine: Machine): PickleValue {
  const { stack, marks } = machine;
  if (stack.length <= (marks.at(-1) ?? 0)) throw machine.fail("it takes a value where there is none");
  return stack.pop()!; // there is one, as just checked
}

function top(machine: Machine): PickleValue {
  const value = pop(machine);
  machine.stack.push(value);
  return value;
}

/** All values from the last mark on. */
function popMark({ stack, marks, fail }: Machine): PickleValue[] {
  const mark = marks.pop();
  if (mark === undefined) throw fail("it takes values up to a mark where there is none");
  return stack.splice(mark);
}

function tuple(items: readonly PickleValue[]): Tuple {
  return { kind: "tuple", items };
}

function popMany(machine: Machine, count: number): PickleValue[] {
  return Array.from({ length: count }, () => pop(machine)).reverse();
}

function text(machine: Machine, length: number): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(take(machine, length));
  } catch (error) {
    if (error instanceof TypeError) throw machine.fail("it has a text that is not UTF-8");
    throw error;
  }
}

/** A text of Python 2, whose encoding nobody knows: the bytes are taken for characters, as PyTorch does for keys. */
function oldText(machine: Machine, length: number): string {
  const bytes = take(machine, length);
  let text = "";
  for (let index = 0; index < bytes.length; index += 4096) {
    text += String.fromCharCode(...bytes.subarray(index, index + 4096));
  }
  return text;
}

/** A whole number of any length, in two's complement and little-endian. */
function wholeNumber(machine: Machine, length: number): number | bigint {
  if (length > LONGEST_NUMBER) {
    throw machine.fail(`it has a number of ${length} bytes, at most ${LONGEST_NUMBER} are read`);
  }
  const value = take(machine, length).reduceRight((sum, byte) => sum << 8n | BigInt(byte), 0n);
  const signed = BigInt.asIntN(8 * length, value);
  const number = Number(signed);
  return Number.isSafeInteger(number) ? number : signed;
}

/** A line of text without its end. */
function line(machine: Machine): string {
  const { bytes, at } = machine;
  const end = bytes.indexOf(0x0a, at);
  if (end < 0) throw machine.fail("it ends in a name");
  const name = text(machine, end - at);
  machine.at++;
  return name;
}

function appendAll(machine: Machine, items: readonly PickleValue[]): void {
  const list = top(machine);
  if (!Array.isArray(list)) throw machine.fail(`it appends to ${describePickled(list)}, expected a list`);
  for (const item of items) list.push(item);
}

function setAll(machine: Machine, items: readonly PickleValue[]): void {
  const dict = top(machine);
  if (!(dict instanceof Map)) {
    throw machine.fail(`it sets items of ${describePickled(dict)}, expected a dict`);
  }
  if (items.length % 2 === 1) throw machine.fail("it sets a key without a value");
  for (let index = 0; index < items.length; index += 2) dict.set(items[index], items[index + 1]);
}

function dictOf(machine: Machine, items: readonly PickleValue[]): void {
  machine.stack.push(new Map());
  setAll(machine, items);
}

function recall(machine: Machine, index: number): void {
  const value = machine.memo.get(index);
  if (value === undefined) throw machine.fail(`it recalls number ${index}, which it has not kept`);
  machine.stack.push(value);
}

function global(machine: Machine, module: PickleValue, name: PickleValue): void {
  if (typeof module !== "string" || typeof name !== "string") {
    throw machine.fail("it wants something whose name is no text");
  }
  machine.stack.push({ kind: "global", name: checkGlobal(`${module}.${name}`, machine.fail) });
}

/** Makes what a name stands for from arguments. */
function reduce(machine: Machine): void {
  const args = pop(machine);
  const called = pop(machine);
  if (!isKind(called, "global")) throw machine.fail(`it calls ${describePickled(called)}`);
  if (!isTuple(args)) throw machine.fail(`it calls ${called.name} with ${describePickled(args)}`);
  machine.stack.push(callGlobal(machine, called.name, args.items));
}

type Step = (machine: Machine) => void;

/** What pushes a value. */
const push = (make: (machine: Machine) => PickleValue): Step => (machine) => {
  machine.stack.push(make(machine));
};

/** What each opcode does, by its byte; those left out are of protocol 0, of classes, or of shared memory. */
const opcodes: ReadonlyMap<number, Step> = new Map<number, Step>([
  [0x80, (machine) => { // PROTO
    const protocol = count(machine, 1);
    if (protocol > NEWEST) throw machine.fail(`it has protocol ${protocol}, expected at most ${NEWEST}`);
  }],
  [0x95, (machine) => void count(machine, 8)], // FRAME: the length of what follows
  [0x28, ({ marks, stack }) => void marks.push(stack.length)], // MARK
  [0x30, (machine) => void pop(machine)], // POP
  [0x31, (machine) => void popMark(machine)], // POP_MARK
  [0x4e, push(() => null)], // NONE
  [0x88, push(() => true)], // NEWTRUE
  [0x89, push(() => false)], // NEWFALSE
  [0x4b, push((machine) => count(machine, 1))], // BININT1
  [0x4d, push((machine) => count(machine, 2))], // BININT2
  [0x4a, push((machine) => count(machine, 4) | 0)], // BININT, which has a sign
  [0x8a, push((machine) => wholeNumber(machine, count(machine, 1)))], // LONG1
  [0x8b, push((machine) => wholeNumber(machine, count(machine, 4)))], // LONG4
  [
    0x47,
    push((machine) => {
      const { view, at } = machine;
      take(machine, 8);
      return view.getFloat64(at); // big-endian
    }),
  ], // BINFLOAT
  [0x58, push((machine) => text(machine, count(machine, 4)))], // BINUNICODE
  [0x8c, push((machine) => text(machine, count(machine, 1)))], // SHORT_BINUNICODE
  [0x8d, push((machine) => text(machine, count(machine, 8)))], // BINUNICODE8
  [0x54, push((machine) => oldText(machine, count(machine, 4)))], // BINSTRING
  [0x55, push((machine) => oldText(machine, count(machine, 1)))], // SHORT_BINSTRING
  [0x42, push((machine) => take(machine, count(machine, 4)).slice())], // BINBYTES
  [0x43, push((machine) => take(machine, count(machine, 1)).slice())], // SHORT_BINBYTES
  [0x8e, push((machine) => take(machine, count(machine, 8)).slice())], // BINBYTES8
  [0x5d, push((): PickleList => [])], // EMPTY_LIST
  [0x6c, push((machine) => popMark(machine))], // LIST
  [0x61, (machine) => appendAll(machine, [pop(machine)])], // APPEND
  [0x65, (machine) => appendAll(machine, popMark(machine))], // APPENDS
  [0x7d, push(() => new Map())], // EMPTY_DICT
  [0x64, (machine) => dictOf(machine, popMark(machine))], // DICT
  [0x73, (machine) => setAll(machine, popMany(machine, 2))], // SETITEM
  [0x75, (machine) => setAll(machine, popMark(machine))], // SETITEMS
  [0x29, push(() => tuple([]))], // EMPTY_TUPLE
  [0x74, push((machine) => tuple(popMark(machine)))], // TUPLE
  [0x85, push((machine) => tuple(popMany(machine, 1)))], // TUPLE1
  [0x86, push((machine) => tuple(popMany(machine, 2)))], // TUPLE2
  [0x87, push((machine) => tuple(popMany(machine, 3)))], // TUPLE3
  [0x71, (machine) => void machine.memo.set(count(machine, 1), top(machine))], // BINPUT
  [0x72, (machine) => void machine.memo.set(count(machine, 4), top(machine))], // LONG_BINPUT
  [0x94, (machine) => void machine.memo.set(machine.memo.size, top(machine))], // MEMOIZE
  [0x68, (machine) => recall(machine, count(machine, 1))], // BINGET
  [0x6a, (machine) => recall(machine, count(machine, 4))], // LONG_BINGET
  [0x63, (machine) => global(machine, line(machine), line(machine))], // GLOBAL
  [0x93, (machine) => { // STACK_GLOBAL
    const [module, name] = popMany(machine, 2);
    global(machine, module, name);
  }],
  [0x52, reduce], // REDUCE
  [0x81, reduce], // NEWOBJ: the same for what is known here
  [0x62, (machine) => { // BUILD
    const state = pop(machine);
    build(machine, top(machine), state);
  }],
  [0x51, (machine) => machine.stack.push(storageOf(machine, pop(machine)))], // BINPERSID
]);

const STOP = 0x2e;

/** A pickle that was read. */
export interface Pickle {
  readonly value: PickleValue;
  /** The offset of what follows it. */
  readonly end: number;
}

/**
 * Reads one pickle.
 *
 * @param what What the pickle is in the file, for errors.
 * @throws The error of `fail` with the byte of the problem: an opcode that is not read, or a name of anything
 *   but a constructor of plain data.
 */
export function readPickle(bytes: Uint8Array, start: number, what: string, fail: Fail): Pickle {
  const machine: Machine = {
    bytes,
    view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength),
    at: start,
    stack: [],
    steps: MOST_OPCODES,
    marks: [],
    memo: new Map(),
    copies: bytes.length,
    fail: (reason) => fail(reason, `${what}, byte ${machine.at}`),
  };
  for (;;) {
    const opcode = count(machine, 1);
    if (--machine.steps < 0) throw machine.fail(`it has more than ${MOST_OPCODES} opcodes`);
    if (opcode === STOP) return { value: pop(machine), end: machine.at };
    const step = opcodes.get(opcode);
    if (step === undefined) {
      throw machine.fail(`it has the opcode 0x${opcode.toString(16)}, which is not one of plain data`);
    }
    step(machine);
  }
}
