/** What a lowered Program consists of: kernels over views, in order. Plain data; `lower.ts` makes it, `emit` says it. */
import type { DType } from "../../src/tensor/tensor.ts";
import type { OperationName, Value } from "../../src/program/types.ts";
import type { Buffer, View } from "./views.ts";

/** What an elementwise operation reads. */
export type Operand =
  | { readonly kind: "constant"; readonly value: number; readonly dtype: DType }
  | { readonly kind: "view"; readonly view: View }
  /** A result of the same kernel. */
  | { readonly kind: "register"; readonly value: Value };

/** One elementwise operation of a fused kernel; `copy` is the identity. */
export interface FusedOperation {
  readonly name: OperationName | "copy";
  readonly operands: readonly Operand[];
  readonly output: Value;
  /** The dtype of the first operand, which may differ from the output's. */
  readonly inputDType: DType;
  /** Where the result is written; nowhere if only this kernel reads it. */
  readonly stores: readonly View[];
}

/** Elementwise operations over one index space, in one pass over registers. */
export interface FusedKernel {
  readonly kind: "fused";
  readonly shape: readonly number[];
  readonly operations: readonly FusedOperation[];
}

/** A sum or maximum over axes. */
export interface ReduceKernel {
  readonly kind: "reduce";
  readonly name: "sum" | "reduceMax";
  readonly input: View;
  readonly axes: readonly number[];
  readonly output: View;
}

/** The index of the first largest along an axis. */
export interface ArgmaxKernel {
  readonly kind: "argmax";
  readonly input: View;
  readonly axis: number;
  readonly output: View;
}

/** The right operand of a product, `[k, n]`, laid out for `matmul`, where a backend has a layout for it. */
export interface PackKernel {
  readonly kind: "pack";
  readonly right: View;
  readonly packed: Buffer;
  /** Whether it is done again only when the inputs have changed; what it packs stays in memory. */
  readonly once?: boolean;
}

/** `[m, k] × [k, n]`, or a batch of such products; the right operand as it lies, or packed. */
export interface MatmulKernel {
  readonly kind: "matmul";
  readonly left: View;
  readonly right: { readonly view: View } | { readonly packed: Buffer };
  readonly output: View;
  readonly k: number;
  /** What is added to columns from `first` on, `[m, columns]` with contiguous columns, in order and side by side. */
  readonly addends: readonly { readonly first: number; readonly view: View }[];
  /** Where a backend keeps the sums of a part of many terms. */
  readonly scratch?: Buffer;
}

/** Products `[m, k] × [k, n]` with a long k and one right operand, where a backend packs both block by block. */
export interface LongProductKernel {
  readonly kind: "longProduct";
  /** `[k, n]`, rows contiguous. */
  readonly right: View;
  /** `[m, k]`, columns contiguous; `ones` is a row of ones. */
  readonly lefts: readonly (View | "ones")[];
  /** `[m, n]` for each left, rows contiguous. Where threads share the terms, one `[threads, all m, n]`, a part for each. */
  readonly outputs: readonly View[];
  /** What threads share. */
  readonly shared: "columns" | "terms";
  /** A piece for each thread. */
  readonly scratch: Buffer;
}

/** Rows of a table by index. */
export interface GatherKernel {
  readonly kind: "gather";
  readonly operand: View;
  readonly indices: View;
  readonly output: View;
}

/** Sums of rows by index. */
export interface ScatterKernel {
  readonly kind: "scatterAdd";
  readonly indices: View;
  readonly updates: View;
  readonly output: View;
  /** Where what rounding loses is kept, row-major as the output's shape; absent where it is of no account. */
  readonly lost?: Buffer;
}

/** Random bits into a buffer of their own. */
export interface RandomKernel {
  readonly kind: "randomBits";
  readonly key: View;
  readonly counter: View;
  readonly output: View;
}

/** A loop over time. */
export interface ScanKernel {
  readonly kind: "scan";
  readonly length: number;
  readonly reverse: boolean;
  /** The depth of the loop; its index is an argument of the kernels inside. */
  readonly loop: number;
  readonly body: readonly Kernel[];
  /** The rows that threads may share out, as every kernel inside works on each row alone; 0 if one must do it all. */
  readonly rows: number;
}

/** One piece of work. */
export type Kernel =
  | FusedKernel
  | ReduceKernel
  | ArgmaxKernel
  | PackKernel
  | MatmulKernel
  | LongProductKernel
  | GatherKernel
  | ScatterKernel
  | RandomKernel
  | ScanKernel;

