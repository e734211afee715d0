/**
 * How results accumulate over many terms. Floats are summed in blocks of few terms, and the blocks in
 * float64: at most {@linkcode ROUNDINGS} roundings to float32 lie between a term and the sum, so that its
 * error does not grow with its length (Blanchard, Higham and Mary, "A class of fast and accurate summation
 * algorithms", 2020). Short sums, integer sums and maxima need no blocks.
 */
import { type Dim, multiplyDims } from "../../../src/tensor/dims.ts";
import { i32, type Local, v128 } from "../assembler.ts";
import type { ReduceKernel } from "../../lowering/kinds/reduction.ts";
import { loopOver, type Moving } from "./address.ts";
import type { Extent, KernelCode } from "./code.ts";

/** The most roundings between a term and a sum: 16 · 2⁻²⁴ is less than 1e-6. */
const ROUNDINGS = 16;

/** Byte shuffles of a vector that swap its halves, and that swap the lanes of each pair. */
const HALVES = [8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7] as const;
const PAIRS = [4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11] as const;

/** What accumulates: results, each in several independent vectors. */
export interface Growth {
  readonly results: number;
  /** Vectors of each result. */
  readonly vectors: number;
  /** Whether a result is one number, combined from all lanes of its vectors; else it is a vector of four. */
  readonly isScalar: boolean;
  /** The extents of the axes that are iterated over, and how often that happens. */
  readonly dims: readonly Extent[];
  readonly times?: Dim;
  /** How many places along the innermost axis are accumulated at once; default 1. */
  readonly abreast?: number;
}

/** Writes the code that accumulates results. */
export interface Accumulator {
  /**
   * Runs `step`, which accumulates terms, at every place of the axes `dims`, along which the pointers move;
   * `step` covers the given number of adjacent places on the innermost axis.
   */
  readonly over: (
    dims: readonly Extent[],
    moving: readonly Moving[],
    step: (places: number) => void,
  ) => void;
  /** Accumulates the terms that `push` leaves on the stack, one by one, into a vector of a result. */
  readonly take: (result: number, vector: number, ...push: readonly (() => void)[]) => void;
  /** Pushes a result: a vector of four, or one with the result in its first lane. */
  readonly push: (result: number) => void;
}

/** The instruction that combines two vectors, and its neutral element. */
function combinationOf({ name, input }: Pick<ReduceKernel, "name" | "input">) {
  const isFloat = input.dtype === "float32";
  return name === "sum" ? { combine: isFloat ? "f32x4.add" : "i32x4.add", start: 0, isFloat } as const : {
    combine: isFloat ? "f32x4.max" : "i32x4.max_s",
    start: isFloat ? -Infinity : -(2 ** 31),
    isFloat,
  } as const;
}

/** Accumulators of a reduction, which are initialized by this call. */
export function accumulate(
  f: KernelCode,
  kernel: Pick<ReduceKernel, "name" | "input">,
  { results, vectors, isScalar, dims, times = 1, abreast = 1 }: Growth,
): Accumulator {
  const { combine, start, isFloat } = combinationOf(kernel);
  const begin = (local: Local) => (isFloat ? f.f32x4(start) : f.i32x4(start)).set(local);
  // Combining across vectors rounds too: adjacent terms, vectors, the lanes of a short sum.
  const most = ROUNDINGS - Math.ceil(Math.log2(abreast)) - (vectors > 1 ? 4 : 0);
  const isLong = kernel.name === "sum" && isFloat && openAsMany(times) * roundsOf(dims, abreast) > most;
  const running = Array.from({ length: results }, () => Array.from({ length: vectors }, () => f.local(v128)));
  running.flat().forEach(begin);
  /** Combines what is pushed pairwise, and leaves the result on the stack. */
  const join = (pushes: readonly (() => void)[]): void => {
    if (pushes.length === 1) return pushes[0]();
    const half = Math.ceil(pushes.length / 2);
    join(pushes.slice(0, half));
    join(pushes.slice(half));
    f.op(combine);
  };
  const joinVectors = (result: number) => join(running[result].map((local) => () => f.get(local)));
  const totals = isLong
    ? running.map(() => Array.from({ length: isScalar ? 1 : 2 }, () => f.local(v128)))
    : [];
  for (const total of totals.flat()) f.i32x4(0).set(total);
  const block = f.local(v128);
  /** Adds the running vectors to the totals and restarts them. */
  const settle = () =>
    totals.forEach((total, result) => {
      joinVectors(result);
      f.set(block);
      running[result].forEach(begin);
      const [low, high = low] = total;
      f.get(low).get(block).op("f64x2.promote_low_f32x4").op("f64x2.add").set(low);
      f.get(high).get(block).get(block).shuffle(HALVES).op("f64x2.promote_low_f32x4").op("f64x2.add").set(
        high,
      );
    });
  return {
    over: (dims, moving, step) => {
      if (isLong) inBlocks(f, dims, moving, { most, abreast }, step, settle);
      else inStep(f, dims, moving, abreast, step);
    },
    take: (result, vector, ...pushes) => {
      const local = running[result][vector];
      f.get(local);
      join(pushes);
      f.op(combine).set(local);
    },
    push: (result) => {
      if (!isLong) {
        joinVectors(result);
        if (!isScalar) return;
        f.tee(block).get(block).get(block).shuffle(HALVES).op(combine).tee(block);
        f.get(block).get(block).shuffle(PAIRS).op(combine);
        return;
      }
      const [low, high] = totals[result];
      if (isScalar) {
        f.get(low).get(low).get(low).shuffle(HALVES).op("f64x2.add").op("f32x4.demote_f64x2_zero");
        return;
      }
      f.get(low).op("f32x4.demote_f64x2_zero").get(high).op("f32x4.demote_f64x2_zero");
      f.shuffle([0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23]);
    },
  };
}

