/**
 * The names that a pickle may refer to, and what is made of each: OrderedDict, bytes, torch.Size, storages,
 * tensors and parameters (torch/_utils.py, torch/serialization.py). Nothing else is known, so no code runs.
 */
import { quoted } from "../../../src/quoted.ts";
import type { Machine } from "./machine.ts";
import { type StorageType, typeOfDtype, typeOfStorage } from "./storage_types.ts";
import {
  describePickled,
  type Dict,
  isKind,
  isSize,
  isTuple,
  type PickleValue,
  type Storage,
  type StoredTensor,
} from "./values.ts";

/** The largest number of axes, as in PyTorch. */
const MOST_AXES = 64;

type Call = (machine: Machine, args: readonly PickleValue[], name: string) => PickleValue;

function wrongArguments({ fail }: Machine, name: string, expected: string): Error {
  return fail(`it calls ${name} with other arguments than ${expected}`);
}

/** Counts values that are copied; a pickle may copy as many as it has bytes. */
function copy(machine: Machine, count: number): void {
  machine.copies -= count;
  if (machine.copies < 0) throw machine.fail("it copies more values than it has bytes");
}

/** OrderedDict(), or of pairs as Python 2 wrote it. */
const orderedDict: Call = (machine, args, name) => {
  const dict: Dict = new Map();
  if (args.length === 0) return dict;
  const [pairs] = args;
  if (args.length > 1 || !Array.isArray(pairs)) throw wrongArguments(machine, name, "a list of pairs");
  copy(machine, pairs.length);
  for (const pair of pairs) {
    const items = isTuple(pair) ? pair.items : pair;
    if (!Array.isArray(items) || items.length !== 2) throw wrongArguments(machine, name, "a list of pairs");
    dict.set(items[0], items[1]);
  }
  return dict;
};

/** How protocol 2 writes bytes: as a text of their characters. */
const encode: Call = (machine, args, name) => {
  const [text, encoding] = args;
  if (args.length !== 2 || typeof text !== "string" || encoding !== "latin1") {
    throw wrongArguments(machine, name, 'a text and "latin1"');
  }
  copy(machine, text.length);
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
};

const noBytes: Call = (machine, args, name) => {
  if (args.length > 0) throw wrongArguments(machine, name, "none");
  return new Uint8Array(0);
};

const size: Call = (machine, args, name) => {
  const [sizes] = args;
  if (args.length === 1 && isTuple(sizes)) return sizes;
  throw wrongArguments(machine, name, "a tuple of sizes");
};

function sizesOf(machine: Machine, value: PickleValue, what: string): readonly number[] {
  if (isTuple(value) && value.items.length <= MOST_AXES) {
    const { items } = value;
    if (items.every(isSize)) return items;
  }
  throw machine.fail(
    `a tensor has the ${what} ${
      describePickled(value)
    }, expected a tuple of at most ${MOST_AXES} numbers from 0`,
  );
}

function tensorOf(machine: Machine, args: readonly PickleValue[], type?: StorageType): StoredTensor {
  const [storage, offset, shape, strides] = args;
  if (!isKind(storage, "storage")) {
    throw machine.fail(`a tensor has ${describePickled(storage)} in place of its storage`);
  }
  if (!isSize(offset)) {
    throw machine.fail(`a tensor has the offset ${describePickled(offset)}, expected a number from 0`);
  }
  const [sizes, steps] = [sizesOf(machine, shape, "size"), sizesOf(machine, strides, "stride")];
  if (sizes.length !== steps.length) {
    throw machine.fail(`a tensor has ${sizes.length} sizes and ${steps.length} strides, expected as many`);
  }
  return { kind: "tensor", storage, type: type ?? storage.type, offset, shape: sizes, strides: steps };
}

const rebuildTensor: Call = (machine, args, name) => {
  if (args.length < 6 || args.length > 7) {
    throw wrongArguments(machine, name, "storage, offset, size, stride, requires_grad, hooks and metadata");
  }
  return tensorOf(machine, args);
};

/** The same for types that have no storage of their own. */
const rebuildWithType: Call = (machine, args, name) => {
  const dtype = args[6];
  if (args.length < 7 || args.length > 8 || !isKind(dtype, "global")) {
    throw wrongArguments(machine, name, "those of _rebuild_tensor_v2 and a dtype");
  }
  const type = typeOfDtype(dtype.name);
  if (type === undefined) throw wrongArguments(machine, name, "those of _rebuild_tensor_v2 and a dtype");
  return tensorOf(machine, args, type);
};

const rebuildParameter: Call = (machine, args, name) => {
  const [tensor] = args;
  if (args.length === 3 && isKind(tensor, "tensor")) return tensor;
  throw wrongArguments(machine, name, "a tensor, requires_grad and hooks");
};

const calls: ReadonlyMap<string, Call> = new Map<string, Call>([
  ["collections.OrderedDict", orderedDict],
  ["_codecs.encode", encode],
  ["__builtin__.bytes", noBytes],
  ["builtins.bytes", noBytes],
  ["torch.Size", size],
  ["torch._utils._rebuild_tensor_v2", rebuildTensor],
  ["torch._utils._rebuild_tensor_v3", rebuildWithType],
  ["torch._utils._rebuild_parameter", rebuildParameter],
]);

/** The name, if it is one that is known. */
export function checkGlobal(name: string, fail: Machine["fail"]): string {
  if (calls.has(name) || typeOfStorage(name) || typeOfDtype(name)) return name;
  throw fail(
    `it wants ${
      quoted(name)
    }, expected tensors, dicts, lists, texts and numbers alone; no code of files is run: ` +
      `in Python, save the state dict alone with torch.save(model.state_dict(), file)`,
  );
}

/** What a name makes of arguments. */
export function callGlobal(machine: Machine, name: string, args: readonly PickleValue[]): PickleValue {
  const call = calls.get(name);
  if (call === undefined) throw machine.fail(`it calls ${name}, which is a type`);
  return call(machine, args, name);
}

/** Gives attributes to an object: only an OrderedDict has any, the versions of modules, which nothing here needs. */
export function build(machine: Machine, object: PickleValue, attributes: PickleValue): void {
  if (object instanceof Map && attributes instanceof Map) return;
  throw machine.fail(
    `it gives ${describePickled(attributes)} as attributes to ${
      describePickled(object)
    }, expected an OrderedDict`,
  );
}

/** A part of another storage, as old files have it: the key of the part, its first element and its length. */
function viewOf(view: PickleValue): { readonly first: number; readonly count: number } | undefined {
  if (!isTuple(view) || view.items.length !== 3) return undefined;
  const [, first, count] = view.items;
  return isSize(first) && isSize(count) ? { first, count } : undefined;
}

/** The storage of a persistent id: `("storage", type, key, place, count)`, in old files with a view. */
export function storageOf(machine: Machine, id: PickleValue): Storage {
  const fail = () => machine.fail(`it has the persistent id ${describePickled(id)}, expected a storage`);
  if (!isTuple(id) || id.items.length < 5 || id.items.length > 6) throw fail();
  const [what, named, key, place, wholeCount, view = null] = id.items;
  const type = isKind(named, "global") ? typeOfStorage(named.name) : undefined;
  if (what !== "storage" || !type || typeof key !== "string" || typeof place !== "string") throw fail();
  if (!isSize(wholeCount)) throw fail();
  const part = view === null ? { first: 0, count: wholeCount } : viewOf(view);
  if (part === undefined || part.first + part.count > wholeCount) throw fail();
  return { kind: "storage", type, key, ...part, wholeCount };
}
