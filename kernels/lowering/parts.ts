/**
 * Long reductions, running sums and products in parts: if one has more terms than a backend allows per kernel, its parts
 * are computed side by side, by one kernel with an additional axis, and then summed. Kernels with an open number of
 * terms are not split, as the number of their parts would be open too: {@linkcode needParts} says when they would be.
 */
import { addDims, type Dim, fixedDim, multiplyDims, type Shape } from "../../src/tensor/dims.ts";
import { everyKernel, type Kernel, kernelFunctions, type KernelOf } from "./kernels.ts";
import type { Sizes } from "./kinds/kind.ts";
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
  /** Of terms and rows together. */
  readonly ofScatter: number;
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
    const isSplit = body.some((each) => !kernel.body.includes(each));
    return [{ ...kernel, body, rows: isSplit ? rowsOf(body, kernelFunctions) : kernel.rows }];
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

/** The terms of a kernel, and how many it may have; undefined if it sums nothing. */
function termsOf(
  kernel: Kernel,
  most: MostTerms,
): { readonly terms: Dim; readonly limit: () => number } | undefined {
  switch (kernel.kind) {
    case "reduce":
      return {
        terms: sizeOf(kernel.axes.map((axis) => kernel.input.shape[axis])),
        limit: () => most.ofReduction(kernel),
      };
    case "cumsum":
      return { terms: kernel.output.shape[kernel.axis], limit: () => most.ofCumsum };
    case "matmul":
      return isSplit(kernel) ? { terms: kernel.k, limit: () => most.ofProducts.from } : undefined;
    case "scatterAdd":
      return {
        terms: addDims(sizeOf(kernel.indices.shape), kernel.output.shape[0]),
        limit: () => most.ofScatter,
      };
    default:
      return undefined;
  }
}

/** Whether a product may be computed in parts. */
function isSplit({ output }: MatmulKernel): boolean {
  return output.shape.length === 2 && output.dtype === "float32";
}

/** Whether kernels with an open number of terms have too many in a call of these sizes. */
export function needParts(kernels: readonly Kernel[], most: MostTerms, { of }: Sizes): boolean {
  return everyKernel(kernels).some(({ kernel }) => {
    const { terms = 0, limit } = termsOf(kernel, most) ?? {};
    return typeof terms !== "number" && limit !== undefined && of(terms) > limit();
  });
}

/**
 * Splits an axis into pieces of `size` elements: an axis of pieces, which becomes axis `at`, and one within a
 * piece, and the rest after the last.
 */
function cut(
  view: View,
  axis: number,
  { extent, size, at = 0 }: { readonly extent: number; readonly size: number; readonly at?: number },
): { readonly pieces: View; readonly count: number; readonly rest?: View } {
  const count = Math.floor(extent / size);
  const whole = partOf(view, axis, 0, count * size);
  const pieces: View = {
    ...whole,
    shape: view.shape.with(axis, size).toSpliced(at, 0, count),
    strides: view.strides.toSpliced(at, 0, multiplyDims(view.strides[axis], size)),
  };
  const left = extent - count * size;
  return left === 0 ? { pieces, count } : { pieces, count, rest: partOf(view, axis, count * size, left) };
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
  const terms = sizeOf(axes.map((axis) => input.shape[axis]));
  if (typeof terms !== "number" || sizeOf(output.shape) === 0) return [kernel];
  const limit = most.ofReduction(kernel);
  if (terms <= limit) return [kernel];
  const { axis, extent } = longestAxis(input.shape, axes);
  const size = Math.max(1, Math.floor(limit / (terms / extent)));
  const { pieces, count, rest } = cut(input, axis, { extent, size, at: axis });
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

/** The longest of some axes of a shape, whose sizes are known if their product is. */
function longestAxis(
  shape: Shape,
  axes: readonly number[],
): { readonly axis: number; readonly extent: number } {
  const all = axes.map((axis) => ({ axis, extent: fixedDim(shape[axis], "A sum in parts") }));
  return all.reduce((longest, each) => each.extent > longest.extent ? each : longest);
}

function productInParts(kernel: MatmulKernel, most: MostTerms): Kernel[] {
  const { left, right, output, k, addends } = kernel;
  const { from, most: size } = most.ofProducts;
  if (typeof k !== "number" || k <= from || !isSplit(kernel)) return [kernel];
  const lefts = cut(left, 1, { extent: k, size }), rights = cut(right, 0, { extent: k, size });
  const parts = partsOf(output, Math.ceil(k / size));
  const { count } = lefts;
  const products: MatmulKernel[] = [{
    kind: "matmul",
    left: lefts.pieces,
    right: rights.pieces,
    output: partOf(parts.all, 0, 0, count),
    k: size,
    addends: [],
  }];
  if (lefts.rest && rights.rest) {
    products.push({
      kind: "matmul",
      left: lefts.rest,
      right: rights.rest,
      output: parts.at(count),
      k: k - count * size,
      addends: [],
    });
  }
  const sum: ReduceKernel = { kind: "reduce", name: "sum", input: parts.all, axes: [0], output };
  return [...products, ...inParts([sum], most), ...addends.map((addend) => added(output, addend))];
}

function scatterInParts(kernel: ScatterKernel, most: MostTerms): Kernel[] {
  const { indices, updates, output } = kernel;
  const terms = sizeOf(indices.shape), [rows] = output.shape;
  if (typeof terms !== "number" || typeof rows !== "number") return [kernel];
  const limit = most.ofScatter - rows;
  if (terms <= limit || limit < 1) return [kernel];
  const { axis, extent } = longestAxis(indices.shape, indices.shape.map((_, axis) => axis));
  const size = Math.max(1, Math.floor(limit / (terms / extent)));
  const count = Math.ceil(extent / size);
  const parts = partsOf(output, count);
  const scatters = Array.from({ length: count }, (_, part): ScatterKernel => {
    const first = part * size, count = Math.min(size, extent - first);
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
  if (typeof extent !== "number" || extent <= size || sizeOf(output.shape) === 0) return [kernel];
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
        strides: strides.toSpliced(axis, 1, multiplyDims(strides[axis], length), strides[axis]),
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
