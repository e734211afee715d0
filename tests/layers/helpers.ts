/** What the tests of cells and recurrent layers share. */
import {
  add,
  cast,
  host,
  key,
  type Layer,
  type MappedTree,
  mapTree,
  mul,
  normal,
  splitKey,
  sum,
  type Tensor,
  type Tree,
  treeLeaves,
  valueAndGrad,
  type Variables,
} from "@cellfold/cellfold";
import { assert, assertEquals } from "@std/assert";

/** Normal values of this shape, the same for the same seed. */
export function random(seed: number, shape: readonly number[]): Tensor {
  return normal(key(seed), shape);
}

/** The shapes of the leaves, in order. */
export function shapesOf(tree: Tree<Tensor>): string[] {
  return treeLeaves<Tensor>(tree).map(({ shape }) => shape.join());
}

/** The number of parameters. */
export function countOf(params: Tree<Tensor>): number {
  return treeLeaves<Tensor>(params).reduce((count, leaf) => count + host(leaf).data.length, 0);
}

/** Fresh variables whose biases and peepholes are not 0, so that a test sees them. */
export function variablesOf(layer: Layer, input: Tree<Tensor>, seed = 1): Variables {
  const params = mapTree(layer.initParams(key(seed), input), (leaf: Tensor, path) => {
    const name = path.join();
    return /bias|peepholes/.test(name)
      ? add(leaf, mul(random(seed + path.length, host(leaf).shape), 0.3))
      : leaf;
  });
  return { params, state: layer.initState(params, input) };
}

/** What a layer puts out. */
export function run(
  layer: Layer,
  variables: Variables,
  input: Tree<Tensor>,
  context: { readonly mask?: Tensor; readonly initialState?: Tree<Tensor> } = {},
): Tree<Tensor> {
  return layer.apply(variables, input, { training: false, ...context }).output;
}

/** The parts of an array of trees. */
export function parts(tree: Tree<Tensor>): readonly Tree<Tensor>[] {
  if (Array.isArray(tree)) return tree;
  throw new TypeError("expected an array of trees");
}

/** A tree that is a single tensor. */
export function single(tree: Tree<Tensor>): Tensor {
  const leaves = treeLeaves<Tensor>(tree);
  assertEquals(leaves.length, 1);
  return leaves[0];
}

/** Fails unless both trees have equal shapes and values that differ by at most `tolerance`; default: are equal. */
export function assertClose(actual: Tree<Tensor>, expected: Tree<Tensor>, tolerance = 0): void {
  assertEquals(shapesOf(actual), shapesOf(expected));
  const wanted = treeLeaves<Tensor>(expected).map(host);
  treeLeaves<Tensor>(actual).map(host).forEach(({ data }, leaf) => {
    data.forEach((value, i) => {
      const difference = Math.abs(value - wanted[leaf].data[i]);
      assert(difference <= tolerance, `leaf ${leaf}, element ${i}: ${value} is not ${wanted[leaf].data[i]}`);
    });
  });
}

/** A tree in float64. */
export function doubled<T>(tree: T): MappedTree<T, Tensor> {
  return mapTree(tree, (leaf: Tensor) => cast(leaf, "float64"));
}

/**
 * Fails unless the gradient of `fn` at `tree` in one random direction is the central difference along it. In float64
 * with a step of 1e-5 the difference errs by 1e-10 times a sixth of the third derivative (up to some thousand where
 * layer normalization divides by √epsilon) and by 1e-11 of rounding: 1e-6 is safe.
 */
export function assertGradient(fn: (tree: Tree<Tensor>) => Tensor, tree: Tree<Tensor>, seed = 3): void {
  const at = doubled(tree);
  const leaves = treeLeaves<Tensor>(at);
  const keys = splitKey(key(seed), leaves.length);
  let index = 0;
  const direction = mapTree(at, (leaf: Tensor) => cast(normal(keys[index++], leaf.shape), "float64"));
  const directions = treeLeaves<Tensor>(direction);
  const along = (step: number): number => {
    let next = 0;
    return host(fn(mapTree(at, (leaf: Tensor) => add(leaf, mul(directions[next++], step))))).data[0];
  };
  const [, gradient] = valueAndGrad(fn)(at);
  const slope = treeLeaves<Tensor>(gradient)
    .map((leaf, i) => host(sum(mul(leaf, directions[i]))).data[0])
    .reduce((a, b) => a + b);
  const step = 1e-5;
  const difference = (along(step) - along(-step)) / (2 * step);
  const allowed = 1e-6 * Math.max(1, Math.abs(difference));
  assert(Math.abs(slope - difference) <= allowed, `slope ${slope}, difference ${difference}, seed ${seed}`);
}
