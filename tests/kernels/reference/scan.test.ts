import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { type Dim, symbol } from "../../../src/tensor/dims.ts";
import type { HostTensor } from "../../../src/tensor/tensor.ts";
import { type Program, type ScanAttributes, stackedSpec } from "../../../src/program/types.ts";
import { evaluate, runProgram } from "../../../kernels/reference/mod.ts";
import { counting, equation, flat, list, value } from "./helpers.ts";

type Options = Pick<ScanAttributes, "constants" | "carries" | "length"> & Partial<ScanAttributes>;

/** Applies a scan eagerly; specs of the outputs follow from the body. */
function fold(body: Program, options: Options, inputs: readonly HostTensor[]): HostTensor[] {
  const attributes: ScanAttributes = { body, reverse: false, recompute: false, ...options };
  const specs = body.outputs.map((output, i) =>
    i < attributes.carries ? output : stackedSpec(output, attributes.length)
  );
  return evaluate({ operation: { name: "scan" }, attributes }, inputs, specs);
}

/** `sum' = sum + x`, and the new sum is stacked. */
function runningSum(shape: readonly Dim[]): Program {
  const [sum, x, next] = [value(shape), value(shape), value(shape)];
  return { inputs: [sum, x], equations: [equation("add", [sum, x], [next], {})], outputs: [next, next] };
}

Deno.test("a running sum over [batch, time, features], step by step along axis 1", () => {
  const [batch, time, features] = [2, 3, 2];
  const xs = counting([batch, time, features]);
  const start = flat([100, 200, 300, 400], [batch, features]);
  const [last, all] = fold(runningSum([batch, features]), { constants: 0, carries: 1, length: time }, [
    start,
    xs,
  ]);
  assertEquals(all.shape, [2, 3, 2]);
  assertEquals(list(all), [101, 202, 104, 206, 109, 212, 307, 408, 316, 418, 327, 430]);
  assertEquals(list(last), [109, 212, 327, 430]);
});

Deno.test("steps that are scalars have time on axis 0", () => {
  const [last, all] = fold(runningSum([]), { constants: 0, carries: 1, length: 4 }, [
    flat([10], []),
    flat([1, 2, 3, 4], [4]),
  ]);
  assertEquals([list(last), list(all)], [[20], [11, 13, 16, 20]]);
});

Deno.test("reverse runs from the last step; stacks stay aligned with the steps", () => {
  const [last, all] = fold(runningSum([]), { constants: 0, carries: 1, length: 4, reverse: true }, [
    flat([10], []),
    flat([1, 2, 3, 4], [4]),
  ]);
  assertEquals([list(last), list(all)], [[20], [20, 19, 17, 14]]);
});

Deno.test("no steps: the initial carries and empty stacks", () => {
  const [last, all] = fold(runningSum([2, 3]), { constants: 0, carries: 1, length: 0 }, [
    counting([2, 3]),
    counting([2, 0, 3]),
  ]);
  assertEquals(list(last), [1, 2, 3, 4, 5, 6]);
  assertEquals(all.shape, [2, 0, 3]);
});

/** Nothing is computed: every output of the body is one of its inputs. */
Deno.test("any rewiring of carries, constants and slices without a computation is simultaneous", () => {
  const [carries, constants, sequences] = [3, 2, 2];
  const pick = fc.nat({ max: constants + carries + sequences - 1 });
  const wirings = fc.record({
    next: fc.tuple(pick, pick, pick),
    stacked: fc.array(pick, { maxLength: 3 }),
    length: fc.integer({ min: 0, max: 5 }),
    reverse: fc.boolean(),
  });
  fc.assert(fc.property(wirings, ({ next, stacked, length, reverse }) => {
    const places = Array.from({ length: constants + carries + sequences }, () => value([2]));
    const body: Program = {
      inputs: places,
      equations: [],
      outputs: [...next, ...stacked].map((place) => places[place]),
    };
    const fixed = [flat([1, 2], [2]), flat([3, 4], [2])];
    const initial = [flat([5, 6], [2]), flat([7, 8], [2]), flat([9, 10], [2])];
    const given = [0, 1].map((sequence) =>
      flat(Array.from({ length: 2 * length }, (_, i) => 100 * (sequence + 1) + i), [2, length])
    );

    let state = initial.map(list);
    const stacks = stacked.map(() => new Array<number>(2 * length).fill(NaN));
    for (let count = 0; count < length; count++) {
      const step = reverse ? length - 1 - count : count;
      const slices = given.map(({ data }) => [data[step], data[length + step]]);
      const all = [...fixed.map(list), ...state, ...slices];
      stacked.forEach((place, i) => [stacks[i][step], stacks[i][length + step]] = all[place]);
      state = next.map((place) => all[place]);
    }
    const outputs = fold(body, { constants, carries, length, reverse }, [...fixed, ...initial, ...given]);
    assertEquals(outputs.map(list), [...state, ...stacks]);
  }));
});

Deno.test("a scan inside a scan, with symbolic sizes and a constant of the body", () => {
  const [batch, time] = [symbol("batch"), symbol("time")];
  // inner: sums `time` ones onto its carry; outer: does so at every step and adds the slice
  const inner: Program = (() => {
    const [count, one, next] = [value([]), value([]), value([])];
    return {
      inputs: [count],
      equations: [
        equation("constant", [], [one], { value: flat([1], []) }),
        equation("add", [count, one], [next], {}),
      ],
      outputs: [next],
    };
  })();
  const outer: Program = (() => {
    const [count, x] = [value([]), value([batch])];
    const [counted, wide, y] = [value([]), value([batch]), value([batch])];
    return {
      inputs: [count, x],
      equations: [
        equation("scan", [count], [counted], {
          body: inner,
          constants: 0,
          carries: 1,
          length: time,
          reverse: false,
          recompute: false,
        }),
        equation("broadcast", [counted], [wide], { shape: [batch], axes: [] }),
        equation("add", [wide, x], [y], {}),
      ],
      outputs: [counted, y],
    };
  })();
  const [start, xs, total, ys] = [value([]), value([batch, time]), value([]), value([batch, time])];
  const program: Program = {
    inputs: [start, xs],
    equations: [
      equation("scan", [start, xs], [total, ys], {
        body: outer,
        constants: 0,
        carries: 1,
        length: time,
        reverse: false,
        recompute: true,
      }),
    ],
    outputs: [total, ys],
  };
  const [last, all] = runProgram(program, [flat([0], []), counting([2, 3])]);
  assertEquals(list(last), [9]);
  assertEquals(list(all), [3 + 1, 6 + 2, 9 + 3, 3 + 4, 6 + 5, 9 + 6]);
});
