/**
 * Sink: a carry that only sums something over the steps (as every weight gradient does) leaves the loop. The
 * operands of summed products are stacked, and one product over all steps follows the scan. A sum over the
 * rows of the batch is first taken over time, row by row, unless its terms are stacked anyway. A scan with
 * `recompute` keeps its sums, so that only one segment of their terms is in memory at a time.
 */
import { add, neg } from "../operations/elementwise.ts";
import { matmul } from "../operations/matmul.ts";
import { foldFlat } from "../operations/scan.ts";
import { reshape, sum } from "../operations/structure.ts";
import { zerosLike } from "../operations/creation.ts";
import { inline, replayEquation } from "../program/trace.ts";
import {
  type Equation,
  type EquationOf,
  isEquation,
  type Program,
  timeAxis,
  type Value,
} from "../program/types.ts";
import { multiplyDims } from "../tensor/dims.ts";
import { printSpec, type Tensor } from "../tensor/tensor.ts";
import { makersOf, type Note, readersOf, rewrite } from "./rewrite.ts";

/** Moves sums over time out of every scan. */
export function sink(program: Program, note: Note): Program {
  return rewrite(
    program,
    (equation, operands, emitAgain) =>
      isEquation(equation, "scan") ? sinkScan(equation, operands, note) : emitAgain(),
  );
}

/** The sum over all steps of a value of the body, to be computed after the scan from stacked values. */
interface Sum {
  /** Values of the body that must be stacked. */
  readonly reads: readonly Value[];
  /** Values of the body whose sums over time are read. */
  readonly sums: readonly Value[];
  readonly total: (stacked: (value: Value) => Tensor, summed: (value: Value) => Tensor) => Tensor;
}

/** What is known about the body whose sums are searched. */
interface Body {
  readonly makers: ReadonlyMap<Value, Equation>;
  /** Whether a value is the step's slice of a sequence. */
  readonly isSequence: (value: Value) => boolean;
  /** A value that is the same at every step, as a tensor of the surrounding trace. */
  readonly constant: (value: Value) => Tensor | undefined;
  /** Earlier results: many sums may read the same value, and there are far more paths than values. */
  readonly found: Map<Value, Sum | undefined>;
}

/**
 * How the sum over time of `value` can be computed by larger operations after the loop; undefined if it
 * cannot.
 */
function sumOver(value: Value, body: Body): Sum | undefined {
  if (body.found.has(value)) return body.found.get(value);
  const sum = madeSum(value, body);
  let computed: Tensor | undefined;
  const found = sum && {
    reads: [...new Set(sum.reads)],
    sums: [...new Set(sum.sums)],
    total: (...given: Parameters<Sum["total"]>) => computed ??= sum.total(...given),
  };
  body.found.set(value, found);
  return found;
}

/** The same, from the operands of the value. */
function madeSum(value: Value, body: Body): Sum | undefined {
  if (body.isSequence(value)) {
    return { reads: [], sums: [value], total: (_, summed) => summed(value) };
  }
  const maker = body.makers.get(value);
  if (!maker) return undefined;
  const [first, second] = maker.inputs;
  if (isEquation(maker, "matmul") && first.shape.length === 2) {
    const { transposeLeft, transposeRight } = maker.attributes;
    const right = body.constant(second);
    // The sum of products with the same matrix is the product of the sum.
    const left = right && !transposeLeft ? sumOver(first, body) : undefined;
    if (right && left) {
      return {
        ...left,
        total: (...found) => matmul(left.total(...found), right, { transposeRight }),
      };
    }
    if (!transposeLeft || transposeRight) return undefined;
    const rows = (x: Tensor) => reshape(x, [multiplyDims(x.shape[0], x.shape[1]), x.shape[2]]);
    return {
      reads: [first, second],
      sums: [],
      total: (stacked) => matmul(rows(stacked(first)), rows(stacked(second)), { transposeLeft: true }),
    };
  }
  if (isEquation(maker, "sum") && maker.attributes.axes.includes(0)) {
    const { axes } = maker.attributes;
    return { reads: [], sums: [first], total: (_, summed) => sum(summed(first), { axes }) };
  }
  if (isEquation(maker, "add")) {
    const [a, b] = [sumOver(first, body), sumOver(second, body)];
    return a && b && {
      reads: [...a.reads, ...b.reads],
      sums: [...a.sums, ...b.sums],
      total: (...found) => add(a.total(...found), b.total(...found)),
    };
  }
  const inner = first && sumOver(first, body);
  if (!inner) return undefined;
  if (isEquation(maker, "neg")) return { ...inner, total: (...found) => neg(inner.total(...found)) };
  if (["reshape", "transpose", "pad", "slice", "windows", "reverse"].includes(maker.operation.name)) {
    return { ...inner, total: (...found) => replayEquation(maker, [inner.total(...found)])[0] };
  }
  return undefined;
}

