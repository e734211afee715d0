/**
 * What the oracle's files hold: `{ format: "rnn-oracle/1", group, cases: [...] }`. They are checked as they are read, so that
 * what runs the cases may trust them. What the cases mean is in the rooms beside this file.
 */
import { allocateValues, type DType, type HostTensor, hostTensor } from "../../src/tensor/tensor.ts";

/** Anything that JSON can hold. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;

/** An object of JSON. */
export interface JsonObject {
  readonly [key: string]: Json | undefined;
}

/** A tensor as the oracle's files write it. */
export interface OracleTensor {
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly data: readonly number[];
}

/** Tensors by name. */
export type OracleTensors = Readonly<Record<string, OracleTensor>>;

/** One case: what every kind of case has; the rest is in `fields`. */
export interface OracleCase {
  readonly name: string;
  /** What is run, such as `LSTM`, `loss:Huber` or `Sequential.train`. */
  readonly layer: string;
  readonly config: JsonObject;
  /** A framework's oddity: shown, not counted. */
  readonly quirk: boolean;
  /** The case as it was written. */
  readonly fields: JsonObject;
  /** Where it is, for errors: `lstm.json: case "mask"`. */
  readonly place: string;
}

/** A file of cases. */
export interface OracleFile {
  readonly group: string;
  readonly cases: readonly OracleCase[];
}

const FORMAT = "rnn-oracle/1";

/** The dtype that we have for one of the oracle's. */
const dtypes: Readonly<Record<string, DType>> = {
  float32: "float32",
  float64: "float64",
  int32: "int32",
  int64: "int32",
  uint8: "int32",
  bool: "bool",
};

function malformed(place: string, problem: string): SyntaxError {
  return new SyntaxError(`Cannot read ${place}: ${problem}`);
}

/** Whether a value is an object with keys. */
export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Whether a value is a tensor; whether a good one is checked when its file is read. */
export function isOracleTensor(value: unknown): value is OracleTensor {
  return typeof value === "object" && value !== null && "dtype" in value && "shape" in value &&
    "data" in value;
}

function checkTensor(value: { readonly [key in keyof OracleTensor]: unknown }, place: string): void {
  const { shape, dtype, data } = value;
  const isNumber = (item: unknown) => typeof item === "number";
  if (!Array.isArray(shape) || !shape.every((dim) => Number.isInteger(dim) && dim >= 0)) {
    throw malformed(place, `its shape is ${JSON.stringify(shape)}, expected a list of sizes`);
  }
  if (typeof dtype !== "string" || !Object.hasOwn(dtypes, dtype)) {
    throw malformed(
      place,
      `its dtype is ${JSON.stringify(dtype)}, expected one of ${Object.keys(dtypes).join(", ")}`,
    );
  }
  if (!Array.isArray(data) || !data.every(isNumber)) {
    throw malformed(place, "its data is not a flat list of numbers");
  }
  const size = shape.reduce((product: number, dim: number) => product * dim, 1);
  if (data.length !== size) {
    throw malformed(place, `its data has ${data.length} elements, its shape [${shape}] has ${size}`);
  }
}

/** Checks every tensor below a value. */
function checkTensors(value: Json | undefined, place: string): void {
  if (isOracleTensor(value)) checkTensor(value, place);
  else if (Array.isArray(value)) value.forEach((item, index) => checkTensors(item, `${place}[${index}]`));
  else if (isObject(value)) {
    for (const [key, item] of Object.entries(value)) checkTensors(item, `${place}.${key}`);
  }
}

function objectIn(parent: JsonObject, key: string, place: string): JsonObject {
  const value = parent[key];
  if (isObject(value)) return value;
  throw malformed(place, `${key} is ${JSON.stringify(value)?.slice(0, 60) ?? "absent"}, expected an object`);
}

function textIn(parent: JsonObject, key: string, place: string): string {
  const value = parent[key];
  if (typeof value === "string") return value;
  throw malformed(place, `${key} is ${JSON.stringify(value)?.slice(0, 60) ?? "absent"}, expected a text`);
}

function parseCase(value: Json, place: string): OracleCase {
  if (!isObject(value)) throw malformed(place, "it is no object");
  const name = textIn(value, "name", place);
  const named = `${place} ${JSON.stringify(name)}`;
  const oracleCase: OracleCase = {
    name,
    layer: textIn(value, "layer", named),
    config: objectIn(value, "config", named),
    quirk: value.quirk === true,
    fields: value,
    place: named,
  };
  checkTensors(value, named);
  for (const key of ["inputs", "weights", "cotangents", "grads"]) tensorsIn(value, key, named);
  if (value.outputs !== undefined) objectIn(value, "outputs", named);
  stepsOf(oracleCase);
  return oracleCase;
}

/**
 * The cases of a file's text.
 *
 * @param file The file's name, for errors.
 * @throws SyntaxError naming the file and the place where it is malformed.
 */
export function parseOracle(text: string, file: string): OracleFile {
  let root: Json;
  try {
    root = JSON.parse(text);
  } catch (error) {
    throw malformed(file, `it is no JSON (${error instanceof Error ? error.message : error})`);
  }
  if (!isObject(root)) throw malformed(file, "it is no object");
  if (root.format !== FORMAT) {
    throw malformed(file, `its format is ${JSON.stringify(root.format) ?? "absent"}, expected "${FORMAT}"`);
  }
  const group = textIn(root, "group", file);
  const { cases } = root;
  if (!Array.isArray(cases)) throw malformed(file, "cases is no list");
  return { group, cases: cases.map((item: Json, index) => parseCase(item, `${file}: case ${index}`)) };
}

/** The tensors of a part of a case; none where the part is absent. */
export function tensorsIn(parent: JsonObject, key: string, place: string): OracleTensors {
  const value = parent[key] ?? {};
  if (!isObject(value)) throw malformed(place, `${key} is no object of tensors`);
  for (const [name, item] of Object.entries(value)) {
    if (!isOracleTensor(item)) throw malformed(place, `${key}.${name} is no tensor`);
  }
  return value as unknown as OracleTensors; // each of its values was just checked
}

/** The steps of a case, in order; none where it has no steps. */
export function stepsOf({ fields, place }: OracleCase): readonly JsonObject[] {
  const steps = fields.steps ?? [];
  if (!Array.isArray(steps) || !steps.every(isObject)) throw malformed(place, "steps is no list of objects");
  return steps;
}

/** A tensor of the oracle as one of ours. */
export function tensorOf({ shape, dtype, data }: OracleTensor): HostTensor {
  const values = allocateValues(dtypes[dtype], data.length);
  values.set(data);
  return hostTensor(values, shape);
}

/** The same for all tensors of a part. */
export function tensorsOf(tensors: OracleTensors): Record<string, HostTensor> {
  return Object.fromEntries(Object.entries(tensors).map(([name, value]) => [name, tensorOf(value)]));
}
