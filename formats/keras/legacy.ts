/**
 * Weights in the old layout, that of whole-model HDF5 files and of `save_weights("….h5")`: a group for each
 * layer of the model, named in the attribute `layer_names`, with the paths of its weights in `weight_names`,
 * trained ones first. They are presented as the reader of the present layout wants them.
 */
import { type Layer, layerName } from "../../src/layers/mod.ts";
import { quoted } from "../../src/quoted.ts";
import { KerasFileError } from "./errors.ts";
import { type CudnnSizes, cudnnSizes, plainBias, plainBiasShape, plainKernel } from "./cudnn.ts";
import type { WeightFile } from "./hdf5.ts";
import { layoutAt, type Orders, type WeightOwner } from "./layout.ts";
import { withoutSlash } from "./names.ts";

/** Weights without a layout of their own: of each layer a list. */
export interface LayerWeights {
  /** The layer's name in the file. */
  readonly name: string;
  /** Its weights: where they are in the file, in the order in which they are stored. */
  readonly weights: readonly string[];
}

/** Weights that get their place in the present layout as the layers become known. */
export interface PlacedWeights {
  /** The file in the present layout. */
  readonly file: WeightFile;
  /**
   * Places the weights of the next layer of the outermost model: those under its name, or else the next ones
   * in the file.
   */
  place(layer: Layer, path: string, orders: Orders): void;
  /** Whether the layer that this path leads into has been placed. */
  isPlaced(path: string): boolean;
  /** Throws if the file has weights for more layers. */
  finish(): void;
}

/** Weights in the present layout, which need no places. */
export function inPlace(file: WeightFile): PlacedWeights {
  return { file, place: () => {}, isPlaced: () => true, finish: () => {} };
}

/** The most weights or layers that a file may name. */
const MOST_NAMES = 100_000;

/** An attribute that is a list, which Keras cuts into `name0`, `name1` and so on if it is long. */
function listOf(file: WeightFile, path: string, attribute: string): readonly string[] {
  const whole = file.texts(path, attribute);
  if (whole !== undefined) return whole;
  const parts: string[] = [];
  for (let index = 0; parts.length <= MOST_NAMES; index++) {
    const part = file.texts(path, `${attribute}${index}`);
    if (part === undefined) {
      if (index > 0) return parts;
      throw new KerasFileError(path || "the file", `it has no attribute ${attribute}`);
    }
    parts.push(...part);
  }
  throw new KerasFileError(path, `its ${attribute} are more than ${MOST_NAMES}, which is not read`);
}

/** Whether the group is one of layers in the old layout. */
export function isLegacyGroup(file: WeightFile, path: string): boolean {
  return (file.texts(path, "layer_names") ?? file.texts(path, "layer_names0")) !== undefined;
}

/** The weights in a group in the old layout. */
export function legacyWeights(file: WeightFile, root: string): PlacedWeights {
  return placedWeights(legacyLayers(file, root), root || "the weights", file);
}

function legacyLayers(file: WeightFile, root: string): readonly LayerWeights[] {
  const below = (path: string, name: string) => path === "" ? name : `${path}/${name}`;
  return listOf(file, root, "layer_names").map((name) => {
    const group = below(root, name);
    if (file.names(group) === undefined) {
      throw new KerasFileError(group, "the layer is named among layer_names, and its group is not there");
    }
    return { name, weights: listOf(file, group, "weight_names").map((weight) => below(group, weight)) };
  }).filter(({ weights }) => weights.length > 0);
}

/** A weight of a layer, and its place in the present layout. */
interface Row {
  readonly name: string;
  readonly place: string;
  readonly trained: boolean;
}

function rowsOf({ path, rows, trainable }: WeightOwner): Row[] {
  return rows.map(({ name, part }, index) => ({
    name,
    place: `${path}/vars/${index}`,
    trained: trainable && part === "params",
  }));
}

