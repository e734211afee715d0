/** Matches the weights of a file to our variables. */
import { quoted } from "../../src/quoted.ts";
import { KerasFileError } from "./errors.ts";
import type { WeightFile } from "./hdf5.ts";
import type { Layout } from "./layout.ts";

/**
 * The paths in the file by those of our variables (`params.0.kernel`).
 *
 * @throws KerasFileError if the file has layers or weights that the model does not have, or lacks some.
 */
export function storedWeights({ owners, containers }: Layout, file: WeightFile): ReadonlyMap<string, string> {
  for (const { path, names } of containers) {
    for (const surplus of file.names(path) ?? []) {
      if (names.includes(surplus) || isWithoutWeights(file, `${path}/${surplus}`)) continue;
      throw new KerasFileError(
        `${path}/${surplus}`,
        `the model has no such layer, only ${quoted(names)}; weights are stored by class and order`,
      );
    }
  }
  const stored = new Map<string, string>();
  for (const { path, rows, variables } of owners) {
    const found = file.names(`${path}/vars`) ?? [];
    if (found.length > rows.length || (rows.length > 0 && found.length < rows.length)) {
      throw new KerasFileError(
        `${path}/vars`,
        `it has ${found.length} weights, expected ${rows.length}: ${rows.map(({ name }) => name).join(", ")}`,
      );
    }
    rows.forEach(({ name, part, unread }, index) => {
      if (unread) return;
      stored.set([part, ...variables, name].join("."), `${path}/vars/${index}`);
    });
  }
  return stored;
}

/** Whether a layer's group holds only the empty list of its weights, like those of inputs and activations. */
function isWithoutWeights(file: WeightFile, path: string): boolean {
  return (file.names(path) ?? []).every((name) =>
    name === "vars" && file.names(`${path}/vars`)?.length === 0
  );
}
