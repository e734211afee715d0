/** The outputs of batches as one output. */
import { sameShape } from "../tensor/dims.ts";
import {
  allocateValues,
  type HostTensor,
  hostTensor,
  isTensor,
  printSpec,
  type Tensor,
} from "../tensor/tensor.ts";
import { flattenTree, printPath, type Structure, type Tree, unflattenTree } from "../tree/tree.ts";

/** The outputs of all batches, one after the other. */
export class Rows {
  #filled = 0;
  readonly #structure: Structure;
  readonly #leaves: HostTensor[];

  /** Room for `samples` rows of outputs like `first`; it grows when it is full. */
  constructor(first: Tree<Tensor>, samples: number) {
    const { leaves, structure } = flattenTree<HostTensor>(first);
    this.#structure = structure;
    this.#leaves = leaves.map((leaf) => roomFor(leaf, samples));
  }

  add(output: Tree<Tensor>, rows: number): void {
    const { leaves, paths } = flattenTree<HostTensor>(output);
    leaves.forEach((leaf, index) => {
      const { shape } = this.#leaves[index];
      const path = () => printPath(paths[index], "output");
      if (!isTensor(leaf) || leaf.shape[0] !== rows) {
        throw new TypeError(
          `Cannot join the outputs of batches: ${path()} is ${
            printSpec(leaf)
          } for ${rows} samples, expected them ` +
            `as its first axis`,
        );
      }
      if (!sameShape(shape.slice(1), leaf.shape.slice(1))) {
        throw new TypeError(
          `Cannot join the outputs of batches: ${path()} is ${
            printSpec(leaf)
          }, expected the sizes of the batches ` +
            `before it, [rows${
              shape.slice(1).map((size) => `, ${size}`).join("")
            }]; predict each batch by itself`,
        );
      }
      const row = leaf.data.length / rows;
      if (this.#filled + rows > shape[0]) {
        const whole = roomFor(leaf, Math.max(2 * shape[0], this.#filled + rows));
        whole.data.set(this.#leaves[index].data.subarray(0, this.#filled * row));
        this.#leaves[index] = whole;
      }
      this.#leaves[index].data.set(leaf.data, this.#filled * row);
    });
    this.#filled += rows;
  }

  tree(): unknown {
    const filled = this.#leaves.map((leaf) => {
      const { data, shape, dtype } = leaf;
      if (shape[0] === this.#filled) return leaf;
      const row = data.length / shape[0];
      return hostTensor(data.slice(0, this.#filled * row), [this.#filled, ...shape.slice(1)], dtype);
    });
    return unflattenTree(this.#structure, filled);
  }
}

/** An empty tensor with so many rows like those of another. */
function roomFor({ shape, dtype }: HostTensor, rows: number): HostTensor {
  const whole = [rows, ...shape.slice(1)];
  return hostTensor(allocateValues(dtype, whole.reduce((size, dim) => size * dim, 1)), whole, dtype);
}
