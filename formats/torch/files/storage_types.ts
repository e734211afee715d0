/** PyTorch's types of storages and elements, and which stored type of safetensors is the same. */

/** A type of elements. */
export interface StorageType {
  /** PyTorch's name of the dtype; `untyped` for a storage that is only bytes. */
  readonly name: string;
  /** Bytes per element. */
  readonly size: number;
  /** The same type in a safetensors file, which says how it is read; absent if no dtype here holds it. */
  readonly stored?: string;
}

/** The types by their names as dtypes. */
const dtypes: readonly StorageType[] = [
  { name: "float32", size: 4, stored: "F32" },
  { name: "float64", size: 8, stored: "F64" },
  { name: "float16", size: 2, stored: "F16" },
  { name: "bfloat16", size: 2, stored: "BF16" },
  { name: "bool", size: 1, stored: "BOOL" },
  { name: "int8", size: 1, stored: "I8" },
  { name: "uint8", size: 1, stored: "U8" },
  { name: "int16", size: 2, stored: "I16" },
  { name: "uint16", size: 2, stored: "U16" },
  { name: "int32", size: 4, stored: "I32" },
  { name: "uint32", size: 4, stored: "U32" },
  { name: "int64", size: 8, stored: "I64" },
  { name: "uint64", size: 8, stored: "U64" },
  { name: "complex32", size: 4 },
  { name: "complex64", size: 8 },
  { name: "complex128", size: 16 },
  { name: "qint8", size: 1 },
  { name: "quint8", size: 1 },
  { name: "qint32", size: 4 },
  { name: "float8_e4m3fn", size: 1 },
  { name: "float8_e4m3fnuz", size: 1 },
  { name: "float8_e5m2", size: 1 },
  { name: "float8_e5m2fnuz", size: 1 },
  { name: "float8_e8m0fnu", size: 1 },
];

const byDtype = new Map(dtypes.map((type) => [type.name, type]));

/** The classes of storages, and the dtypes of their elements. */
const classes: Readonly<Record<string, string>> = {
  FloatStorage: "float32",
  DoubleStorage: "float64",
  HalfStorage: "float16",
  BFloat16Storage: "bfloat16",
  BoolStorage: "bool",
  CharStorage: "int8",
  ByteStorage: "uint8",
  ShortStorage: "int16",
  IntStorage: "int32",
  LongStorage: "int64",
  ComplexFloatStorage: "complex64",
  ComplexDoubleStorage: "complex128",
  QInt8Storage: "qint8",
  QUInt8Storage: "quint8",
  QInt32Storage: "qint32",
};

const untyped: StorageType = { name: "untyped", size: 1 };

/** The type of elements by the name of a class of storages, such as `torch.FloatStorage`; undefined for another name. */
export function typeOfStorage(name: string): StorageType | undefined {
  if (name === "torch.storage.UntypedStorage" || name === "torch.UntypedStorage") return untyped;
  const own = name.match(/^torch\.(?:cuda\.)?(\w+)$/)?.[1];
  if (own === undefined || !Object.hasOwn(classes, own)) return undefined;
  return byDtype.get(classes[own]);
}

/** The type of elements by the name of a dtype, such as `torch.uint16`; undefined for another name. */
export function typeOfDtype(name: string): StorageType | undefined {
  return name.startsWith("torch.") ? byDtype.get(name.slice("torch.".length)) : undefined;
}
