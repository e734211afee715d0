/**
 * Sums of products of two views, such as the gradient of the kernel of a convolution by groups. The factors are read by
 * the sum itself, so that the products, which may be many times as large as they are, are not written. As the places of
 * a window show the same elements again and again, what is summed first is one line of them, which stays in the nearest
 * cache.
 */
import { sizeOf } from "../shapes.ts";
import { type Kernel, kernelFunctions } from "../lowering/kernels.ts";
import type { FusedKernel, FusedOperation } from "../lowering/kinds/fused.ts";
import type { ReduceKernel } from "../lowering/kinds/reduction.ts";
import { type View, viewOf } from "../lowering/views.ts";
import type { SumOfProductsKernel } from "./kernels.ts";
import type { Axes } from "./reduced_axes.ts";

const { readsOf, writesOf } = kernelFunctions;

/** Lets sums read the factors of products that nothing else reads. */
export function sumProducts(kernels: readonly Kernel[]): (Kernel | SumOfProductsKernel)[] {
  const without = new Map<Kernel, FusedOperation[]>();
  const sums = new Map<Kernel, (Kernel | SumOfProductsKernel)[]>();
  kernels.forEach((kernel, index) => {
    if (kernel.kind !== "fused") return;
    for (const operation of kernel.operations) {
      const product = productOf(kernel, operation);
      if (!product) continue;
      const { buffer } = product.view;
      const [reader, ...others] = kernels.filter((other) =>
        other !== kernel && [...readsOf(other), ...writesOf(other)].some((view) => view.buffer === buffer)
      );
      const until = kernels.indexOf(reader);
      const isChanged = kernels.slice(index, until).some((other) =>
        writesOf(other).some(({ buffer }) => product.factors.some((factor) => factor.buffer === buffer))
      );
      if (!reader || others.length > 0 || until < index || isChanged || !mayRead(reader, product)) continue;
      without.set(kernel, [...without.get(kernel) ?? [], operation]);
      sums.set(reader, inLines(reader, product.factors));
    }
  });
  return kernels.flatMap((kernel) => {
    const gone = without.get(kernel);
    if (kernel.kind !== "fused" || !gone) return sums.get(kernel) ?? [kernel];
    const operations = kernel.operations.filter((operation) => !gone.includes(operation));
    return operations.length === 0 ? [] : [{ ...kernel, operations }];
  });
}

/** A product that is written to a buffer of its own. */
interface WrittenProduct {
  readonly factors: readonly [View, View];
  readonly view: View;
}

function productOf(
  { shape, operations }: FusedKernel,
  { name, operands: [left, right], output, stores }: FusedOperation,
): WrittenProduct | undefined {
  if (name !== "mul" || output.dtype !== "float32" || stores.length !== 1) return undefined;
  if (left.kind !== "view" || right.kind !== "view") return undefined;
  const [view] = stores, whole = viewOf(view.buffer, shape, view.dtype);
  const isRead = operations.some(({ operands }) =>
    operands.some((operand) => operand.kind === "register" && operand.value === output)
  );
  const isOwn = view.buffer.storage.kind === "arena" && isSame(view, whole) &&
    !operations.some((other) =>
      other.output !== output && other.stores.some(({ buffer }) => buffer === view.buffer)
    );
  const isOne = left.view.loops.length === 0 && right.view.loops.length === 0;
  return isOwn && isOne && !isRead ? { factors: [left.view, right.view], view } : undefined;
}

function isSame(a: View, b: View): boolean {
  return a.offset === 0 && `${a.shape}` === `${b.shape}` && `${a.strides}` === `${b.strides}`;
}

/** Whether a kernel is a sum of the product in columns, along which all lie side by side. */
function mayRead(kernel: Kernel, { factors, view }: WrittenProduct): kernel is ReduceKernel {
  if (kernel.kind !== "reduce" || kernel.name !== "sum" || !isSame(kernel.input, view)) return false;
  const last = view.shape.length - 1;
  return kernel.axes.length > 0 && !kernel.axes.includes(last) && kernel.output.strides.at(-1) === 1 &&
    factors.every(({ strides }) => strides[last] === 1);
}

/** The sum of products, of which the last axis is summed first if there are several. */
function inLines(
  { axes, output }: ReduceKernel,
  factors: SumOfProductsKernel["factors"],
): (ReduceKernel | SumOfProductsKernel)[] {
  if (axes.length === 1) return [{ kind: "sumOfProducts", factors, axes, output }];
  const line = Math.max(...axes), shape = factors[0].shape.toSpliced(line, 1);
  const lines = viewOf(
    { name: "sums of lines", size: sizeOf(shape), storage: { kind: "arena" } },
    shape,
    output.dtype,
  );
  const others = axes.filter((axis) => axis !== line); // all before it
  return [
    { kind: "sumOfProducts", factors, axes: [line], output: lines },
    { kind: "reduce", name: "sum", input: lines, axes: others, output },
  ];
}

/** Most sums beside each other that stay in registers. */
const MOST_TOGETHER = 8;

/**
 * How many places of the last kept axis but the columns are summed together, so that what they share is read once;
 * undefined if that axis is long, or the rows that threads share.
 */
export function placesTogether({ shape }: Pick<Axes, "shape">): number | undefined {
  const places = shape[shape.length - 2];
  return shape.length > 2 && typeof places === "number" && places <= MOST_TOGETHER ? places : undefined;
}
