/**
 * Long reductions, running sums and products in parts: if one has more terms than a backend allows per kernel, its parts
 * are computed side by side, by one kernel with an additional axis, and then summed.
 */
import { type Kernel, kernelFunctions, type KernelOf } from "./kernels.ts";
import type { CumsumKernel } from "./kinds/cumsum.ts";
import type { FusedKernel } from "./kinds/fused.ts";
import type { ScatterKernel } from "./kinds/indexing.ts";
import type { MatmulKernel } from "./kinds/product.ts";
import type { ReduceKernel } from "./kinds/reduction.ts";
import { rowsOf } from "./rows.ts";
import { broadcastView, sliceView, type View, viewOf } from "./views.ts";
import { sizeOf } from "../shapes.ts";

/** The most terms of an element of a result. */
export interface MostTerms {
  readonly ofReduction: (kernel: ReduceKernel) => number;
  readonly ofCumsum: number;
  readonly ofScatter: (kernel: ScatterKernel) => number;
  /** Products with more than `from` terms are split into parts of `most`. */
  readonly ofProducts: { readonly from: number; readonly most: number };
}

/** The kinds that may have too many terms or contain such kernels; other kernels stay unchanged. */
const parts: {
  readonly [K in Kernel["kind"]]?: (kernel: KernelOf<K>, most: MostTerms) => readonly Kernel[];
} = {
  scan: (kernel, most) => {
    const body = inParts(kernel.body, most);
    // The parts of a product come first, where rows were.
    return [{ ...kernel, body, rows: rowsOf(body, kernelFunctions) }];
  },
  reduce: reduceInParts,
  cumsum: cumsumInParts,
  matmul: productInParts,
  scatterAdd: scatterInParts,
};

/** The kernels, with those that have too many terms split into parts, inside scans too. */
export function inParts(kernels: readonly Kernel[], most: MostTerms): Kernel[] {
  const partsOf = <K extends Kernel["kind"]>(kernel: KernelOf<K> & { readonly kind: K }): readonly Kernel[] =>
    parts[kernel.kind]?.(kernel, most) ?? [kernel];
  return kernels.flatMap((kernel) => partsOf(kernel));
}

/**
 * Splits an axis into pieces of `size` elements: an axis of pieces, which becomes axis `at`, and one within a
 * piece, and the rest after the last.
 */
function cut(
  view: View,
  axis: number,
  size: number,
  at = 0,
): { readonly pieces: View; readonly rest?: View } {
  const extent = view.shape[axis], count = Math.floor(extent / size);
  const whole = partOf(view, axis, 0, count * size);
  const pieces: View = {
    ...whole,
    shape: view.shape.with(axis, size).toSpliced(at, 0, count),
    strides: view.strides.toSpliced(at, 0, view.strides[axis] * size),
  };
  const left = extent - count * size;
  return left === 0 ? { pieces } : { pieces, rest: partOf(view, axis, count * size, left) };
}

function partOf(view: View, axis: number, start: number, size: number): View {
  return sliceView(
    view,
    view.shape.map((_, other) => other === axis ? start : 0),
    view.shape.with(axis, size),
    view.shape.map(() => 1),
  );
}

/** Memory for parts of a result, side by side along an additional axis. */
function partsOf(
  output: View,
  count: number,
  axis = 0,
): { readonly all: View; readonly at: (part: number) => View } {
  const shape = output.shape.toSpliced(axis, 0, count);
  const all = viewOf({ name: "parts", size: sizeOf(shape), storage: { kind: "arena" } }, shape, output.dtype);
  const at = (part: number): View => {
    const found = partOf(all, axis, part, 1);
    return { ...found, shape: found.shape.toSpliced(axis, 1), strides: found.strides.toSpliced(axis, 1) };
  };
  return { all, at };
}

/** The axis of the parts comes right before the one that they are of, so that rows stay rows. */
function reduceInParts(kernel: ReduceKernel, most: MostTerms): Kernel[] {
  const { input, axes, output } = kernel;
  const terms = sizeOf(axes.map((axis) => input.shape[axis])), limit = most.ofReduction(kernel);
  if (terms <= limit || sizeOf(output.shape) === 0) return [kernel];
  const axis = axes.reduce((longest, each) => input.shape[each] > input.shape[longest] ? each : longest);
  const size = Math.max(1, Math.floor(limit / (terms / input.shape[axis])));
  const { pieces, rest } = cut(input, axis, size, axis);
  const count = pieces.shape[axis];
  const among = axis - axes.filter((each) => each < axis).length; // of the axes that the result has
  const parts = partsOf(output, count + (rest ? 1 : 0), among);
  const first: ReduceKernel = {
    ...kernel,
    input: pieces,
    axes: axes.map((each) => each < axis ? each : each + 1),
    output: partOf(parts.all, among, 0, count),
  };
  const last: ReduceKernel[] = rest ? [{ ...kernel, input: rest, output: parts.at(count) }] : [];
  const sum: ReduceKernel = { ...kernel, input: parts.all, axes: [among] };
  return inParts([first, ...last, sum], most);
}

