/** The weights of a model as Keras has them: where each is among our variables, and its values. */
import type { Layer, Variables } from "../../src/layers/mod.ts";
import { isContainer } from "../../src/models/container.ts";
import { getWeights, sequential } from "../../src/models/mod.ts";
import { fixedDim } from "../../src/tensor/dims.ts";
import { host, type HostTensor, type Tensor } from "../../src/tensor/tensor.ts";
import { toHost } from "../../src/tree/to_host.ts";
import type { WeightGroup } from "./hdf5.ts";
import { type Layout, layoutOf, type WeightOwner } from "./layout.ts";

/** A model as Keras has it: a single layer is a sequential model of one. */
export function asModel(layer: Layer, variables: Variables): { model: Layer; variables: Variables } {
  if (isContainer(layer)) return { model: layer, variables };
  return {
    model: sequential([layer]),
    variables: { params: [variables.params], state: [variables.state] },
  };
}

/** The shape of a variable of a layer of the model. */
export function shapeAt(present: ReadonlyMap<string, Tensor>, path: string): number[] {
  const tensor = present.get(path);
  if (tensor) return tensor.shape.map((dim) => fixedDim(dim, "A weight"));
  throw new TypeError(
    `Cannot use these variables with the model: they have no ${path}, only ${[...present.keys()].join(", ")}`,
  );
}

/**
 * Throws for variables that Keras has no place for, which would be lost, except the carry of a stateful
 * layer.
 */
export function checkCovered({ owners }: Layout, variables: Variables): void {
  const places = new Set(
    owners.flatMap(({ rows, variables }) =>
      rows.map(({ name, part }) => [part, ...variables, name].join("."))
    ),
  );
  const lost = getWeights(variables).find(({ path }) =>
    !places.has(path) && !path.split(".").includes("carry")
  );
  if (lost === undefined) return;
  throw new TypeError(
    `Cannot use Keras files with the variable ${lost.path}: the layer that it belongs to has no such weight in Keras`,
  );
}

/** Reads the weights of an owner, in Keras's order. */
export type OwnWeights = (owner: WeightOwner) => HostTensor[];

/**
 * The layout of a model and what reads its weights.
 *
 * @throws TypeError for variables that Keras has no place for, or a weight that is not float32.
 */
export async function weightsOf(
  model: Layer,
  variables: Variables,
): Promise<{ readonly layout: Layout; readonly own: OwnWeights }> {
  const { params, state } = variables;
  const layout = layoutOf(model);
  checkCovered(layout, variables);
  const present = new Map(
    getWeights(await toHost({ params, state })).map(({ path, tensor }) => [path, tensor]),
  );
  const read = (path: string): HostTensor => {
    shapeAt(present, path);
    const tensor = host(present.get(path)!); // just looked up
    if (tensor.dtype === "float32") return tensor;
    throw new TypeError(
      `Cannot write the Keras file: the weight ${path} is ${tensor.dtype}, expected float32`,
    );
  };
  const own: OwnWeights = ({ rows, variables }) =>
    rows.map(({ name, part, unread }) => unread ?? read([part, ...variables, name].join(".")));
  return { layout, own };
}

/** The groups of an HDF5 file. */
export async function weightGroups(model: Layer, variables: Variables): Promise<WeightGroup[]> {
  const { layout, own } = await weightsOf(model, variables);
  return layout.owners.map((owner) => ({
    path: `${owner.path}/vars`,
    attributes: { name: owner.name },
    tensors: own(owner),
  }));
}
