/** The specs of a model's input: as the command is told, as the file says, or as the weights make certain. */
import { remedy } from "../../src/known_names.ts";
import type { Layer, Variables } from "../../src/layers/layer.ts";
import { paramSpecs } from "../../src/models/call_specs.ts";
import { outputSpecs } from "../../src/program/functions.ts";
import { quoted } from "../../src/quoted.ts";
import { type DType, printSpec, type Spec, spec, type Tensor } from "../../src/tensor/tensor.ts";
import { flattenTree, printStructure, type Tree } from "../../src/tree/tree.ts";

const DTYPES: readonly DType[] = ["float32", "int32", "bool"];

/**
 * A spec from its text: sizes with commas between, open ones by a name, and a dtype behind a colon, such as
 * `batch,time,28` or `batch,time:int32`.
 */
export function parseSpec(text: string): Spec {
  const [sizes, dtype = "float32", ...more] = text.split(":");
  const dims = sizes.split(",").map((size) => size.trim());
  const known = DTYPES.find((name) => name === dtype);
  if (more.length > 0 || !dims.every((size) => /^([1-9]\d*|[A-Za-z_]\w*)$/.test(size))) {
    throw new SyntaxError(
      `Cannot export: --input is ${
        quoted(text)
      }, expected sizes and names of open ones, such as batch,time,28 or ` +
        "batch,time:int32",
    );
  }
  if (!known) {
    throw new SyntaxError(
      `Cannot export: the dtype of --input is ${quoted(dtype)}; ${remedy(dtype, DTYPES)}`,
    );
  }
  return spec(dims.map((size) => /^\d/.test(size) ? Number(size) : size), known);
}

/** The one spec for which a model has such weights and computes. */
export function findInput(model: Layer, variables: Variables): Spec {
  const wanted = keyOf(variables.params);
  const fits = candidates(variables).filter((input) => {
    try {
      if (keyOf(paramSpecs(model, input)) !== wanted) return false;
      outputSpecs(
        (given: Variables, x: Tree<Tensor>) => model.apply(given, x, { training: false }).output,
        variables,
        input,
      );
      return true;
    } catch {
      return false; // one of many
    }
  });
  if (fits.length === 1) return fits[0];
  const found = fits.length === 0
    ? "no usual input fits its weights"
    : `it may be ${fits.map(printSpec).join(" or ")}`;
  throw new SyntaxError(
    `Cannot export: the file does not say what the model's input is, and ${found}; give it, as in ` +
      "--input batch,time,28 or --input batch,time:int32",
  );
}

/** Tokens, vectors and sequences of vectors, of each size that a weight has. */
function candidates({ params }: Variables): Spec[] {
  const sizes = new Set(
    flattenTree<Spec>(params).leaves.flatMap(({ shape: [size] }) => size === undefined ? [] : [size]),
  );
  return [
    spec([null, null], "int32"),
    ...[...sizes].flatMap((size) => [spec([null, null, size]), spec([null, size])]),
  ];
}

function keyOf(tree: Tree<Tensor>): string {
  const { leaves, structure } = flattenTree<Spec>(tree);
  return printStructure(structure) + leaves.map(printSpec).join();
}
