/** The operator Scan: its body is traced once, as the cell of a fold of the library. */
import { fold } from "../../../../src/scan/fold.ts";
import { checkStep } from "../../../../src/scan/checks.ts";
import { reverse } from "../../../../src/operations/structure.ts";
import { timeAxis } from "../../../../src/program/types.ts";
import type { Dim } from "../../../../src/tensor/dims.ts";
import type { Tensor } from "../../../../src/tensor/tensor.ts";
import { attribute, axisOf, type Node } from "../node.ts";
import { type Call, given, type Inputs, type Operators } from "../operator.ts";
import { type OnnxValue, permuted, shapeOf, tensorOf, valueOf } from "../values.ts";

/** A node's list of numbers, one for each of `count` sequences. */
function perSequence(node: Node, name: string, count: number): readonly number[] {
  const list = attribute(node, name, "ints") ?? Array.from({ length: count }, () => 0);
  if (list.length === count) return list;
  throw new RangeError(`its ${name} are ${list.length} numbers, expected ${count}`);
}

function directions(node: Node, name: string, count: number): readonly boolean[] {
  return perSequence(node, name, count).map((direction) => {
    if (direction === 0 || direction === 1) return direction === 1;
    throw new RangeError(`one of its ${name} is ${direction}, expected 0 or 1`);
  });
}

/** A sequence with the scanned axis where the library's scan expects it. */
export function sequenceOf(value: OnnxValue, axis: number, flipped: boolean): Tensor {
  const rank = shapeOf(value).length;
  const from = axisOf(axis, rank);
  const others = Array.from({ length: rank }, (_, other) => other).filter((other) => other !== from);
  const time = timeAxis(rank);
  const sequence = tensorOf(permuted(value, [...others.slice(0, time), from, ...others.slice(time)]));
  return flipped ? reverse(sequence, time) : sequence;
}

/** A stacked output of the library's scan with the axis where the node wants it. */
export function outputOf(stacked: Tensor, axis: number, flipped: boolean): OnnxValue {
  const rank = stacked.shape.length;
  const time = timeAxis(rank);
  const to = axisOf(axis, rank);
  const others = Array.from({ length: rank }, (_, other) => other).filter((other) => other !== time);
  const ordered = flipped ? reverse(stacked, time) : stacked;
  return permuted(valueOf(ordered), [...others.slice(0, to), time, ...others.slice(to)]);
}

/** The steps that all sequences share. */
function lengthOf(sequences: readonly Tensor[]): Dim {
  const lengths = sequences.map(({ shape }) => shape[timeAxis(shape.length)]);
  if (lengths.every((length) => length === lengths[0])) return lengths[0];
  throw new TypeError(`it scans sequences of ${lengths.join(" and ")} steps, expected the same number`);
}

function scanned(node: Node, inputs: Inputs, call: Call): OnnxValue[] {
  if (node.opset < 9) throw new TypeError(`it is that of version ${node.opset}, expected 9 or newer`);
  const body = call.graphOf(node, "body");
  const count = attribute(node, "num_scan_inputs", "int");
  if (count === undefined || !Number.isInteger(count) || count < 1 || count > inputs.length) {
    throw new RangeError(`its num_scan_inputs is ${count ?? "absent"}, expected 1 to ${inputs.length}`);
  }
  const carries = inputs.length - count;
  const stackedCount = body.outputs.length - carries;
  if (body.inputs.length !== inputs.length || stackedCount < 0 || node.outputs.length > body.outputs.length) {
    throw new RangeError(
      `its body has ${body.inputs.length} inputs and ${body.outputs.length} outputs, expected ${inputs.length} and ` +
        `at least ${Math.max(carries, node.outputs.length)}`,
    );
  }
  const backwards = directions(node, "scan_input_directions", count);
  const outBackwards = directions(node, "scan_output_directions", stackedCount);
  const inAxes = perSequence(node, "scan_input_axes", count);
  const outAxes = perSequence(node, "scan_output_axes", stackedCount);
  // The library's scan runs in one direction: that of the first sequence; others are reversed.
  const reversed = backwards[0];
  const initial = inputs.slice(0, carries).map((_, index) => tensorOf(given(inputs, index)));
  const sequences = inAxes.map((axis, index) =>
    sequenceOf(given(inputs, carries + index), axis, backwards[index] !== reversed)
  );
  const step = (state: readonly Tensor[], slices: readonly Tensor[]): [Tensor[], readonly Tensor[]] => {
    const results = call.inside(body, [...state, ...slices].map(valueOf)).map(tensorOf);
    const next: readonly Tensor[] = results.slice(0, carries);
    checkStep([undefined, next], state);
    return [results.slice(carries), next];
  };
  const length = lengthOf(sequences);
  const [stacked, final] = fold<readonly Tensor[], readonly Tensor[], readonly Tensor[]>(
    step,
    initial,
    sequences,
    { length, reverse: reversed, recompute: false },
  );
  // Outputs are stacked in the order of the steps, or in reverse.
  const outputs = stacked.map((tensor, index) =>
    outputOf(tensor, outAxes[index], outBackwards[index] !== reversed)
  );
  return [...final.map(valueOf), ...outputs];
}

/** The operators of this file. */
export const scanOperators: Operators = {
  Scan: {
    attributes: [
      "body",
      "num_scan_inputs",
      "scan_input_axes",
      "scan_input_directions",
      "scan_output_axes",
      "scan_output_directions",
    ],
    inputs: [1, Infinity],
    outputs: Infinity,
    compute: scanned,
  },
};