/** The views that a kernel reads. */
export function readsOf(kernel: Kernel): View[] {
  switch (kernel.kind) {
    case "fused":
      return kernel.operations.flatMap(({ operands }) =>
        operands.flatMap((x) => x.kind === "view" ? [x.view] : [])
      );
    case "reduce":
    case "argmax":
      return [kernel.input];
    case "pack":
      return [kernel.right];
    case "matmul":
      return [
        kernel.left,
        ...("view" in kernel.right ? [kernel.right.view] : []),
        ...kernel.addends.map(({ view }) => view),
      ];
    case "longProduct":
      return [kernel.right, ...kernel.lefts.filter((left) => left !== "ones")];
    case "gather":
      return [kernel.operand, kernel.indices];
    case "scatterAdd":
      return [kernel.indices, kernel.updates];
    case "randomBits":
      return [kernel.key, kernel.counter];
    case "scan":
      return kernel.body.flatMap(readsOf);
  }
}

/** The views that a kernel writes. */
export function writesOf(kernel: Kernel): View[] {
  switch (kernel.kind) {
    case "fused":
      return kernel.operations.flatMap(({ stores }) => stores);
    case "pack":
      return [];
    case "longProduct":
      return [...kernel.outputs];
    case "scan":
      return kernel.body.flatMap(writesOf);
    default:
      return [kernel.output];
  }
}

/** Every buffer that a kernel touches, packed ones and scratch included. */
export function buffersOf(kernel: Kernel): Buffer[] {
  const views = [...readsOf(kernel), ...writesOf(kernel)].map(({ buffer }) => buffer);
  if (kernel.kind === "pack") return [...views, kernel.packed];
  if (kernel.kind === "matmul") {
    const { right, scratch } = kernel;
    return [...views, ...("packed" in right ? [right.packed] : []), ...(scratch ? [scratch] : [])];
  }
  if (kernel.kind === "scatterAdd" && kernel.lost) return [...views, kernel.lost];
  if (kernel.kind === "longProduct") return [...views, kernel.scratch];
  if (kernel.kind === "scan") return kernel.body.flatMap(buffersOf);
  return views;
}

/** What a kernel's function is called, but for a number. */
export function kernelName(kernel: Kernel): string {
  if (kernel.kind !== "fused") return kernel.kind;
  const { operations } = kernel;
  const first = operations.slice(0, 3).map(({ name }) => name).join("_");
  return `fused_${first}${operations.length > 3 ? `_and_${operations.length - 3}` : ""}`;
}

/** A kernel as lines of text; what is inside a loop is indented. */
export function printKernel(kernel: Kernel, indent = ""): string[] {
  const shape = (view: View) => `[${view.shape.join(", ")}]`;
  switch (kernel.kind) {
    case "fused":
      return [
        `${indent}fused [${kernel.shape.join(", ")}]: ${kernel.operations.map(({ name }) => name).join(" ")}`,
      ];
    case "reduce":
      return [`${indent}${kernel.name} ${shape(kernel.input)} -> ${shape(kernel.output)}`];
    case "argmax":
      return [`${indent}argmax ${shape(kernel.input)} -> ${shape(kernel.output)}`];
    case "pack":
      return [`${indent}pack ${shape(kernel.right)}${kernel.once ? ", once for the same inputs" : ""}`];
    case "matmul": {
      const { addends } = kernel;
      const more = addends.length === 0
        ? ""
        : ` with ${addends.length} addend${addends.length > 1 ? "s" : ""}`;
      return [`${indent}matmul ${shape(kernel.left)} -> ${shape(kernel.output)}${more}`];
    }
    case "longProduct": {
      const lefts = kernel.lefts.map((left) => left === "ones" ? "ones" : shape(left));
      const { shared } = kernel;
      return [`${indent}products ${lefts.join(", ")} with ${shape(kernel.right)}, threads share ${shared}`];
    }
    case "gather":
      return [`${indent}gather ${shape(kernel.operand)} -> ${shape(kernel.output)}`];
    case "scatterAdd":
      return [`${indent}scatterAdd ${shape(kernel.updates)} -> ${shape(kernel.output)}`];
    case "randomBits":
      return [`${indent}randomBits ${shape(kernel.output)}`];
    case "scan": {
      const threads = kernel.rows > 0 ? `${kernel.rows} rows shared by all threads` : "on one thread";
      const direction = kernel.reverse ? ", from the last" : "";
      return [
        `${indent}scan of ${kernel.length} steps${direction}, ${threads}`,
        ...kernel.body.flatMap((inner) => printKernel(inner, `${indent}  `)),
      ];
    }
  }
}
