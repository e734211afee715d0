/** A scan of a Program as ONNX's Scan: its body is the step's own Program. */
import { stackedSpec, timeAxis, type Value } from "../../../src/program/types.ts";
import type { Spec } from "../../../src/tensor/tensor.ts";
import type { Edge } from "./graph_builder.ts";
import type { Translation, Written } from "./translation.ts";

/** Writes a scan. Its body refers to constants by their outer names. */
export function translateScan(t: Translation, { inputs, outputs, attributes }: Written<"scan">): void {
  const { body, constants, carries, length, reverse } = attributes;
  const { builder } = t;
  const sequences = inputs.slice(constants + carries);
  const inner = builder.inner();
  const edgeOf = ({ shape, dtype }: Spec, name: string): Edge => ({
    shape,
    dtype,
    edge: builder.local(name),
  });
  // ONNX infers the number of steps from a sequence: a scan without one gets one to count.
  const counted: Spec = { shape: [], dtype: "int32" };
  const slices = body.inputs.slice(constants + carries);
  const stateEdges = body.inputs.slice(constants, constants + carries).map((value) => edgeOf(value, "state"));
  const sliceEdges = (slices.length === 0 ? [counted] : slices).map((value) => edgeOf(value, "step"));
  const sequenceNames = sequences.length === 0
    ? [builder.node("Expand", [builder.scalar(0, "int32"), builder.shape([length])])]
    : sequences.map((value) => t.name(value));
  const names = t.write(inner, body, (index) => {
    if (index < constants) return t.name(inputs[index]);
    return [...stateEdges, ...sliceEdges][index - constants].edge;
  });
  const results = body.outputs.map((value, index) => {
    const edge = edgeOf(value, index < carries ? "next" : "output");
    inner.named("Identity", [names[index]], edge.edge);
    return edge;
  });
  const directionsOf = (count: number) => ({ ints: Array.from({ length: count }, () => Number(reverse)) });
  const timeOf = ({ shape }: Spec) => timeAxis(shape.length);
  const stacked = body.outputs.slice(carries).map((value: Value) => stackedSpec(value, length));
  const made = builder.nodeOf(
    "Scan",
    [...inputs.slice(constants, constants + carries).map((value) => t.name(value)), ...sequenceNames],
    body.outputs.map(() => true),
    {
      body: { graph: inner.graph("step", [...stateEdges, ...sliceEdges], results) },
      num_scan_inputs: { int: sequenceNames.length },
      scan_input_axes: { ints: sequences.length === 0 ? [0] : sequences.map(timeOf) },
      scan_input_directions: directionsOf(sequenceNames.length),
      ...(stacked.length === 0 ? {} : {
        scan_output_axes: { ints: stacked.map(timeOf) },
        scan_output_directions: directionsOf(stacked.length),
      }),
    },
  );
  outputs.forEach((value, index) => t.set(value, made[index]));
}
