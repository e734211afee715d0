/**
 * Sums over time and over the rows of a batch, such as the gradients of a gain. Lowered, a scan keeps such a sum for each
 * row, beside what rounding loses of it, and the rows are added after the loop. Where threads divide the rows, all rows
 * of a thread can share one sum: it then stays in the nearest cache, while one for each row would be read and written at
 * every step. In which order rows are added is fixed by the number of threads.
 */
import { addDims, sameShape } from "../../src/tensor/dims.ts";
import type { ColumnTotal, FusedKernel, FusedOperation, Operand } from "../lowering/kinds/fused.ts";
import { type Buffer, sliceView, type View, viewOf } from "../lowering/views.ts";
import { sizeOf } from "../shapes.ts";
import { cpuFunctions, type CpuKernel, type CpuScanKernel } from "./kernels.ts";

const { readsOf, writesOf, buffersOf } = cpuFunctions;

/** Elements between the sums of two threads: prefetching past the end would pull in lines that another thread is writing. */
const GAP = 512;

/** A sum that the kernels of a step keep for each row, as the pass "compensate" writes it. */
interface SumOfRows {
  readonly total: View;
  readonly lost: View;
  /** What a step adds. */
  readonly term: Operand;
  /** What is done for nothing but the sum. */
  readonly operations: readonly FusedOperation[];
}

/** Lets the rows of each thread share sums of which only the total of all rows is read, after the loop. */
export function shareSums(kernels: readonly CpuKernel[], threads: number): CpuKernel[] {
  return kernels.reduce<CpuKernel[]>((all, scan, at) => {
    if (scan.kind !== "scan" || scan.rows === 0) return all;
    const sums = scan.body.flatMap((kernel) => kernel.kind === "fused" ? sumsOf(kernel) : []);
    return sums.filter((sum) => isOnlyTotaled(sum, kernels, { scan, at })).reduce(
      (changed, sum) => withSharedRows(changed, sum, threads),
      all,
    );
  }, [...kernels]);
}

/** Whether all that happens to a sum is that it starts with 0, grows in one kernel, and is added up over the rows. */
function isOnlyTotaled(
  { total, lost }: SumOfRows,
  kernels: readonly CpuKernel[],
  { scan, at }: { readonly scan: CpuScanKernel; readonly at: number },
): boolean {
  const using = (kernels: readonly CpuKernel[], { buffer }: View) =>
    kernels.filter((kernel) => buffersOf(kernel).includes(buffer));
  const before = kernels.slice(0, at), after = kernels.slice(at + 1);
  const isFilledOnce = (view: View) => {
    const [start, ...others] = using(before, view);
    return start !== undefined && others.length === 0 && isFilledWithZero(start, view);
  };
  const [end, ...others] = using(after, total);
  return isFilledOnce(total) && isFilledOnce(lost) && using(scan.body, total).length === 1 &&
    using(scan.body, lost).length === 1 && using(after, lost).length === 0 && others.length === 0 &&
    end !== undefined && addsRows(end, total);
}

/** Whether a kernel does nothing but fill places with 0, among them this one. */
function isFilledWithZero(kernel: CpuKernel, view: View): boolean {
  if (kernel.kind !== "fused" || kernel.operations.length !== 1) return false;
  const [{ name, operands: [from], stores }] = kernel.operations;
  return name === "copy" && from.kind === "constant" && from.value === 0 && stores.every(isWhole) &&
    stores.some(({ buffer }) => buffer === view.buffer);
}

/** Whether a kernel adds up the rows of a view. */
function addsRows(kernel: CpuKernel, { buffer, shape }: View): boolean {
  return kernel.kind === "reduce" && kernel.name === "sum" && kernel.axes.includes(0) &&
    kernel.input.buffer === buffer && isWhole(kernel.input) && sameShape(kernel.input.shape, shape);
}

/** Whether a view is all of a buffer of its own, row by row, at every step. */
function isWhole(view: View): boolean {
  const { offset, strides } = viewOf(view.buffer, view.shape, view.dtype);
  return view.buffer.storage.kind === "arena" && view.loops.length === 0 && view.offset === offset &&
    sameShape(view.strides, strides) && sizeOf(view.shape) === view.buffer.size;
}

/** The sums of a kernel over rows of columns. */
function sumsOf(kernel: FusedKernel): SumOfRows[] {
  return kernel.shape.length === 2 ? kernel.operations.flatMap((last) => sumUpTo(kernel, last) ?? []) : [];
}

