/** HDF5 files of whole models, made or changed for tests. */
import { loadHdf5 } from "../../../formats/keras/library.ts";
import type { File, Group } from "h5wasm";

/** Makes an HDF5 file, or changes a copy of `bytes`. */
export async function h5File(make: (file: File) => void, bytes?: Uint8Array): Promise<Uint8Array> {
  const { File, Module: { FS } } = await loadHdf5();
  const path = "/made.h5";
  if (bytes) FS.writeFile(path, bytes);
  const file = new File(path, bytes ? "a" : "w");
  make(file);
  file.close();
  const made = Uint8Array.from(FS.readFile(path));
  FS.unlink(path);
  return made;
}

/** A file with another configuration. */
export function withConfig(bytes: Uint8Array, text: string): Promise<Uint8Array> {
  return h5File((file) => {
    file.delete_attribute("model_config");
    file.create_attribute("model_config", text);
  }, bytes);
}

/** A weight for a test: its path below the layer's group, and its shape. */
type Weights = Readonly<Record<string, readonly number[]>>;

/** What is stored in a whole-model file; each weight is filled with its own numbers. */
export interface LegacyModel {
  readonly config: unknown;
  readonly version?: string;
  readonly layers: Readonly<Record<string, Weights>>;
  /** Changes the group of the weights at the end. */
  readonly change?: (weights: Group) => void;
}

/** The group at a path below another, made if it is not there. */
function groupAt(group: Group, parts: readonly string[]): Group {
  return parts.reduce((above, part) => {
    const found = above.keys().includes(part) ? above.get(part) : above.create_group(part);
    return found as Group; // made by this file
  }, group);
}

/** A whole-model file. */
export function legacyFile({ config, version = "2.4.0", layers, change }: LegacyModel): Promise<Uint8Array> {
  return h5File((file) => {
    file.create_attribute("model_config", JSON.stringify(config));
    file.create_attribute("keras_version", version);
    const weights = file.create_group("model_weights");
    weights.create_attribute("layer_names", Object.keys(layers));
    for (const [name, own] of Object.entries(layers)) {
      const group = groupAt(weights, name.split("/"));
      group.create_attribute("weight_names", Object.keys(own));
      for (const [path, shape] of Object.entries(own)) {
        const size = shape.reduce((product, dim) => product * dim, 1);
        const data = Float32Array.from({ length: size }, (_, index) => Math.sin(index + path.length));
        const parts = path.split("/");
        const name = parts.pop() ?? "";
        groupAt(group, parts).create_dataset({ name, data, shape: [...shape] });
      }
    }
    change?.(weights);
  });
}