/** An extent as a number; one that is known only at a call counts as infinite. */
function openAsMany(extent: Extent): number {
  return typeof extent === "number" ? extent : Infinity;
}

/** How many times something is added to a vector over these axes. */
function roundsOf(dims: readonly Extent[], abreast: number): number {
  const inner = dims.at(-1) ?? 1;
  const outer = dims.slice(0, -1).map(openAsMany);
  if (typeof inner !== "number" || outer.includes(Infinity)) return Infinity;
  return outer.reduce((all, each) => all * each, 1) *
    runsOf(inner, abreast).reduce((sum, { times }) => sum + times, 0);
}

/** Splits an axis into runs of `abreast` places, then of half as many, and so on. */
function runsOf(extent: number, abreast: number): { readonly places: number; readonly times: number }[] {
  if (extent === 0) return [];
  const times = Math.floor(extent / abreast);
  const rest = runsOf(extent % abreast, abreast / 2);
  return times > 0 ? [{ places: abreast, times }, ...rest] : rest;
}

/** The pointers with other strides. */
function along(moving: readonly Moving[], strides: (all: readonly Dim[]) => readonly Dim[]): Moving[] {
  return moving.map(({ local, strides: all }) => ({ local, strides: strides(all) }));
}

/** Runs `write` with the pointers moved by `places` places along an axis. */
function movedBy(
  f: KernelCode,
  moving: readonly Moving[],
  axis: number,
  places: Extent,
  write: () => void,
): void {
  const move = (sign: 1 | -1) => {
    for (const { local, strides } of moving) {
      if (typeof places === "number") f.move(local, multiplyDims(strides[axis], sign * places));
      else if (strides[axis] !== 0) {
        f.get(local).size(places).bytes(multiplyDims(strides[axis], sign)).op("i32.mul").op("i32.add").set(
          local,
        );
      }
    }
  };
  move(1);
  write();
  move(-1);
}

/**
 * Loops over `dims`, along the innermost axis in steps of `abreast` places (a power of two), then of fewer.
 */
function inStep(
  f: KernelCode,
  dims: readonly Extent[],
  moving: readonly Moving[],
  abreast: number,
  step: (places: number) => void,
): void {
  if (dims.length === 0) return step(1);
  const inner = dims.length - 1, extent = dims[inner];
  loopOver(f, dims.slice(0, inner), along(moving, (all) => all.slice(0, inner)), () => {
    if (typeof extent !== "number") {
      return openRuns(
        f,
        extent,
        along(moving, (all) => all.slice(inner)),
        abreast,
        step,
      );
    }
    let first = 0;
    for (const { places, times } of runsOf(extent, abreast)) {
      movedBy(f, moving, inner, first, () => {
        loopOver(f, [times], along(moving, (all) => [multiplyDims(all[inner], places)]), () => step(places));
      });
      first += places * times;
    }
  });
}

/** The same along one axis whose extent is known at a call only: as many runs as it has. */
function openRuns(
  f: KernelCode,
  extent: Extent,
  moving: readonly Moving[],
  abreast: number,
  step: (places: number) => void,
): void {
  const place = f.local(i32), stop = f.local(i32);
  f.i32(0).set(place);
  for (let places = abreast; places >= 1; places /= 2) {
    f.size(extent).i32(-places).op("i32.and").set(stop);
    f.count(place, { local: stop }, places, () => {
      step(places);
      for (const { local, strides } of moving) f.move(local, multiplyDims(strides[0], places));
    });
  }
  for (const { local, strides: [stride] } of moving) {
    if (stride !== 0) f.get(local).get(place).bytes(stride).op("i32.mul").op("i32.sub").set(local);
  }
}

/** The same in blocks that each add at most `most` times to a vector, with `after` behind each block. */
function inBlocks(
  f: KernelCode,
  dims: readonly Extent[],
  moving: readonly Moving[],
  { most, abreast }: { readonly most: number; readonly abreast: number },
  step: (places: number) => void,
  after: () => void,
): void {
  if (dims.length === 0) {
    step(1);
    return after();
  }
  // The axis that is divided: a block has `take` places of it and all of the axes inside it.
  let axis = dims.length - 1;
  while (axis > 0 && roundsOf(dims.slice(axis), abreast) <= most) axis--;
  const inside = dims.slice(axis + 1);
  const take = inside.length > 0
    ? Math.max(1, Math.floor(most / roundsOf(inside, abreast)))
    : Math.max(1, most - Math.log2(abreast)) * abreast;
  const extent = dims[axis];
  const isKnown = typeof extent === "number";
  const blocks = isKnown
    ? Math.floor(extent / take)
    : { local: f.hold(() => f.size(extent).i32(take).op("i32.div_u")) };
  const left = isKnown ? extent % take : { local: f.hold(() => f.size(extent).i32(take).op("i32.rem_u")) };
  const whole = isKnown
    ? extent - extent % take
    : { local: f.hold(() => f.size(extent).size(left).op("i32.sub")) };
  const block = (size: Extent) => {
    inStep(f, [size, ...inside], along(moving, (all) => all.slice(axis)), abreast, step);
    after();
  };
  loopOver(f, dims.slice(0, axis), along(moving, (all) => all.slice(0, axis)), () => {
    if (blocks !== 0) {
      loopOver(f, [blocks], along(moving, (all) => [multiplyDims(all[axis], take)]), () => block(take));
    }
    if (left !== 0) movedBy(f, moving, axis, whole, () => block(left));
  });
}
