/**
 * The loader of a model in a WebAssembly file: JavaScript of at most 3 KB without dependencies. It is the same for all
 * models of a kind, as it reads what it needs to know from the file's signature.
 */
import type { Signature } from "./signature.ts";

/** What both loaders begin with. */
const COMMON = `
const ARRAYS = { float32: Float32Array, int32: Int32Array, bool: Uint8Array };
const count = (shape) => shape.reduce((all, size) => all * size, 1);
const build = (places, valueOf) => {
  const root = [];
  places.forEach((place, index) => {
    let part = root, last = 0;
    for (const key of place.path) {
      part = part[last] ??= key.at ? {} : [];
      last = key;
    }
    part[last] = valueOf(index, place);
  });
  return root[0];
};
const collect = (given, place, all = []) => {
  if (typeof place === "number") all[place] = given;
  else for (const key in given) {
    if (key in place) collect(given[key], place[key], all);
    else if (Object(given[key]) === given[key]) throw new TypeError(\`Cannot take \${key}: no such input\`);
  }
  return all;
};
const open = async (source, kind) => {
  const module = source instanceof WebAssembly.Module ? source : await WebAssembly.compile(source);
  const [text] = WebAssembly.Module.customSections(module, "cellfold");
  const signature = JSON.parse(new TextDecoder().decode(text) || "{}");
  if (signature.kind !== kind) throw new TypeError(\`Cannot load a model: this file has none to \${kind}\`);
  return { ...signature, start: async () => (await WebAssembly.instantiate(module)).exports };
};
const view = (wasm, port, index, dtype, size) =>
  new (dtype === "float32" ? Float32Array : Int32Array)(wasm.memory.buffer, wasm[port](index) >>> 0, size);
`;

const PREDICT = `
export async function load(source) {
  const { sizes, inputs, outputs, start } = await open(source, "predict");
  const wasm = await start(), places = build(inputs, (index) => index);
  return (input, mask) => {
    const given = collect({ input, mask }, places), dims = Object.create(null);
    inputs.forEach(({ path, dtype, shape }, index) => {
      const { data, shape: found = [] } = given[index] ?? {};
      const isFit = (size, axis) => size === (shape[axis] >= 0 ? shape[axis] : dims[shape[axis]] ??= size | 0);
      const Type = ARRAYS[dtype], hasRank = found.length === shape.length;
      if (hasRank && found.every(isFit) && data instanceof Type && data.length === count(found)) return;
      const what = data ? \`\${data.constructor.name} of \${data.length}, shape [\${found}]\` : "no tensor";
      throw new TypeError(\`Cannot predict: \${path.join(".")} is \${what}, expected { data: \${Type.name}, shape: [\${shape}] }, \${JSON.stringify(dims)}\`);
    });
    if (!wasm.prepare(...sizes.map((name) => dims[name])))
      throw new RangeError(\`Cannot predict with \${JSON.stringify(dims)}: expected sizes from 1 that memory can hold\`);
    given.forEach(({ data }, index) => view(wasm, "input", index, inputs[index].dtype, data.length).set(data));
    wasm.run();
    return build(outputs, (index, { dtype, shape }) => {
      const sizes = shape.map((size) =>
        size.reduce?.((all, [factor, ...names]) => all + factor * count(names.map((name) => dims[name])), 0) ??
          dims[size] ?? size
      );
      return { dtype, shape: sizes, data: ARRAYS[dtype].from(view(wasm, "output", index, dtype, count(sizes))) };
    });
  };
}
`;

const STREAM = `
export async function load(source) {
  const { inputs, outputs, start } = await open(source, "stream");
  const places = build(inputs, (index) => index);
  const createStream = async () => {
    const wasm = await start();
    return {
      step(input, mask) {
        const arrays = collect({ input, mask }, places);
        inputs.forEach(({ path, dtype, shape }, index) => {
          const data = arrays[index];
          if (data instanceof ARRAYS[dtype] && data.length === count(shape)) return;
          throw new TypeError(
            \`Cannot step: \${path.join(".")} is \${
              data?.length === undefined ? typeof data : \`\${data.constructor.name} of \${data.length}\`
            }, expected \${ARRAYS[dtype].name} of \${count(shape)} with shape [\${shape.join(", ")}]\`,
          );
        });
        arrays.forEach((data, index) => view(wasm, "input", index, inputs[index].dtype, data.length).set(data));
        wasm.step();
        return build(outputs, (index, { dtype, shape }) =>
          ARRAYS[dtype].from(view(wasm, "output", index, dtype, count(shape)))
        );
      },
      reset: () => wasm.reset(),
      createStream,
    };
  };
  return await createStream();
}
`;

/** The loader for models of this kind, an ES module. */
export function loaderFor({ kind }: Pick<Signature, "kind">): string {
  const text = COMMON + (kind === "stream" ? STREAM : PREDICT);
  return "// Loads a model from Cellfold.\n" + withTabs(text);
}

/** Indented by tabs, which takes a sixth of the bytes less. */
function withTabs(text: string): string {
  return text.replaceAll(/^ +/gm, (spaces) => "\t".repeat(spaces.length / 2));
}
