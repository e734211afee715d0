/** Trees of tensors. */
export {
  checkSameStructure,
  flattenTree,
  type MappedTree,
  mapTree,
  type Path,
  printPath,
  type Structure,
  type Tree,
  treeLeaves,
  unflattenTree,
  zipTrees,
} from "./tree.ts";
export { toHost } from "./to_host.ts";
