/**
 * Trees: any nesting of arrays and plain objects whose leaves are tensors (or specs). Object keys are visited
 * in sorted order, so that trees with the same keys always pair up. Errors name the path at which two trees
 * differ.
 */
import { checkFunction, checkList, checkObject, checkText, describeValue, wrongKind } from "../describe.ts";
import { isLeaf, type Spec } from "../tensor/tensor.ts";

/** The nesting of a tree, without its leaves. */
export type Structure =
  | { readonly kind: "leaf" }
  | { readonly kind: "array"; readonly items: readonly Structure[] }
  | { readonly kind: "object"; readonly keys: readonly string[]; readonly items: readonly Structure[] };

/** The position of a leaf: keys and indices from the root. */
export type Path = readonly (string | number)[];

const LEAF: Structure = { kind: "leaf" };

/** A path as text: `state[0].h`; the root is the name alone. */
export function printPath(path: Path, root = ""): string {
  checkList("print a path", path, "the path", "a list of keys and indices");
  checkText("print a path", root, "the root");
  for (const part of path) {
    if (typeof part !== "number") checkText("print a path", part, "a part of it", "a key or an index");
  }
  const text = path.map((part) => typeof part === "number" ? `[${part}]` : `.${part}`).join("");
  return root + (root === "" && text.startsWith(".") ? text.slice(1) : text) || "(root)";
}

