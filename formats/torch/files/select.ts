/** The state dict of a checkpoint: the one that is in it, or that at a path. */
import { quoted } from "../../../src/quoted.ts";
import { listed } from "../../support/listed.ts";
import { TorchFileError } from "./errors.ts";
import {
  describePickled,
  type Dict,
  isStoredTensor,
  isTuple,
  type PickleValue,
  type StoredTensor,
} from "./values.ts";

/** How many values are looked at below a path; what is shared counts as often as it is there. */
const MOST_VALUES = 100_000;

/** The longest name in characters. */
const LONGEST_NAME = 1000;

/** Tensors by name. */
export interface Selected {
  /** The path of the dict that they are in, its keys joined by `/`; empty for the whole file. */
  readonly path: string;
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** The names of what else is in that dict. */
  readonly others: readonly string[];
}

/** What is in a list, tuple or dict with the text that names it; undefined for a value without parts. */
function partsOf(value: PickleValue): readonly (readonly [string, PickleValue])[] | undefined {
  if (value instanceof Map) {
    return [...value].flatMap(([key, part]): [string, PickleValue][] =>
      typeof key === "string" ? [[key, part]] : isNumber(key) ? [[String(key), part]] : []
    );
  }
  const items = Array.isArray(value) ? value : isTuple(value) ? value.items : undefined;
  return items?.map((item, index) => [String(index), item] as const);
}

function isNumber(key: PickleValue): key is number | bigint {
  return typeof key === "number" || typeof key === "bigint";
}

function checkName(name: string): string {
  if (name.length <= LONGEST_NAME) return name;
  throw new TorchFileError(
    `the name ${quoted(name)}`,
    `it has ${name.length} characters, at most ${LONGEST_NAME} are read`,
  );
}

function join(path: string, key: string, separator: string): string {
  return checkName(path === "" ? key : `${path}${separator}${key}`);
}

/** Whether a dict has nothing but named tensors, and at least one. */
function isStateDict(dict: Dict): boolean {
  return dict.size > 0 && [...dict].every(([key, part]) => typeof key === "string" && isStoredTensor(part));
}

/** All state dicts under keys that are texts: those of optimizers are under numbers. */
function stateDictsIn(root: PickleValue): ReadonlyMap<string, Dict> {
  const found = new Map<string, Dict>();
  const seen = new Set<PickleValue>();
  const waiting: (readonly [string, PickleValue])[] = [["", root]];
  while (waiting.length > 0) {
    const [path, value] = waiting.pop()!; // there is one
    if (!(value instanceof Map) || seen.has(value)) continue;
    seen.add(value);
    if (isStateDict(value)) found.set(path, value);
    else {
      for (const [key, part] of [...value].reverse()) { // so that they are found in the file's order
        if (typeof key === "string" && part instanceof Map) waiting.push([join(path, key, "/"), part]);
      }
    }
  }
  return found;
}

/** What a value has, for an error. */
function contentsOf(value: PickleValue): string {
  const keys = partsOf(value)?.map(([key]) => key) ?? [];
  return keys.length === 0
    ? describePickled(value)
    : `${describePickled(value)} with ${listed(keys.map(quoted))}`;
}

/** The value at a path. A key may contain slashes: the longest one that is there is followed. */
function valueAt(root: PickleValue, path: string): PickleValue {
  let value = root;
  let rest = path;
  while (rest !== "") {
    const parts = partsOf(value) ?? [];
    const fitting = parts.filter(([key]) => rest === key || rest.startsWith(`${key}/`))
      .sort(([a], [b]) => b.length - a.length);
    if (fitting.length === 0 || fitting[0][0] === "") {
      const before = path.slice(0, path.length - rest.length).replace(/\/$/, "");
      throw new TorchFileError(
        before === "" ? "the file" : `the path ${quoted(before)}`,
        `it has nothing at ${quoted(rest)}: it is ${contentsOf(value)}`,
      );
    }
    const [key, part] = fitting[0];
    value = part;
    rest = rest.slice(key.length + 1);
  }
  return value;
}

/** The tensors below a value, with the keys of nested dicts joined by dots, as PyTorch joins the names of modules. */
function tensorsBelow(value: PickleValue, path: string): Selected {
  const tensors = new Map<string, StoredTensor>();
  const others: string[] = [];
  const waiting: (readonly [string, PickleValue])[] = [["", value]];
  for (let values = 0; waiting.length > 0;) {
    const [name, value] = waiting.pop()!; // there is one
    if (isStoredTensor(value) && name !== "") {
      if (tensors.has(name)) throw new TorchFileError(`the tensor ${quoted(name)}`, "it is there twice");
      tensors.set(name, value);
    } else if (value instanceof Map) {
      values += value.size;
      if (values > MOST_VALUES) {
        throw new TorchFileError(
          `the path ${quoted(path)}`,
          `there are more than ${MOST_VALUES} values below it`,
        );
      }
      const parts = (partsOf(value) ?? []).map(([key, part]) => [join(name, key, "."), part] as const);
      for (const part of parts.reverse()) waiting.push(part); // so that they come out in the file's order
    } else others.push(name);
  }
  if (tensors.size > 0) return { path, tensors, others };
  throw new TorchFileError(
    path === "" ? "the file" : `the path ${quoted(path)}`,
    `there are no named tensors: it is ${contentsOf(value)}`,
  );
}

/**
 * The state dict of a file.
 *
 * @param path Where it is; undefined for the one that there is.
 * @throws TorchFileError if nothing is at the path, or there is not exactly one.
 */
export function selectStateDict(root: PickleValue, path: string | undefined): Selected {
  if (path !== undefined) return tensorsBelow(valueAt(root, path), path);
  const found = stateDictsIn(root);
  if (found.size === 1) {
    const [[only, dict]] = found;
    return tensorsBelow(dict, only);
  }
  if (found.size > 1) {
    throw new TorchFileError(
      "the file",
      `it has ${found.size} state dicts, ${
        listed([...found.keys()].map(quoted))
      }; choose one with the option path`,
    );
  }
  throw new TorchFileError(
    "the file",
    `it has no dict of nothing but named tensors: it is ${contentsOf(root)}; say with the option path ` +
      `where tensors are, or save the state dict alone with torch.save(model.state_dict(), file)`,
  );
}
