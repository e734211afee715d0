/**
 * Sums and maxima over axes, and the index of the largest. Floats are summed in double, so that only the result is
 * rounded, however many terms there are.
 */
import type { Dim } from "../../../src/tensor/dims.ts";
import type { ArgmaxKernel, ReduceKernel, ReductionKernel } from "../../lowering/kinds/reduction.ts";
import { isByColumns, type ReducedAxes, reducedAxes } from "../../cpu/reduced_axes.ts";
import { sizeOf } from "../../shapes.ts";
import { elementType, type KernelSource, plus, times } from "./code.ts";
import type { EmittedKinds } from "./kind.ts";

/** How results of a kind accumulate: in a number, and in a vector of them. */
interface Accumulation {
  readonly type: string;
  readonly start: string;
  /** A result with another term. */
  readonly take: (result: string, term: string) => string;
  /** What is stored of it. */
  readonly result: (result: string) => string;
}

/** How results accumulate in the lanes of a vector. */
interface WideAccumulation extends Accumulation {
  /** The vector at an address. */
  readonly load: (address: string) => string;
  /** All of its lanes in one. */
  readonly total: (result: string) => string;
}

/** In a number, and in vectors. */
const accumulations: {
  readonly [K in `${ReduceKernel["name"]} of ${"float" | "int32_t"}`]: {
    readonly one: Accumulation;
    readonly many: WideAccumulation;
  };
} = {
  "sum of float": {
    one: {
      type: "double",
      start: "0",
      take: (all, x) => `${all} + (double)${x}`,
      result: (x) => `(float)(${x})`,
    },
    many: {
      type: "struct sums",
      start: "NO_SUMS",
      take: (all, x) => `v_add_wide(${all}, ${x})`,
      result: (x) => `v_rounded(${x})`,
      load: (address) => `v_load(${address}, v_lanes(LANES))`,
      total: (x) => `v_total(${x})`,
    },
  },
  "sum of int32_t": {
    one: { type: "int32_t", start: "0", take: (all, x) => `${all} + ${x}`, result: (x) => x },
    many: {
      type: "vi",
      start: "(vi){0}",
      take: (all, x) => `${all} + ${x}`,
      result: (x) => x,
      load: (address) => `v_load_int(${address}, v_lanes(LANES))`,
      total: (x) => `v_total_int(${x})`,
    },
  },
  "max of float": {
    one: {
      type: "float",
      start: "-__builtin_inff()",
      take: (all, x) => `larger(${all}, ${x})`,
      result: (x) => x,
    },
    many: {
      type: "vf",
      start: "v_number(-__builtin_inff())",
      take: (all, x) => `v_maximum(${all}, ${x})`,
      result: (x) => x,
      load: (address) => `v_load(${address}, v_lanes(LANES))`,
      total: (x) => `v_largest(${x})`,
    },
  },
  "max of int32_t": {
    one: {
      type: "int32_t",
      start: "INT32_MIN",
      take: (all, x) => `${all} < ${x} ? ${x} : ${all}`,
      result: (x) => x,
    },
    many: {
      type: "vi",
      start: "v_integer(INT32_MIN)",
      take: (all, x) => `v_maximum_int(${all}, ${x})`,
      result: (x) => x,
      load: (address) => `v_load_int(${address}, v_lanes(LANES))`,
      total: (x) => `v_largest_int(${x})`,
    },
  },
};

/** Writes the function of a reduction; rows are those of the output's first axis. */
function emitReduce(f: KernelSource, kernel: ReduceKernel): void {
  const { input, axes } = kernel, reduction = reducedAxes([input], axes);
  if (isByColumns(reduction, kernel)) reduceColumns(f, kernel, reduction);
  else reduceElements(f, kernel, reduction);
}

/** Loops over rows `begin` to `end` of the first axis and all of the others; runs once without axes. */
export function overRows(
  f: KernelSource,
  dims: readonly Dim[],
  write: (indices: readonly string[]) => void,
): void {
  if (dims.length === 0) {
    return write([]);
  }
  f.loop("i", "end", (row) => f.loops("i", dims.slice(1), (others) => write([row, ...others])), {
    from: "begin",
  });
}

/** Column by column: vectors along the innermost kept axis. */
function reduceColumns(
  f: KernelSource,
  { name, input, output }: ReduceKernel,
  { kept, reduced }: ReducedAxes,
): void {
  const type = elementType(input.dtype), suffix = type === "float" ? "" : "_int";
  const { type: wide, start, take, result } = accumulations[`${name} of ${type}`].many;
  const last = kept.shape.length - 1;
  const from = f.pointer(input), to = f.pointer(output);
  const columns = (indices: readonly string[], first: string, stop: string) => {
    const j = f.name("j"), n = f.name("n"), all = f.name(name);
    f.block(`for (${f.indexType} ${j} = ${first}; ${j} < ${stop}; ${j} += LANES)`, () => {
      f.line(`const lanes ${n} = v_lanes(${stop} - ${j});`);
      f.line(`${wide} ${all} = ${start};`);
      f.loops("k", reduced.shape, (places) => {
        const [outer, inner] = [f.distance(indices, kept.strides[0]), f.distance(places, reduced.strides[0])];
        f.line(`${all} = ${take(all, `v_load${suffix}(${plus(from, outer, inner, j)}, ${n})`)};`);
      });
      const target = plus(f.distance(indices, output.strides), j);
      f.line(`v_store${suffix}(${to} + ${target}, ${result(all)}, ${n});`);
    });
  };
  if (last === 0) columns([], "begin", "end");
  else overRows(f, kept.shape.slice(0, last), (indices) => columns(indices, "0", f.size(kept.shape[last])));
}