function isPlainObject(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** The keys of what is defined, sorted. */
function keysOf(node: Readonly<Record<string, unknown>>): string[] {
  const keys = Object.keys(node);
  const defined = keys.every((key) => node[key] !== undefined)
    ? keys
    : keys.filter((key) => node[key] !== undefined);
  return defined.every((key, index) => index === 0 || defined[index - 1] < key) ? defined : defined.sort();
}

/** The nesting limit: no tree of tensors is this deep, but a cyclic one is. */
const DEEPEST = 500;

function checkDepth(path: Path, root: string): void {
  if (path.length <= DEEPEST) return;
  throw new TypeError(
    `Cannot use ${
      root === "" ? "this" : root
    } as a tree: it is nested more than ${DEEPEST} deep, or refers to itself`,
  );
}

/**
 * Calls `visit` for every leaf, in order. A key whose value is undefined counts as absent.
 *
 * @param path The path of this part, changed on the way: `visit` copies what it keeps.
 */
function walk(
  tree: unknown,
  path: (string | number)[],
  root: string,
  visit: (leaf: unknown, path: Path) => void,
): Structure {
  if (isLeaf(tree)) {
    visit(tree, path);
    return LEAF;
  }
  checkDepth(path, root);
  if (Array.isArray(tree)) {
    const items = new Array<Structure>(tree.length);
    for (let index = 0; index < items.length; index++) {
      path.push(index);
      items[index] = walk(tree[index], path, root, visit);
      path.pop();
    }
    return { kind: "array", items };
  }
  if (isPlainObject(tree)) {
    const keys = keysOf(tree), items = new Array<Structure>(keys.length);
    for (let index = 0; index < keys.length; index++) {
      path.push(keys[index]);
      items[index] = walk(tree[keys[index]], path, root, visit);
      path.pop();
    }
    return { kind: "object", keys, items };
  }
  throw new TypeError(
    `Cannot use ${describeValue(tree)} at ${printPath(path, root)} as part of a tree: ` +
      `expected a tensor, an array or a plain object; make tensors of numbers in arrays with tensor(...), of a typed ` +
      `array with hostTensor(values, shape)`,
  );
}

/**
 * The leaves of a tree in order, with its structure and the path of each leaf. In errors, paths start with
 * `name`.
 */
export function flattenTree<Leaf>(
  tree: unknown,
  name = "",
): { readonly leaves: Leaf[]; readonly structure: Structure; readonly paths: Path[] } {
  checkText("flatten a tree", name, "its name");
  const leaves: Leaf[] = [];
  // The caller names the kind of leaf it put in.
  const structure = walk(tree, [], name, (leaf) => leaves.push(leaf as Leaf));
  let paths: Path[] | undefined;
  return {
    leaves,
    structure,
    get paths() { // most callers need none, except in errors
      return paths ??= pathsOf(structure);
    },
  };
}

/** The paths of all leaves, in order. */
function pathsOf(structure: Structure, here: Path = [], found: Path[] = []): Path[] {
  if (structure.kind === "leaf") found.push(here);
  else {
    structure.items.forEach((item, index) => {
      pathsOf(item, [...here, structure.kind === "array" ? index : structure.keys[index]], found);
    });
  }
  return found;
}

/**
 * The leaves of a tree that has this structure; undefined if it has another. For callers that know the
 * structure already: it makes no paths, text or errors.
 */
export function leavesOf<Leaf>(structure: Structure, tree: unknown): Leaf[] | undefined {
  const leaves: Leaf[] = [];
  return collect(structure, tree, leaves) ? leaves : undefined;
}

function collect(structure: Structure, tree: unknown, leaves: unknown[]): boolean {
  if (structure.kind === "leaf") {
    leaves.push(tree);
    return isLeaf(tree);
  }
  if (structure.kind === "array") {
    const { items } = structure;
    if (!Array.isArray(tree) || tree.length !== items.length || isLeaf(tree)) return false;
    for (let index = 0; index < items.length; index++) {
      if (!collect(items[index], tree[index], leaves)) return false;
    }
    return true;
  }
  if (isLeaf(tree) || !isPlainObject(tree)) return false;
  const { keys, items } = structure;
  let defined = 0;
  for (const key in tree) if (tree[key] !== undefined) defined++;
  if (defined !== keys.length) return false;
  for (let index = 0; index < keys.length; index++) {
    if (!collect(items[index], tree[keys[index]], leaves)) return false;
  }
  return true;
}

/** The tree of this structure with these leaves, in order. */
export function unflattenTree<T = unknown>(structure: Structure, leaves: readonly unknown[]): T {
  checkList("build a tree", leaves, "the leaves");
  let next = 0;
  const build = (node: Structure): unknown => {
    switch (node?.kind) {
      case "leaf":
        return leaves[next++];
      case "array":
        return node.items.map(build);
      case "object": {
        const tree: Record<string, unknown> = {};
        for (let index = 0; index < node.keys.length; index++) {
          const key = node.keys[index], value = build(node.items[index]);
          if (key !== "__proto__") tree[key] = value;
          else {Object.defineProperty(tree, key, {
              value,
              configurable: true,
              enumerable: true,
              writable: true,
            });}
        }
        return tree;
      }
      default:
        throw wrongKind("build a tree", node satisfies never, "the structure", "one that flattenTree gives");
    }
  };
  const tree = build(structure);
  if (next !== leaves.length) {
    throw new RangeError(`Cannot build a tree of ${next} leaves from ${leaves.length}`);
  }
  return tree as T; // the structure came from a T
}

/** The leaves of a tree, in order. */
export function treeLeaves<Leaf>(tree: unknown): Leaf[] {
  return flattenTree<Leaf>(tree).leaves;
}

/**
 * A tree of the same structure, each leaf replaced by `change(leaf, path)`. The type of the result says what
 * the leaves are now.
 *
 * @typeParam In What the leaves are, as `change` declares it; this is not checked.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { mapTree, ones, type Tensor, zeros } from "@cellfold/cellfold";
 * const state = { h: zeros([2, 4]), stack: [ones([3])] };
 * const sizes: { h: number; stack: number[] } = mapTree(state, (leaf: Tensor) => leaf.shape.length);
 * assertEquals(sizes, { h: 2, stack: [1] });
 * ```
 */
export function mapTree<T, In = unknown, Out = unknown>(
  tree: T,
  change: (leaf: In, path: Path) => Out,
): MappedTree<T, Out> {
  checkFunction("map a tree", change, "the second argument");
  const { leaves, structure, paths } = flattenTree<In>(tree);
  return unflattenTree(structure, leaves.map((leaf, index) => change(leaf, paths[index])));
}

/**
 * {@linkcode mapTree} for a change that makes leaves of the same kind, in code that is generic in its trees:
 * the type of the tree stays.
 */
export function mapLike<T, Leaf extends Spec>(tree: T, change: (leaf: Leaf, path: Path) => Leaf): T {
  return mapTree(tree, change) as unknown as T; // the leaves are of the same kind as before
}

/** {@linkcode zipTrees} of two trees of the same type into a third. */
export function zipLike<T, Leaf extends Spec>(
  first: T,
  second: T,
  combine: (a: Leaf, b: Leaf, path: Path) => Leaf,
): T {
  return zipTrees(first, second, combine) as unknown as T; // the leaves are of the same kind as before
}

/**
 * A tree of the structure of the first, each leaf made from the leaves at the same path of both.
 *
 * @throws TypeError naming the path at which the structures differ.
 */
export function zipTrees<T, A = unknown, B = unknown, Out = unknown>(
  first: T,
  second: unknown,
  combine: (a: A, b: B, path: Path) => Out,
  names: { readonly first?: string; readonly second?: string } = {},
): MappedTree<T, Out> {
  checkFunction("zip trees", combine, "the third argument");
  checkSameStructure(first, second, names);
  const a = flattenTree<A>(first);
  const b = flattenTree<B>(second);
  return unflattenTree(a.structure, a.leaves.map((leaf, i) => combine(leaf, b.leaves[i], a.paths[i])));
}

/** Throws a TypeError that names the first path at which the two trees have different structure. */
export function checkSameStructure(
  first: unknown,
  second: unknown,
  names: {
    readonly first?: string;
    readonly second?: string;
    /** The first part of paths. */
    readonly root?: string;
    /** What to do about it. */
    readonly remedy?: string;
  } = {},
): void {
  checkObject("pair trees", names, "the names");
  const firstName = names.first ?? "the first tree";
  const secondName = names.second ?? "the second tree";
  const compare = (a: unknown, b: unknown, path: Path): void => {
    checkDepth(path, names.root ?? "");
    const fail = (): never => {
      throw new TypeError(
        `Cannot pair ${firstName} with ${secondName} at ${printPath(path, names.root)}: ` +
          `${firstName} has ${describeValue(a)}, ${secondName} has ${describeValue(b)}` +
          (names.remedy === undefined ? "" : `; ${names.remedy}`),
      );
    };
    if (isLeaf(a) || isLeaf(b)) {
      if (!isLeaf(a) || !isLeaf(b)) fail();
    } else if (Array.isArray(a) || Array.isArray(b)) {
      if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return fail();
      a.forEach((item, index) => compare(item, b[index], [...path, index]));
    } else if (isPlainObject(a) && isPlainObject(b)) {
      const keys = keysOf(a);
      if (keys.join("\0") !== keysOf(b).join("\0")) return fail();
      for (const key of keys) compare(a[key], b[key], [...path, key]);
    } else fail();
  };
  compare(first, second, []);
}

/** A structure as text, usable as a key: `{h:*,list:[*,*]}`. */
export function printStructure(structure: Structure): string {
  switch (structure.kind) {
    case "leaf":
      return "*";
    case "array":
      return `[${structure.items.map(printStructure).join(",")}]`;
    case "object":
      return `{${
        structure.keys.map((key, i) => `${JSON.stringify(key)}:${printStructure(structure.items[i])}`).join(
          ",",
        )
      }}`;
  }
}

/** A leaf, or arrays and plain objects of trees. */
export type Tree<Leaf> = Leaf | readonly Tree<Leaf>[] | { readonly [key: string]: Tree<Leaf> };

/**
 * The tree `T` with other leaves: where `T` has a tensor or a spec, this has a `Leaf`. If the structure of
 * `T` is not known, neither is this one: it is any tree of such leaves.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { type MappedTree, spec, type Spec, type Tensor } from "@cellfold/cellfold";
 * type State = { readonly h: Tensor; readonly stack: readonly Tensor[] };
 * const specs: MappedTree<State, Spec> = { h: spec([2, 4]), stack: [spec([3])] };
 * assertEquals(specs.stack[0].shape, [3]);
 * ```
 */
export type MappedTree<T, Leaf> = Tree<never> extends T ? Tree<Leaf> // T is any tree, or unknown
  : T extends Spec ? Leaf
  : { [Key in keyof T]: MappedTree<T[Key], Leaf> };