function productInParts(kernel: MatmulKernel, most: MostTerms): Kernel[] {
  const { left, right, output, k, addends } = kernel;
  const { from, most: size } = most.ofProducts;
  if (k <= from || output.shape.length !== 2 || output.dtype !== "float32") return [kernel];
  const lefts = cut(left, 1, size), rights = cut(right, 0, size);
  const parts = partsOf(output, Math.ceil(k / size));
  const count = lefts.pieces.shape[0];
  const products: MatmulKernel[] = [{
    kind: "matmul",
    left: lefts.pieces,
    right: rights.pieces,
    output: partOf(parts.all, 0, 0, count),
    k: size,
    addends: [],
  }];
  if (lefts.rest && rights.rest) {
    const [rest, k] = [rights.rest, lefts.rest.shape[1]];
    products.push({
      kind: "matmul",
      left: lefts.rest,
      right: rest,
      output: parts.at(count),
      k,
      addends: [],
    });
  }
  const sum: ReduceKernel = { kind: "reduce", name: "sum", input: parts.all, axes: [0], output };
  return [...products, ...inParts([sum], most), ...addends.map((addend) => added(output, addend))];
}

function scatterInParts(kernel: ScatterKernel, most: MostTerms): Kernel[] {
  const { indices, updates, output } = kernel;
  const terms = sizeOf(indices.shape), limit = most.ofScatter(kernel);
  if (terms <= limit || limit < 1) return [kernel];
  const axis = indices.shape.indexOf(Math.max(...indices.shape));
  const size = Math.max(1, Math.floor(limit / (terms / indices.shape[axis])));
  const parts = partsOf(output, Math.ceil(indices.shape[axis] / size));
  const scatters = Array.from({ length: parts.all.shape[0] }, (_, part): ScatterKernel => {
    const first = part * size, count = Math.min(size, indices.shape[axis] - first);
    return {
      ...kernel,
      indices: partOf(indices, axis, first, count),
      updates: partOf(updates, axis, first, count),
      output: parts.at(part),
    };
  });
  return inParts([...scatters, { kind: "reduce", name: "sum", input: parts.all, axes: [0], output }], most);
}

/**
 * The running sums of all parts, to which is then added what comes before each part: the running sum of the sums of the
 * parts. The axis of the parts comes right before the one that they are of, so that rows stay rows.
 */
function cumsumInParts(kernel: CumsumKernel, most: MostTerms): Kernel[] {
  const { input, axis, output } = kernel;
  const size = most.ofCumsum;
  const extent = output.shape[axis];
  if (extent <= size || sizeOf(output.shape) === 0) return [kernel];
  const count = Math.ceil(extent / size);
  const between = (name: string) => {
    const shape = output.shape.with(axis, count);
    return viewOf({ name, size: sizeOf(shape), storage: { kind: "arena" } }, shape, output.dtype);
  };
  const sums = between("sums of parts"), before = between("sums before parts");
  /** So many parts of so many elements each, from a part on: what computes their sums, and what adds to these. */
  const partsFrom = (first: number, parts: number, length: number) => {
    const divided = (view: View): View => {
      const { shape, strides, ...rest } = partOf(view, axis, first * size, parts * length);
      return {
        ...rest,
        shape: shape.toSpliced(axis, 1, parts, length),
        strides: strides.toSpliced(axis, 1, strides[axis] * length, strides[axis]),
      };
    };
    const [from, to] = [divided(input), divided(output)];
    const start = partOf(before, axis, first, parts);
    const kept = to.shape.map((_, at) => at).filter((at) => at !== axis + 1);
    const total = partOf(sums, axis, first, parts);
    const sum: ReduceKernel = { kind: "reduce", name: "sum", input: from, axes: [axis + 1], output: total };
    const running: CumsumKernel = { ...kernel, input: from, axis: axis + 1, output: to };
    return { sums: [sum, running], add: addition(to, broadcastView(start, to.shape, kept)) };
  };
  const whole = Math.floor(extent / size), left = extent - whole * size;
  const groups = [partsFrom(0, whole, size), ...(left === 0 ? [] : [partsFrom(whole, 1, left)])];
  const ofParts: CumsumKernel = { ...kernel, input: sums, exclusive: true, output: before };
  return inParts([...groups.flatMap(({ sums }) => sums), ofParts, ...groups.map(({ add }) => add)], most);
}

/** Adds an addend to columns of a product. */
function added(output: View, { first, view }: MatmulKernel["addends"][number]): FusedKernel {
  return addition(sliceView(output, [0, first], view.shape, [1, 1]), view);
}

/** Adds a view to another one. */
function addition(to: View, view: View): FusedKernel {
  const { shape, dtype } = to;
  return {
    kind: "fused",
    shape,
    operations: [{
      name: "add",
      operands: [{ kind: "view", view: to }, { kind: "view", view }],
      output: { shape, dtype },
      inputDType: dtype,
      stores: [to],
    }],
  };
}
