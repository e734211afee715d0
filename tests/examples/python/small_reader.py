"""
Writes tests/examples/fixtures/small_reader.onnx: a reader of the form of ddddocr's, with untrained weights.

    python tests/examples/python/small_reader.py

A picture [1, 1, 64, width] goes in; a convolution makes columns of 8 by 8 pixels, which an LSTM of 8 units reads both
ways. Logits [steps, 1, classes] come out, of the blank and the 34 characters that the example draws.
"""
import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FILTERS, PIXELS, UNITS, CLASSES = 6, 8, 8, 35
FEATURES = FILTERS * 64 // PIXELS
random = np.random.default_rng(0)


def weights(name, *shape):
    scale = 1 / np.sqrt(np.prod(shape[1:])) if len(shape) > 1 else 0.1
    return numpy_helper.from_array((scale * random.standard_normal(shape)).astype(np.float32), name)


def ints(name, *values):
    return numpy_helper.from_array(np.array(values, np.int64), name)


graph = helper.make_graph(
    [
        helper.make_node("Conv", ["input1", "kernel", "bias"], ["filtered"], strides=[PIXELS, PIXELS]),
        helper.make_node("Relu", ["filtered"], ["rectified"]),
        helper.make_node("Transpose", ["rectified"], ["columns"], perm=[3, 0, 1, 2]),
        helper.make_node("Reshape", ["columns", "as_sequence"], ["sequence"]),
        helper.make_node("LSTM", ["sequence", "w", "r", "b"], ["y"], hidden_size=UNITS, direction="bidirectional"),
        helper.make_node("Transpose", ["y"], ["both"], perm=[0, 2, 1, 3]),
        helper.make_node("Reshape", ["both", "as_vectors"], ["vectors"]),
        helper.make_node("MatMul", ["vectors", "dense"], ["products"]),
        helper.make_node("Add", ["products", "classes"], ["387"]),
    ],
    "small_reader",
    [helper.make_tensor_value_info("input1", TensorProto.FLOAT, [1, 1, 64, "image_width"])],
    [helper.make_tensor_value_info("387", TensorProto.FLOAT, ["steps", 1, CLASSES])],
    [
        weights("kernel", FILTERS, 1, PIXELS, PIXELS), weights("bias", FILTERS),
        weights("w", 2, 4 * UNITS, FEATURES), weights("r", 2, 4 * UNITS, UNITS), weights("b", 2, 8 * UNITS),
        weights("dense", 2 * UNITS, CLASSES), weights("classes", CLASSES),
        ints("as_sequence", 0, 0, FEATURES), ints("as_vectors", 0, 0, 2 * UNITS),
    ],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 12)], ir_version=6)
onnx.checker.check_model(model, full_check=True)
path = pathlib.Path(__file__).parent.parent / "fixtures" / "small_reader.onnx"
path.write_bytes(model.SerializeToString())
