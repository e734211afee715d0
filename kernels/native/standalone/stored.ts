/** Which weights can be stored in fewer bits: those that only products, or only tables of rows, read. */
import type { Kernel } from "../../lowering/kernels.ts";
import { kernelFunctions } from "../../lowering/kernels.ts";
import type { View } from "../../lowering/views.ts";
import type { InputRole } from "../../standalone/roles.ts";
import type { Stored } from "./product.ts";
import type { ScaledAxis, WeightFormat } from "./weights.ts";

/** How weights are stored. */
interface Storing {
  readonly format: WeightFormat;
  /** Defines the array of an input. */
  readonly define: (input: number, axis: ScaledAxis) => Stored;
}

/** The weights that are stored in fewer bits, by the index of the input. */
export function storedWeights(
  kernels: readonly Kernel[],
  roles: readonly InputRole[],
  { format, define }: Storing,
): ReadonlyMap<number, Stored> {
  const stored = new Map<number, Stored>();
  if (format === "float32") return stored;
  roles.forEach((role, index) => {
    if (role.kind !== "weight" || role.value.dtype !== "float32" || role.value.shape.length !== 2) return;
    const isThis = ({ buffer: { storage } }: View) => storage.kind === "input" && storage.index === index;
    const readers = kernels.filter((kernel) =>
      kernel.kind !== "scan" && kernelFunctions.readsOf(kernel).some(isThis)
    );
    const axes = new Set(readers.map((kernel) => axisOf(kernel, role.value.shape, isThis)));
    const [axis] = axes;
    if (axes.size === 1 && axis !== undefined) stored.set(index, define(index, axis));
  });
  return stored;
}

/** The operand of a kernel that may be stored in fewer bits. */
export function storedOperand(kernel: Kernel): View | undefined {
  if ("operand" in kernel) return kernel.operand;
  return kernel.kind === "matmul" ? kernel.right : undefined;
}

/** The axis by which a kernel reads channels of a weight; undefined if it needs the weight itself. */
function axisOf(
  kernel: Kernel,
  [rows, columns]: readonly number[],
  isThis: (view: View) => boolean,
): ScaledAxis | undefined {
  if ("operand" in kernel) {
    const { operand, indices } = kernel; // rows of a table
    const isWhole = operand.offset === 0 && operand.shape[0] === rows && operand.strides[0] === columns;
    return isThis(operand) && !isThis(indices) && isWhole ? "rows" : undefined;
  }
  if (kernel.kind !== "matmul") return undefined;
  const { left, right, addends } = kernel;
  if (isThis(left) || addends.some(({ view }) => isThis(view))) return undefined;
  if (right.strides.length !== 2 || right.loops.length > 0 || typeof right.offset !== "number") {
    return undefined;
  }
  const [strideK, strideN] = right.strides;
  if (strideN === 1 && strideK === columns) return "columns";
  return strideK === 1 && strideN === columns ? "rows" : undefined;
}