function sinkScan(equation: EquationOf<"scan">, operands: readonly Tensor[], note: Note): Tensor[] {
  const attributes = { ...equation.attributes, body: sink(equation.attributes.body, note) };
  const { body, constants, carries, length, reverse, recompute } = attributes;
  const makers = makersOf(body);
  const readers = readersOf(body);
  const positions = new Map(body.inputs.map((value, index) => [value, index]));
  const outside = new Map<Value, Tensor | undefined>();
  const constantOf = (value: Value): Tensor | undefined => {
    const index = positions.get(value);
    if (index !== undefined) return index < constants ? operands[index] : undefined;
    const maker = makers.get(value);
    const inputs = maker?.inputs.map(known.constant);
    if (!maker || maker.outputs.length > 1 || !inputs?.every((input) => input !== undefined)) {
      return undefined;
    }
    return replayEquation(maker, inputs)[0];
  };
  const known: Body = {
    makers,
    found: new Map(),
    isSequence: (value) => (positions.get(value) ?? -1) >= constants + carries,
    constant: (value) => {
      if (!outside.has(value)) outside.set(value, constantOf(value));
      return outside.get(value);
    },
  };
  const sums = body.outputs.slice(0, carries).map((next, carry): Sum | undefined => {
    const before = body.inputs[constants + carry];
    const maker = makers.get(next);
    if (
      recompute || !isEquation(maker, "add") || readers.get(before)?.length !== 1 ||
      readers.get(next)?.length !== 1
    ) {
      return undefined;
    }
    const [a, b] = maker.inputs;
    return a === before ? sumOver(b, known) : b === before ? sumOver(a, known) : undefined;
  });
  sums.forEach((found, carry) => {
    if (found) note(`sank the sum over ${length} steps of ${printSpec(body.outputs[carry])} out of a scan`);
  });
  const staying = sums.map((found, carry) => found ? -1 : carry).filter((carry) => carry >= 0);
  const firstSequence = constants + carries;
  const sequenceInputs = body.inputs.slice(firstSequence);
  const stackedOutputs = body.outputs.slice(carries);
  // Slices of the inputs are already stacked, and so are outputs; the rest become additional outputs.
  const added = [...new Set(sums.flatMap((found) => found?.reads ?? []))].filter((value) =>
    !sequenceInputs.includes(value) && !stackedOutputs.includes(value)
  );
  const isStacked = (value: Value) =>
    sequenceInputs.includes(value) || stackedOutputs.includes(value) || added.includes(value);
  // Each of these is summed by a new carry of its shape.
  const accumulated = [...new Set(sums.flatMap((found) => found?.sums ?? []))].filter((value) =>
    !isStacked(value)
  );
  const smaller: Program = {
    ...body,
    outputs: [...staying.map((carry) => body.outputs[carry]), ...accumulated, ...stackedOutputs, ...added],
  };
  const folded = foldFlat(
    [
      ...staying.map((carry) => operands[constants + carry]),
      ...accumulated.map(zerosLike),
    ],
    operands.slice(firstSequence),
    (carryTensors, steps) => {
      // A removed carry is read only by the sum that was removed with it; any tensor of its spec can replace
      // it here.
      const before = body.inputs.slice(constants, firstSequence).map((_, carry) =>
        staying.includes(carry) ? carryTensors[staying.indexOf(carry)] : operands[constants + carry]
      );
      const results = inline(smaller, [...operands.slice(0, constants), ...before, ...steps]);
      const count = staying.length + accumulated.length;
      return {
        carries: results.slice(0, count).map((next, carry) =>
          carry < staying.length ? next : add(carryTensors[carry], next)
        ),
        outputs: results.slice(count),
        result: undefined,
      };
    },
    { length, reverse, recompute },
  );
  const stacked = (value: Value): Tensor => {
    const sequence = sequenceInputs.indexOf(value);
    if (sequence >= 0) return operands[firstSequence + sequence];
    const output = stackedOutputs.indexOf(value);
    return folded.outputs[output >= 0 ? output : stackedOutputs.length + added.indexOf(value)];
  };
  const summed = (value: Value): Tensor => {
    const carry = accumulated.indexOf(value);
    if (carry >= 0) return folded.carries[staying.length + carry];
    return sum(stacked(value), { axes: timeAxis(value.shape.length + 1) });
  };
  return [
    ...sums.map((found, carry) =>
      found
        ? add(operands[constants + carry], found.total(stacked, summed))
        : folded.carries[staying.indexOf(carry)]
    ),
    ...folded.outputs.slice(0, stackedOutputs.length),
  ];
}
