/** The specs of a model's input, as the command is told, as the file says or as the weights make certain; and of masks. */
import { remedy } from "../../src/known_names.ts";
import type { Layer, Variables } from "../../src/layers/layer.ts";
import { paramSpecs } from "../../src/models/call_specs.ts";
import { outputSpecs } from "../../src/program/functions.ts";
import { quoted } from "../../src/quoted.ts";
import { type DType, isLeaf, printSpec, type Spec, spec, type Tensor } from "../../src/tensor/tensor.ts";
import { flattenTree, printStructure, type Tree } from "../../src/tree/tree.ts";

const DTYPES: readonly DType[] = ["float32", "int32", "bool"];

/** The option that a spec is given by, the dtype where it says none, and what it may look like. */
const INPUT = { option: "--input", usual: "float32", examples: "batch,time,28 or batch,time:int32" } as const;
const MASK = { option: "--mask", usual: "bool", examples: "batch,time or batch,sentences,words" } as const;

/**
 * A spec from its text: sizes with commas between, open ones by a name, and a dtype behind a colon, such as
 * `batch,time,28` or `batch,time:int32`.
 */
export function parseSpec(
  text: string,
  { option, usual, examples }: typeof INPUT | typeof MASK = INPUT,
): Spec {
  const [sizes, dtype = usual, ...more] = text.split(":");
  const dims = sizes.split(",").map((size) => size.trim());
  const known = DTYPES.find((name) => name === dtype);
  if (more.length > 0 || !dims.every((size) => /^([1-9]\d*|[A-Za-z_]\w*)$/.test(size))) {
    throw new SyntaxError(
      `Cannot export: ${option} is ${
        quoted(text)
      }, expected sizes and names of open ones, such as ${examples}`,
    );
  }
  if (!known) {
    throw new SyntaxError(
      `Cannot export: the dtype of ${option} is ${quoted(dtype)}; ${remedy(dtype, DTYPES)}`,
    );
  }
  return spec(dims.map((size) => /^\d/.test(size) ? Number(size) : size), known);
}

/**
 * The specs of masks from their texts: one such as `batch,time` for all that has these axes, or where the model takes
 * several tensors, one for each that has a mask, such as `source=batch,time`.
 */
export function parseMasks(texts: readonly string[], input: Tree<Spec>): Tree<Spec> {
  if (texts.length === 1 && !texts[0].includes("=")) return parseSpec(texts[0], MASK);
  const names = isLeaf(input) ? [] : Object.keys(input);
  const masks = new Map<string, Spec>();
  for (const text of texts) {
    const [name, sizes = ""] = text.split(/=(.*)/s);
    if (!names.includes(name) || masks.has(name)) {
      const expected = ["batch,time", ...names.map((each) => `${each}=batch,time`)];
      throw new SyntaxError(
        `Cannot export: --mask is ${texts.map((each) => quoted(each)).join(" and ")}, expected ${
          names.length === 0 ? "one" : "one for all inputs, or one for each of some"
        }; give it as in ${expected.map((each) => `--mask ${each}`).join(" or ")}`,
      );
    }
    masks.set(name, parseSpec(sizes, MASK));
  }
  return Object.fromEntries(masks);
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
