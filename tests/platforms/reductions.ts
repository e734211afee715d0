/**
 * Reductions for which WebGPU has teams of invocations where it takes an adapter for a graphics processor: alone, of
 * few and of many elements, and in scans. A page runs them; what they should give is computed elsewhere.
 */
import {
  add,
  cast,
  concat,
  full,
  host,
  type HostTensor,
  key,
  max,
  maximum,
  scan,
  sub,
  sum,
  type Tensor,
  uniform,
} from "../../mod.ts";
import type { DeviceShape } from "../../kernels/webgpu/device_shape.ts";

/** A function with reductions. */
export interface ReductionCase {
  readonly name: string;
  /** Works in the dtype of its arguments. */
  readonly fn: (...args: readonly Tensor[]) => readonly Tensor[];
  readonly args: readonly HostTensor[];
  /** As many outputs, the first ones, that nothing rounds. */
  readonly exact: number;
  /** What combines the parts of its teams where there are subgroups. */
  readonly by: "subgroups" | "halves";
  /** Another shape of the device. */
  readonly shape?: Partial<DeviceShape>;
}

/** What came of a case. */
export interface ReductionResult {
  /** The values of each output, of two runs. */
  readonly runs: readonly (readonly (readonly number[])[])[];
  /** What `explain` tells. */
  readonly report: string;
}

/** All are negative: a part that should not count would be the largest. */
function floats(...shape: readonly number[]): HostTensor {
  return host(uniform(key(shape[0]), shape, { min: -2, max: -1 }));
}

function integers(...shape: readonly number[]): HostTensor {
  return host(cast(uniform(key(shape[0]), shape, { min: -900, max: -1 }), "int32"));
}

const both = (axes?: number) => (x: Tensor) => [max(x, { axes }), sum(x, { axes })];

/** Steps of a scan, each of which reduces rows of `[batch, features]` and goes on with what comes of it. */
function steps(rows: Tensor, xs: Tensor): readonly Tensor[] {
  const step = (rows: Tensor, x: Tensor) => {
    const next = add(rows, x);
    const total = sum(next, { axes: 1, keepDims: true }),
      largest = max(next, { axes: 1, keepDims: true });
    return [[total, largest], add(sub(next, largest), maximum(total, -5))] as const;
  };
  const [outputs, last] = scan<Tensor, Tensor, readonly Tensor[]>(step, rows, xs);
  return [...outputs, last];
}

/** All of them. */
export const reductionCases: readonly ReductionCase[] = [
  { name: "a long vector", fn: both(), args: [floats(100_003)], exact: 1, by: "subgroups" },
  { name: "long rows of integers", fn: both(1), args: [integers(3, 40_009)], exact: 2, by: "subgroups" },
  {
    name: "NaN somewhere",
    fn: (x) => [max(concat([x, full([1], NaN, { dtype: x.dtype }), x]))],
    args: [floats(500)],
    exact: 1,
    by: "subgroups",
  },
  { name: "few columns", fn: both(0), args: [floats(1001, 3)], exact: 1, by: "subgroups" },
  { name: "a short vector", fn: both(), args: [integers(40)], exact: 2, by: "subgroups" },
  {
    name: "a workgroup that does not fill its subgroups",
    fn: both(),
    args: [floats(70)],
    exact: 1,
    by: "subgroups",
    shape: { workgroupSize: 6 },
  },
  {
    name: "more rows than a team has halvings",
    fn: both(1),
    args: [floats(40, 1001)],
    exact: 1,
    by: "halves",
  },
  {
    name: "a scan by rows, one in a workgroup",
    fn: steps,
    args: [integers(3, 600), integers(3, 5, 600)],
    exact: 3,
    by: "subgroups",
    shape: { forced: "rows" },
  },
  {
    name: "a scan by rows, three in a workgroup",
    fn: steps,
    args: [floats(130, 140), floats(130, 3, 140)],
    exact: 0,
    by: "subgroups",
    shape: { forced: "rows" },
  },
  {
    name: "a scan by steps",
    fn: steps,
    args: [floats(3, 600), floats(3, 5, 600)],
    exact: 0,
    by: "subgroups",
    shape: { forced: "steps" },
  },
];