/** The layers by their names here. */
function byName(layers: readonly LayerWeights[], root: string): Map<string, LayerWeights> {
  const named = new Map<string, LayerWeights>();
  for (const layer of layers) {
    const name = withoutSlash(layer.name);
    const other = named.get(name)?.name ?? layer.name;
    if (other !== layer.name) {
      throw new KerasFileError(
        root,
        `the layers ${quoted(other)} and ${
          quoted(layer.name)
        } have one name here, as "/" becomes "_"; rename one of them`,
      );
    }
    named.set(name, layer);
  }
  return named;
}

/**
 * Weights by layer as a file in the present layout.
 *
 * @param root What errors call the place of all weights.
 * @param stored Where the weights themselves are read.
 */
export function placedWeights(
  layers: readonly LayerWeights[],
  root: string,
  stored: Pick<WeightFile, "shape" | "tensor" | "placeOf">,
): PlacedWeights {
  const free = byName(layers, root);
  /** The names in each group, and what is stored at each place. */
  const groups = new Map<string, Set<string>>();
  const places = new Map<string, string>();
  /** Where weights in cuDNN's layout are, of which the bias has another shape. */
  const cudnn = new Map<string, CudnnSizes & { readonly isBias: boolean }>();
  const placed = new Set<string>();
  const put = (place: string, at: string) => {
    places.set(place, at);
    const parts = place.split("/");
    parts.forEach((part, index) => {
      const group = parts.slice(0, index).join("/");
      const names = groups.get(group) ?? new Set();
      groups.set(group, names.add(part));
    });
  };
  return {
    file: {
      names: (path) => groups.has(path) ? [...groups.get(path) ?? []] : undefined,
      shape: (path) => {
        const sizes = cudnn.get(path);
        if (sizes?.isBias) return plainBiasShape(sizes);
        return places.has(path) ? stored.shape(places.get(path) ?? "") : undefined;
      },
      tensor: (path, shape) => {
        const at = places.get(path);
        if (at === undefined) throw new KerasFileError(root, `it has nothing for ${path}`);
        const sizes = cudnn.get(path);
        if (sizes === undefined) return stored.tensor(at, shape);
        if (!sizes.isBias) return plainKernel(stored.tensor(at, shape), sizes);
        const isPlain = String(plainBiasShape(sizes)) === String(shape);
        return plainBias(stored.tensor(at, isPlain ? [2 * sizes.gates * sizes.units] : shape), sizes);
      },
      texts: () => undefined,
      placeOf: (path) => {
        const at = places.get(path);
        return at === undefined ? path : stored.placeOf(at);
      },
    },
    isPlaced: (path) => path === "" || placed.has(path.split("/").slice(0, 2).join("/")),
    place: (layer, path, orders) => {
      placed.add(path);
      const all = layoutAt(layer, path, layer.name ?? layer.type, orders).owners.flatMap(rowsOf);
      const rows = [...all.filter(({ trained }) => trained), ...all.filter(({ trained }) => !trained)];
      if (rows.length === 0) return;
      const [next] = free.values();
      const found = (layer.name === undefined ? undefined : free.get(layer.name)) ?? next;
      if (found === undefined) {
        throw new KerasFileError(root, `it has no weights for the layer ${layerName(layer)}`);
      }
      free.delete(withoutSlash(found.name));
      if (found.weights.length !== rows.length) {
        throw new KerasFileError(
          `${root}/${found.name}`,
          `it has ${found.weights.length} weights, expected ${rows.length}: ` +
            rows.map(({ name }) => name).join(", "),
        );
      }
      rows.forEach(({ place }, index) => put(place, found.weights[index]));
      rows.forEach(({ name }, index) => {
        if (name !== "recurrentKernel" || rows[index + 1]?.name !== "bias") return;
        const [recurrentKernel, bias] = found.weights.slice(index, index + 2).map(stored.shape);
        const sizes = cudnnSizes(recurrentKernel, bias);
        if (sizes === undefined) return;
        rows.slice(index - 1, index + 2).forEach(({ place, name }) => {
          cudnn.set(place, { ...sizes, isBias: name === "bias" });
        });
      });
    },
    finish: () => {
      const [surplus] = free.keys();
      if (surplus === undefined) return;
      throw new KerasFileError(
        `${root}/${surplus}`,
        "the model has no layer for these weights; they are placed by name, or else by order",
      );
    },
  };
}
