/**
 * The loader of a model in a WebAssembly file: JavaScript of at most 3 KB without dependencies. It is the same for all
 * models of a kind, as it reads what it needs to know from the file's signature.
 */
import type { Signature } from "./signature.ts";

/** What both loaders begin with. */
const COMMON = `
const ARRAYS = { float32: Float32Array, int32: Int32Array, bool: Uint8Array };
const count = (shape) => shape.reduce((product, size) => product * size, 1);
const at = (tree, path) => path.reduce((part, key) => part?.[key], tree);
const build = (places, values) => {
  const root = [];
  places.forEach(({ path }, index) => {
    let part = root, last = 0;
    for (const key of path) {
      part = part[last] ??= typeof key === "number" ? [] : {};
      last = key;
    }
    part[last] = values[index];
  });
  return root[0];
};
const open = async (source, kind) => {
  const module = source instanceof WebAssembly.Module ? source : await WebAssembly.compile(source);
  const [text] = WebAssembly.Module.customSections(module, "cellfold");
  const signature = text && JSON.parse(new TextDecoder().decode(text));
  if (signature?.kind !== kind) throw new TypeError(\`Cannot load a model: this file has none to \${kind}\`);
  return { signature, start: async () => (await WebAssembly.instantiate(module)).exports };
};
const view = (exports, port, index, dtype, size) =>
  new (dtype === "float32" ? Float32Array : Int32Array)(exports.memory.buffer, exports[port](index) >>> 0, size);
`;

const PREDICT = `
/** Takes the bytes of the file, or a compiled module. */
export async function load(source) {
  const { signature: { sizes, inputs, outputs }, start } = await open(source, "predict");
  const exports = await start();
  return (input, mask) => {
    const known = Object.create(null);
    const given = inputs.map(({ path, dtype, shape }) => {
      const { data, shape: found = [] } = at({ input, mask }, path) ?? {};
      const fits = data instanceof ARRAYS[dtype] && found.length === shape.length &&
        found.every((size, axis) =>
          size === (typeof shape[axis] === "number" ? shape[axis] : known[shape[axis]] ??= size) && Number.isInteger(size)
        ) && data.length === count(found);
      if (fits) return data;
      throw new TypeError(
        \`Cannot predict: \${path.join(".")} is \${
          data ? \`\${data.constructor.name} of \${data.length}, shape [\${found}]\` : "no tensor"
        }, expected { data: \${ARRAYS[dtype].name}, shape: [\${shape.join(", ")}] }\${
          sizes.map((name) => name in known ? \`, \${name} = \${known[name]}\` : "").join("")
        }\`,
      );
    });
    if (!exports.prepare(...sizes.map((name) => known[name]))) {
      throw new RangeError(
        \`Cannot predict with \${JSON.stringify(known)}: expected sizes from 1 that memory can hold\`,
      );
    }
    given.forEach((data, index) => view(exports, "input", index, inputs[index].dtype, data.length).set(data));
    exports.run();
    return build(outputs, outputs.map(({ dtype, shape }, index) => {
      const sizes = shape.map((size) =>
        typeof size === "object"
          ? size.reduce((sum, [factor, ...names]) => sum + factor * count(names.map((name) => known[name])), 0)
          : known[size] ?? size
      );
      const data = ARRAYS[dtype].from(view(exports, "output", index, dtype, count(sizes)));
      return { dtype, shape: sizes, data };
    }));
  };
}
`;

const STREAM = `
/** Takes the bytes of the file, or a compiled module; the stream is at its first step. */
export async function load(source) {
  const { signature: { inputs, outputs }, start } = await open(source, "stream");
  const createStream = async () => {
    const exports = await start();
    return {
      step(input) {
        const given = inputs.map(({ path, dtype, shape }) => {
          const data = at({ input }, path);
          if (data instanceof ARRAYS[dtype] && data.length === count(shape)) return data;
          throw new TypeError(
            \`Cannot step: \${path.join(".")} is \${
              data?.length === undefined ? typeof data : \`\${data.constructor.name} of \${data.length}\`
            }, expected \${ARRAYS[dtype].name} of \${count(shape)} with shape [\${shape.join(", ")}]\`,
          );
        });
        given.forEach((data, index) => view(exports, "input", index, inputs[index].dtype, data.length).set(data));
        exports.step();
        return build(outputs, outputs.map(({ dtype, shape }, index) =>
          ARRAYS[dtype].from(view(exports, "output", index, dtype, count(shape)))
        ));
      },
      reset: () => exports.reset(),
      createStream,
    };
  };
  return await createStream();
}
`;

/** The loader for models of this kind, an ES module. */
export function loaderFor({ kind }: Pick<Signature, "kind">): string {
  const text = COMMON + (kind === "stream" ? STREAM : PREDICT);
  return "// Loads a model by Cellfold's toWasm.\n" + withTabs(text);
}

/** Indented by tabs, which takes a sixth of the bytes less. */
function withTabs(text: string): string {
  return text.replaceAll(/^ +/gm, (spaces) => "\t".repeat(spaces.length / 2));
}
