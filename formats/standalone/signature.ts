/** The signature of a model in a file of its own: the names of its open sizes, and what it takes and gives. */
import type { Dim } from "../../src/tensor/dims.ts";
import { quotientOf } from "../../src/tensor/quotients.ts";
import type { DType } from "../../src/tensor/tensor.ts";
import type { Path } from "../../src/tree/tree.ts";
import type { ModelProgram, Port } from "./programs.ts";

/** A size: a number, the name of an open size, or a sum of products `[factor, ...names]`. */
export type Size = number | string | readonly (readonly [factor: number, ...names: string[]])[];

/** A tensor that a call takes or gives. */
export interface SignatureTensor {
  /**
   * Where it is in the tree, keys of objects and indices of arrays. For one that is taken, what comes first is the
   * argument, `input` or `mask`.
   */
  readonly path: Path;
  readonly dtype: DType;
  readonly shape: readonly Size[];
}

/** What a loader needs to know. */
export interface Signature {
  readonly name: string;
  readonly kind: "predict" | "stream";
  /** The names of the open sizes, in the order of the arguments of `prepare`. */
  readonly sizes: readonly string[];
  /** What a call takes, masks last. */
  readonly inputs: readonly SignatureTensor[];
  readonly outputs: readonly SignatureTensor[];
}

/** The signature of a model's Program. */
export function signatureOf(
  name: string,
  { sizes, names, isStep, inputs, outputs }: ModelProgram,
): Signature {
  const nameOf = (size: string) => {
    if (!quotientOf(size)) return names[sizes.indexOf(size)];
    throw new RangeError(
      `Cannot export to a file of its own: an output has the open size ${size}, expected sums and products of the ` +
        "sizes of inputs; give a spec with a fixed size, or use strides of 1",
    );
  };
  const sizeOf = (dim: Dim): Size => {
    if (typeof dim === "number") return dim;
    const terms = Object.entries(dim.terms).map(([monomial, factor]) =>
      [factor, ...monomial.split("*").filter((part) => part !== "").map(nameOf)] as const
    );
    const [[factor, first, ...more]] = terms;
    return terms.length === 1 && factor === 1 && first !== undefined && more.length === 0 ? first : terms;
  };
  const tensorOf = ({ path, spec: { dtype, shape } }: Port): SignatureTensor => ({
    path,
    dtype,
    shape: shape.map(sizeOf),
  });
  return {
    name,
    kind: isStep ? "stream" : "predict",
    sizes: names,
    inputs: inputs.map(tensorOf),
    outputs: outputs.map(tensorOf),
  };
}

/** A tensor's dtype and shape as text: `float32[batch, time, 3]`. */
export function printTensor({ dtype, shape }: SignatureTensor): string {
  return `${dtype}[${shape.map(printSize).join(", ")}]`;
}

function printSize(size: Size): string {
  if (typeof size !== "object") return String(size);
  return size.map(([factor, ...names]) =>
    [...factor === 1 && names.length > 0 ? [] : [factor], ...names].join("*")
  )
    .join(" + ");
}