/** The sum of which an operation computes what rounding loses: select(|error| < ∞, error, 0). */
function sumUpTo(kernel: FusedKernel, last: FusedOperation): SumOfRows | undefined {
  const { operations } = kernel;
  const maker = (operand: Operand | undefined) =>
    operand?.kind === "register" ? operations.find(({ output }) => output === operand.value) : undefined;
  const madeBy = (name: FusedOperation["name"], operation: FusedOperation | undefined) =>
    operation?.name === name ? operation : undefined;
  const condition = madeBy("less", maker(madeBy("select", last)?.operands[0]));
  const size = madeBy("abs", maker(condition?.operands[0]));
  const error = madeBy("sub", maker(size?.operands[0])); // (total - before) - change
  const growth = madeBy("sub", maker(error?.operands[0]));
  const change = madeBy("sub", maker(error?.operands[1])); // term - lost before
  const total = madeBy("add", maker(growth?.operands[0])); // before + change
  if (!condition || !size || !error || !growth || !change || !total) return undefined;
  const [sum, ...moreSums] = total.stores, [lost, ...moreLost] = last.stores;
  const [term, lostBefore] = change.operands;
  const isSum = maker(last.operands[1]) === error && isConstant(last.operands[2], 0) &&
    isConstant(condition.operands[1], Infinity) && maker(total.operands[1]) === change;
  if (!isSum || !sum || !lost || moreSums.length > 0 || moreLost.length > 0 || sum.buffer === lost.buffer) {
    return undefined;
  }
  const reads = (operation: FusedOperation, { buffer }: View) =>
    operation.operands.some((operand) => operand.kind === "view" && operand.view.buffer === buffer);
  const own = [last, condition, size, error, growth, change, total];
  const result = new Set(own.map(({ output }) => output));
  const isReadElsewhere = [
    ...operations.filter((each) => !own.includes(each)),
    ...(kernel.totals ?? []).map(({ operand }) => ({ operands: [operand] })),
  ].some(({ operands }) =>
    operands.some((operand) => operand.kind === "register" && result.has(operand.value))
  );
  const views = [...readsOf(kernel), ...writesOf(kernel)].filter(({ buffer }) =>
    buffer === sum.buffer || buffer === lost.buffer
  );
  const isAlone = operations.every((each) =>
    (!reads(each, sum) || own.includes(each)) && (!reads(each, lost) || each === change) &&
    (each.stores.length === 0 || each === total || each === last || !own.includes(each))
  );
  const isPlain =
    [total.operands[0], growth.operands[1]].every((operand) =>
      operand.kind === "view" && operand.view.buffer === sum.buffer
    ) && lostBefore.kind === "view" && lostBefore.view.buffer === lost.buffer && views.every(isWhole);
  return isAlone && isPlain && !isReadElsewhere ? { total: sum, lost, term, operations: own } : undefined;
}

function isConstant(operand: Operand, value: number): boolean {
  return operand.kind === "constant" && operand.value === value;
}

/** The kernels with one row of sums for each share of the work, in place of one for each row of the batch. */
function withSharedRows(kernels: readonly CpuKernel[], sum: SumOfRows, threads: number): CpuKernel[] {
  const { total: { shape: [, columns], dtype }, term, operations } = sum;
  const apart = threads > 1 ? addDims(columns, GAP) : columns;
  const rows = (name: string): View => {
    const shape = [threads, apart];
    const whole = viewOf({ name, size: sizeOf(shape), storage: { kind: "arena" } }, shape, dtype);
    return sliceView(whole, [0, 0], [threads, columns], [1, 1]);
  };
  const total = rows("sum of rows"),
    lost = rows("lost of a sum of rows"),
    part = rows("part of a sum of rows");
  const ofShare = (view: View): View => ({
    ...view,
    shape: [columns],
    strides: [1],
    share: apart,
  });
  const shared: ColumnTotal = {
    operand: term,
    total: ofShare(total),
    lost: ofShare(lost),
    part: ofShare(part),
  };
  const isOf = (kernel: CpuKernel) => kernel.kind === "fused" && kernel.operations.includes(operations[0]);
  return kernels.flatMap((kernel): CpuKernel[] => {
    if (kernel.kind === "scan" && kernel.body.some(isOf)) {
      const body = kernel.body.map((each) =>
        each.kind === "fused" && isOf(each) ? withTotal(each, shared, sum) : each
      );
      return [{ ...kernel, body }];
    }
    if (kernel.kind === "reduce" && kernel.input.buffer === sum.total.buffer) {
      return [{ ...kernel, input: total }];
    }
    if (kernel.kind !== "fused") return [kernel];
    const replacements = new Map<Buffer, readonly View[]>([
      [sum.total.buffer, [total, part]],
      [sum.lost.buffer, [lost]],
    ]);
    const stores = kernel.operations.flatMap((operation) => operation.stores);
    const filled = stores.flatMap(({ buffer }) => replacements.get(buffer) ?? []);
    return filled.length === 0 ? [kernel] : [
      ...fillsOf(kernel, stores.filter(({ buffer }) => !replacements.has(buffer))),
      ...fillsOf(kernel, filled),
    ];
  });
}

/** The kernel that fills other places, of one shape, with the same. */
function fillsOf(kernel: FusedKernel, stores: readonly View[]): FusedKernel[] {
  if (stores.length === 0) return [];
  return [{
    ...kernel,
    shape: stores[0].shape,
    operations: kernel.operations.map((operation) => ({ ...operation, stores })),
  }];
}

function withTotal(kernel: FusedKernel, shared: ColumnTotal, { operations }: SumOfRows): FusedKernel {
  return {
    ...kernel,
    operations: kernel.operations.filter((each) => !operations.includes(each)),
    columnTotals: [...kernel.columnTotals ?? [], shared],
  };
}
