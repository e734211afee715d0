/**
 * The guide's model as ONNX (https://onnx.ai/onnx/intro/concepts.html; field numbers from onnx.proto3):
 * batch-major input, transposed for the LSTM operator, then batch normalization and the logits. Its weights
 * are random, as only its speed is measured.
 */
import { noise } from "../../examples/support/section.ts";
import type { ModelTask } from "../support/tasks.ts";
import { bytes, type Field, float, integer, joined, message, text } from "./protobuf.ts";

const FLOAT = 1, INT64 = 7;
const ATTRIBUTE_FLOAT = 1, ATTRIBUTE_INT = 2, ATTRIBUTE_INTS = 7;
const IR_VERSION = 8, OPSET = 17, CLASSES = 10;

/** The names of the model's input and output. */
export const INPUT = "x", OUTPUT = "logits";

/** The bytes of the model for a prediction task. */
export function onnxModel({ batch, time, features, units }: ModelTask): Uint8Array<ArrayBuffer> {
  const nodes = [
    node("Transpose", ["x"], ["steps"], [ints("perm", [1, 0, 2])]),
    node("LSTM", ["steps", "W", "R", "B"], ["", "last"], [int("hidden_size", units)]),
    node("Squeeze", ["last", "axes"], ["h"]),
    node("BatchNormalization", ["h", "scale", "shift", "mean", "variance"], ["normal"], [
      real("epsilon", 0.001),
    ]),
    node("Gemm", ["normal", "kernel", "bias"], [OUTPUT]),
  ];
  const weights: readonly (readonly [name: string, shape: readonly number[]])[] = [
    ["W", [1, 4 * units, features]],
    ["R", [1, 4 * units, units]],
    ["B", [1, 8 * units]],
    ["scale", [units]],
    ["shift", [units]],
    ["mean", [units]],
    ["variance", [units]],
    ["kernel", [units, CLASSES]],
    ["bias", [CLASSES]],
  ];
  const graph = [
    ...nodes,
    text(2, "guide"),
    ...weights.map(([name, shape], index) => weight(name, shape, index + 1)),
    message(5, [integer(1, 1), integer(2, INT64), text(8, "axes"), bytes(9, littleEndian64(0))]),
    message(11, valueInfo(INPUT, [batch, time, features])),
    message(12, valueInfo(OUTPUT, [batch, CLASSES])),
  ];
  return joined([integer(1, IR_VERSION), message(7, graph), message(8, [integer(2, OPSET)])]);
}

function node(
  operator: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: readonly Field[] = [],
): Field {
  return message(1, [
    ...inputs.map((name) => text(1, name)),
    ...outputs.map((name) => text(2, name)),
    text(4, operator),
    ...attributes,
  ]);
}

function int(name: string, value: number): Field {
  return message(5, [text(1, name), integer(3, value), integer(20, ATTRIBUTE_INT)]);
}

function ints(name: string, values: readonly number[]): Field {
  return message(5, [
    text(1, name),
    ...values.map((value) => integer(8, value)),
    integer(20, ATTRIBUTE_INTS),
  ]);
}

function real(name: string, value: number): Field {
  return message(5, [text(1, name), float(2, value), integer(20, ATTRIBUTE_FLOAT)]);
}

/** Small weights; none is negative, so they can serve as variances too. */
function weight(name: string, shape: readonly number[], seed: number): Field {
  const values = noise(shape, seed).data.map((value) => 0.1 * value + 0.01);
  const raw = new Uint8Array(new Float32Array(values).buffer);
  return message(5, [
    ...shape.map((size) => integer(1, size)),
    integer(2, FLOAT),
    text(8, name),
    bytes(9, raw),
  ]);
}

function valueInfo(name: string, shape: readonly number[]): readonly Field[] {
  const dims = shape.map((size) => message(1, [integer(1, size)]));
  return [text(1, name), message(2, [message(1, [integer(1, FLOAT), message(2, dims)])])];
}

function littleEndian64(value: number): Uint8Array {
  return new Uint8Array(new BigInt64Array([BigInt(value)]).buffer);
}
