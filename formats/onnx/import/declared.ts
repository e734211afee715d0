/** Shapes of inputs that are given where a model is read, instead of those that its file declares. */
import { checkCount, isObject, wrongKind } from "../../../src/describe.ts";
import { isTensor } from "../../../src/tensor/tensor.ts";
import { noSuch } from "./axes.ts";
import { type OnnxInput, openDim } from "./inputs.ts";

/** Shapes by the name of the input; null is an open size. */
export type OnnxShapes = { readonly [input: string]: readonly (number | null)[] };

/**
 * The inputs with the shapes of the option `shapes`. A size that is open in both keeps the name that it has in the file.
 *
 * @throws RangeError for a name that is no input, or a size that is none; TypeError for what is no shape, or has another
 *   number of axes than the file's.
 */
export function withShapes(shapes: unknown, inputs: readonly OnnxInput[]): readonly OnnxInput[] {
  if (shapes === undefined) return inputs;
  if (!isObject(shapes) || isTensor(shapes)) {
    throw wrongKind("use fromOnnx", shapes, "shapes", "an object of shapes by the names of inputs");
  }
  const given = new Map<string, unknown>(Object.entries(shapes));
  const names = inputs.map(({ name }) => name);
  for (const name of given.keys()) if (!names.includes(name)) throw noSuch(name, names, "shapes");
  return inputs.map((input) => given.has(input.name) ? withShape(input, given.get(input.name)) : input);
}

function withShape(input: OnnxInput, given: unknown): OnnxInput {
  const { name, shape } = input;
  const rank = shape?.length;
  if (!Array.isArray(given) || (rank !== undefined && given.length !== rank)) {
    const sizes = rank === undefined ? "sizes" : `${rank} sizes`;
    throw wrongKind("use fromOnnx", given, `shapes.${name}`, `a list of ${sizes}, null for one that is open`);
  }
  return {
    ...input,
    shape: given.map((size: unknown, axis) => {
      if (size !== null) {
        checkCount("use fromOnnx", size, `shapes.${name}[${axis}]`, 0);
        return size as number; // as just checked
      }
      const declared = shape?.[axis];
      return typeof declared === "object" ? declared : openDim(name, axis);
    }),
  };
}