/** Rows that are reduced side by side, so that one need not wait for the additions of another. */
const ROWS = 4;

/** Output elements one at a time, or rows side by side with vectors along them if these are contiguous. */
function reduceElements(
  f: KernelSource,
  kernel: ReduceKernel,
  reduction: ReducedAxes,
): void {
  const { name, input, output } = kernel, { kept, reduced } = reduction;
  const inner = reduced.shape.length - 1;
  const from = f.pointer(input), to = f.pointer(output);
  if (inner >= 0 && reduced.strides[0][inner] === 1) return reduceRows(f, kernel, reduction);
  const { one } = accumulations[`${name} of ${elementType(input.dtype)}`];
  overRows(f, kept.shape, (indices) => {
    const all = f.name(name);
    f.line(`${one.type} ${all} = ${one.start};`);
    f.loops("k", reduced.shape, (places) => {
      const distance = plus(f.distance(indices, kept.strides[0]), f.distance(places, reduced.strides[0]));
      f.line(`${all} = ${one.take(all, `${from}[${distance}]`)};`);
    });
    f.line(`${to}[${f.distance(indices, output.strides)}] = ${one.result(all)};`);
  });
}

/** Rows of contiguous elements; each is added up alike, whichever others are beside it. */
function reduceRows(
  f: KernelSource,
  { name, input, output }: ReduceKernel,
  { kept, reduced }: ReducedAxes,
): void {
  const type = elementType(input.dtype);
  const { one, many } = accumulations[`${name} of ${type}`];
  const from = f.pointer(input), to = f.pointer(output);
  const inner = reduced.shape.length - 1, extent = f.size(reduced.shape[inner]);
  const write = (results: readonly (readonly string[])[]) => {
    const each = results.map((indices) => {
      const all = f.name(name), parts = f.name("parts");
      f.line(`${one.type} ${all} = ${one.start};`);
      f.line(`${many.type} ${parts} = ${many.start};`);
      return { indices, all, parts };
    });
    f.loops("k", reduced.shape.slice(0, inner), (places) => {
      const k = f.name("k");
      const at = (indices: readonly string[]) =>
        plus(from, f.distance(indices, kept.strides[0]), f.distance(places, reduced.strides[0]), k);
      const whole = f.name("whole"); // so that the compiler sees that nothing is left where lanes divide a number
      f.line(`const ${f.indexType} ${whole} = ${extent} / LANES * LANES;`);
      f.block(`for (${f.indexType} ${k} = 0; ${k} < ${whole}; ${k} += LANES)`, () => {
        for (const { indices, parts } of each) {
          f.line(`${parts} = ${many.take(parts, many.load(at(indices)))};`);
        }
      });
      f.block(`for (${f.indexType} ${k} = ${whole}; ${k} < ${extent}; ${k}++)`, () => {
        for (const { indices, all } of each) f.line(`${all} = ${one.take(all, `*(${at(indices)})`)};`);
      });
    });
    for (const { indices, all, parts } of each) {
      f.line(
        `${to}[${f.distance(indices, output.strides)}] = ${one.result(one.take(all, many.total(parts)))};`,
      );
    }
  };
  if (kept.shape.length === 0) return write([[]]);
  f.loop("i", "end", (row) => {
    // Beyond the last row stands the last one again.
    const rows = [
      row,
      ...Array.from({ length: ROWS - 1 }, (_, other) => {
        const next = f.name(`${row}_${other + 1}`);
        f.line(`const ${f.indexType} ${next} = least(${row} + ${other + 1}, end - 1);`);
        return next;
      }),
    ];
    f.loops("i", kept.shape.slice(1), (others) => write(rows.map((each) => [each, ...others])));
  }, { from: "begin", step: `${ROWS}` });
}

/** Writes the function of an argmax; NaN counts as the largest, and of equal elements the first wins. */
function emitArgmax(f: KernelSource, { input, axis, output }: ArgmaxKernel): void {
  if (sizeOf(input.shape) === 0) return;
  const type = elementType(input.dtype);
  const kept = <T>(list: readonly T[]) => list.filter((_, other) => other !== axis);
  const from = f.pointer(input), to = f.pointer(output);
  overRows(f, kept(input.shape), (indices) => {
    const first = f.distance(indices, kept(input.strides));
    const best = f.name("best"), which = f.name("which"), k = f.name("k"), x = f.name("x");
    f.line(`${type} ${best} = ${from}[${first}];`);
    f.line(`int32_t ${which} = 0;`);
    f.block(`for (${f.indexType} ${k} = 1; ${k} < ${f.size(input.shape[axis])}; ${k}++)`, () => {
      f.line(`const ${type} ${x} = ${from}[${plus(first, times(k, f.size(input.strides[axis])))}];`);
      const isNew = type === "float"
        ? `${x} > ${best} || (${x} != ${x} && ${best} == ${best})`
        : `${x} > ${best}`;
      f.line(`if (${isNew}) ${best} = ${x}, ${which} = (int32_t)${k};`);
    });
    f.line(`${to}[${f.distance(indices, output.strides)}] = ${which};`);
  });
}

/** How these kinds are written. */
export const reductionEmission: EmittedKinds<ReductionKernel> = {
  reduce: {
    emit: emitReduce,
    cut: ({ output: { shape: { length } } }, { cost }, shareFrom) => ({
      grain: length === 1 ? 16 : 1,
      singleThreaded: length === 0 || cost < shareFrom,
    }),
  },
  argmax: {
    emit: emitArgmax,
    cut: ({ output }, { cost }, shareFrom) => ({
      grain: 1,
      singleThreaded: output.shape.length === 0 || cost < shareFrom,
    }),
  },
};
