import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { tensor } from "../../mod.ts";
import {
  checkSameStructure,
  flattenTree,
  mapTree,
  printPath,
  printStructure,
  treeLeaves,
  unflattenTree,
  zipTrees,
} from "../../src/tree/tree.ts";

const leaf = (value: number) => tensor(value);
/** Trees of tensors that hold 0, 1, 2… in no order. */
const trees: fc.Arbitrary<unknown> = fc.letrec<{ tree: unknown }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 3 },
    fc.nat(99).map(leaf),
    fc.array(tie("tree"), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom("a", "b", "c", "é", "10", "9"), tie("tree"), { maxKeys: 3 }),
  ),
})).tree;

/** The same tree with the keys of its objects the other way round. */
function turned(tree: unknown): unknown {
  if (Array.isArray(tree)) return tree.map(turned);
  if (typeof tree !== "object" || tree === null || "dtype" in tree) return tree;
  return Object.fromEntries(Object.entries(tree).reverse().map(([key, value]) => [key, turned(value)]));
}

Deno.test("a tree is its leaves and its structure", () => {
  fc.assert(fc.property(trees, (tree) => {
    const { leaves, structure, paths } = flattenTree(tree);
    assertEquals(flattenTree(unflattenTree(structure, leaves)), { leaves, structure, paths });
    assertEquals(paths.length, leaves.length);
  }));
});

Deno.test("the order in which keys were written does not matter", () => {
  fc.assert(fc.property(trees, (tree) => {
    assertEquals(flattenTree(turned(tree)), flattenTree(tree));
    checkSameStructure(tree, turned(tree));
    assertEquals(
      treeLeaves(zipTrees(tree, turned(tree), (a, b) => tensor([a === b]))).length,
      treeLeaves(tree).length,
    );
    for (
      const same of treeLeaves<{ data: Uint8Array }>(
        zipTrees(tree, turned(tree), (a, b) => tensor([a === b])),
      )
    ) {
      assertEquals(same.data[0], 1);
    }
  }));
});

Deno.test("a key whose value is undefined counts as absent", () => {
  const [a, b] = [leaf(1), leaf(2)];
  assertEquals(flattenTree({ a, b, c: undefined }), flattenTree({ b, a }));
  checkSameStructure({ a, c: undefined }, { a });
});

Deno.test("a path names where a leaf lies", () => {
  const { paths } = flattenTree({ state: [leaf(1), { h: leaf(2) }] });
  assertEquals(paths.map((path) => printPath(path)), ["state[0]", "state[1].h"]);
  assertEquals(printPath([1, "h"], "state"), "state[1].h");
  assertEquals(printPath([]), "(root)");
});

Deno.test("mapping keeps the structure and gives the path", () => {
  const seen: string[] = [];
  const doubled = mapTree({ b: [leaf(1)], a: leaf(2) }, (x: { data: Float32Array }, path) => {
    seen.push(printPath(path));
    return leaf(2 * x.data[0]);
  });
  assertEquals(doubled, { b: [leaf(2)], a: leaf(4) });
  assertEquals(seen, ["a", "b[0]"]);
});

Deno.test("what is no tree is refused with its path and what it is", () => {
  const refuse = (value: unknown, part: string) =>
    assertThrows(() => flattenTree({ cells: [leaf(1), value] }, "model"), TypeError, part);
  refuse(3, "Cannot use the number 3 at model.cells[1] as part of a tree");
  refuse(null, "Cannot use null at model.cells[1]");
  refuse(undefined, "Cannot use undefined at model.cells[1]");
  refuse("lstm", 'Cannot use the text "lstm" at model.cells[1]');
  refuse(new Map(), "Cannot use an object of the class Map at model.cells[1]");
  refuse(new Float32Array(2), "Cannot use a Float32Array of 2 at model.cells[1]");
});

Deno.test("trees that differ are refused with the first path and both sides", () => {
  const x = leaf(1);
  const refuse = (a: unknown, b: unknown, part: string) =>
    assertThrows(
      () => checkSameStructure({ s: a }, { s: b }, { first: "given", second: "wanted" }),
      TypeError,
      part,
    );
  refuse(x, [x], "at s: given has a tensor float32[], wanted has an array of 1");
  refuse([x], [x, x], "at s: given has an array of 1, wanted has an array of 2");
  refuse(
    { h: x },
    { c: x, h: x },
    "given has an object with the keys {h}, wanted has an object with the keys {c, h}",
  );
  refuse([{ h: x }], [{ h: [x] }], "at s[0].h");
  refuse([x], { 0: x }, "given has an array of 1, wanted has an object with the keys {0}");
});

Deno.test("structures print as keys: different ones differently", () => {
  fc.assert(fc.property(trees, trees, (a, b) => {
    const [left, right] = [flattenTree(a).structure, flattenTree(b).structure];
    assertEquals(
      printStructure(left) === printStructure(right),
      JSON.stringify(left) === JSON.stringify(right),
    );
  }));
  assertEquals(
    printStructure(flattenTree({ list: [leaf(1), leaf(2)], h: leaf(3) }).structure),
    '{"h":*,"list":[*,*]}',
  );
});

Deno.test("too few or too many leaves are refused", () => {
  const { structure } = flattenTree([leaf(1)]);
  assertThrows(() => unflattenTree(structure, [leaf(1), leaf(2)]), RangeError, "a tree of 1 leaves from 2");
  assertThrows(() => unflattenTree(structure, []), RangeError, "a tree of 1 leaves from 0");
});
