/** The types of a loader, for one model: what its functions take and give. */
import type { DType } from "../../src/tensor/tensor.ts";
import type { Path } from "../../src/tree/tree.ts";
import { printTensor, type Signature, type SignatureTensor } from "./signature.ts";

const ARRAYS: Readonly<Partial<Record<DType, string>>> = {
  float32: "Float32Array",
  int32: "Int32Array",
  bool: "Uint8Array",
};

/** A tensor, and the rest of its path. */
interface Entry {
  readonly rest: Path;
  readonly tensor: SignatureTensor;
}

/** The declarations that belong to the loader. */
export function typesOf({ kind, name, inputs, outputs }: Signature): string {
  const isStream = kind === "stream";
  const typeOf = (tensor: SignatureTensor) => {
    const array = ARRAYS[tensor.dtype] ?? "never"; // float64 is refused
    return `/* ${printTensor(tensor)} */ ${isStream ? array : `Tensor<${array}>`}`;
  };
  const ofInput = argumentOf(inputs, "input"), ofMask = argumentOf(inputs, "mask");
  const takesMask = ofMask.length > 0;
  const masked = takesMask
    ? `/** Which steps of the input count: 1 for those that do, 0 for the others. */
export type Mask = ${treeType(ofMask, typeOf)};

`
    : "";
  const trees = `/** What ${isStream ? "a step" : "the model"} takes. */
export type Input = ${treeType(ofInput, typeOf)};

${masked}/** What ${isStream ? "a step" : "the model"} gives. */
export type Output = ${treeType(entriesOf(outputs), typeOf)};
`;
  return `// Types of the model ${name}.\n\n${isStream ? "" : TENSOR}${trees}${
    isStream ? STREAM : predictText(takesMask ? "input: Input, mask: Mask" : "input: Input")
  }`;
}

function entriesOf(tensors: readonly SignatureTensor[]): Entry[] {
  return tensors.map((tensor) => ({ rest: tensor.path, tensor }));
}

/** The tensors of an argument. */
function argumentOf(inputs: readonly SignatureTensor[], argument: string): Entry[] {
  return entriesOf(inputs).flatMap(({ rest: [first, ...rest], tensor }) =>
    first === argument ? [{ rest, tensor }] : []
  );
}

function treeType(entries: readonly Entry[], typeOf: (tensor: SignatureTensor) => string): string {
  const [{ rest: [key], tensor }] = entries;
  if (key === undefined) return typeOf(tensor);
  const children = new Map<string | number, Entry[]>();
  for (const { rest: [first, ...rest], tensor } of entries) {
    children.set(first, [...children.get(first) ?? [], { rest, tensor }]);
  }
  const types = [...children].map(([child, inside]) => [child, treeType(inside, typeOf)] as const);
  return typeof key === "number"
    ? `readonly [${types.map(([, type]) => type).join(", ")}]`
    : `{ ${types.map(([child, type]) => `readonly ${JSON.stringify(child)}: ${type}`).join("; ")} }`;
}

const TENSOR = `/** Values in row-major order, and their sizes. */
export interface Tensor<Data> {
  readonly data: Data;
  readonly shape: readonly number[];
}

`;

const SOURCE = "source: ArrayBuffer | ArrayBufferView | WebAssembly.Module";

function predictText(parameters: string): string {
  return `
/**
 * Loads the model from the bytes of its file, or from a compiled module. Throws a TypeError for a tensor that does
 * not fit or that the model does not take, and a RangeError for sizes that memory cannot hold.
 */
export function load(${SOURCE}): Promise<(${parameters}) => Output>;
`;
}

const STREAM = `
/** A sequence that is fed step by step. */
export interface Stream {
  /** The output of the next step. Throws a TypeError for an array that does not fit. */
  step(input: Input): Output;
  /** The next step is the first one of a new sequence. */
  reset(): void;
  /** Another stream with a state of its own, at its first step. */
  createStream(): Promise<Stream>;
}

/** Loads the model from the bytes of its file, or from a compiled module, as a stream at its first step. */
export function load(${SOURCE}): Promise<Stream>;
`;
