/**
 * The structure of a tree as JSON, with the names of its tensors as leaves: with it in the metadata, a file
 * gives back the whole tree, empty parts included.
 */
import type { HostTensor } from "../../tensor/tensor.ts";
import { quoted } from "../../quoted.ts";
import type { Json } from "../../options/json.ts";
import { flattenTree, type Tree, unflattenTree } from "../../tree/tree.ts";
import { namedTensors } from "./names.ts";

/** The metadata that makes a file a checkpoint. */
export const CHECKPOINT = { format: "cellfold", version: "1" };

/** How deep the JSON of a file may be nested: layers within layers, trees within trees. */
const DEPTH_LIMIT = 256;

/** The error for an invalid checkpoint. */
export function malformedCheckpoint(problem: string, cause?: unknown): SyntaxError {
  return new SyntaxError(`Cannot read the checkpoint: ${problem}`, { cause });
}

/** The structure of a tree with the names of its leaves. */
export function structureOf(tree: unknown): Tree<string> {
  const names = namedTensors(tree).map(({ name }) => name);
  return unflattenTree(flattenTree(tree).structure, names);
}

/** The value of a JSON text that is neither nested too deeply to be walked nor too large. */
export function parseJson(text: string | undefined, what: string, limit = Infinity): Json {
  if (text === undefined) {
    throw malformedCheckpoint(
      `its metadata have no ${what}; a file of tensors alone is read by decodeSafetensors`,
    );
  }
  let value: Json;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw malformedCheckpoint(`its ${what} is no JSON`, error);
  }
  let level: Json[] = [value];
  let count = 0;
  for (let depth = 0; level.length > 0; depth++) {
    count += level.length;
    if (count > limit) throw malformedCheckpoint(`its ${what} has more than ${limit} values`);
    if (depth > DEPTH_LIMIT) throw malformedCheckpoint(`its ${what} is nested more than ${DEPTH_LIMIT} deep`);
    level = level.flatMap((item) => typeof item === "object" && item !== null ? Object.values(item) : []);
  }
  return value;
}

/** The tree of a structure written by `structureOf`, with the tensors that it names. */
export function treeOf(structure: Json, tensors: Map<string, HostTensor>): Tree<HostTensor> {
  if (typeof structure === "string") {
    const tensor = tensors.get(structure);
    if (tensor === undefined) {
      throw malformedCheckpoint(
        `its structure names the tensor ${quoted(structure)}, which is not there or was named before`,
      );
    }
    tensors.delete(structure);
    return tensor;
  }
  if (Array.isArray(structure)) return structure.map((item) => treeOf(item, tensors));
  if (typeof structure === "object" && structure !== null) {
    const entries = Object.entries(structure);
    // With both keys it would be mistaken for a tensor.
    if (entries.some(([key]) => key === "dtype") && entries.some(([key]) => key === "shape")) {
      throw malformedCheckpoint("its structure has an object with the keys dtype and shape");
    }
    return Object.fromEntries(entries.map(([key, item]) => [key, treeOf(item, tensors)]));
  }
  throw malformedCheckpoint(`its structure has ${quoted(structure)} where a tensor's name is expected`);
}
