"""
Writes tests/examples/fixtures/small_detector.onnx: a detector of the form of Silero's, with untrained weights.

    python tests/examples/python/small_detector.py

Frames of 576 samples, a state [2, batch, 8] and the rate go in. The branch for 16 kHz
has a basis of 8 filters of 32 samples, magnitudes, an LSTM of 8 units and a sigmoid.
"""
import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

UNITS, FILTERS, WINDOW = 8, 8, 32
random = np.random.default_rng(0)


def weights(name, *shape):
    scale = 1 / np.sqrt(np.prod(shape[1:])) if len(shape) > 1 else 0.1
    return numpy_helper.from_array((scale * random.standard_normal(shape)).astype(np.float32), name)


def ints(name, *values):
    return numpy_helper.from_array(np.array(values, np.int64), name)


def branch(name, stride):
    """Filters with this stride, the mean of their magnitudes, and the LSTM."""
    here = lambda part: f"{name}.{part}"
    node = lambda kind, inputs, outputs, **options: helper.make_node(
        kind, inputs, [here(part) for part in outputs], here(kind + outputs[0]), **options)
    nodes = [
        node("Unsqueeze", ["input", here("one")], ["sound"]),
        node("Conv", [here("sound"), here("basis")], ["filtered"], strides=[stride]),
        node("Abs", [here("filtered")], ["magnitudes"]),
        node("ReduceMean", [here("magnitudes")], ["mean"], axes=[2], keepdims=0),
        node("Unsqueeze", [here("mean"), here("zero")], ["sequence"]),
        node("Split", ["state"], ["h", "c"], axis=0),
        node("LSTM", [here("sequence"), here("w"), here("r"), here("b"), "", here("h"), here("c")],
             ["y", "hn", "cn"], hidden_size=UNITS),
        node("Squeeze", [here("hn"), here("zero")], ["last"]),
        node("Gemm", [here("last"), here("dense"), here("bias")], ["logit"]),
        node("Sigmoid", [here("logit")], ["probability"]),
        node("Concat", [here("hn"), here("cn")], ["after"], axis=0),
    ]
    held = [
        weights(here("basis"), FILTERS, 1, WINDOW), weights(here("w"), 1, 4 * UNITS, FILTERS),
        weights(here("r"), 1, 4 * UNITS, UNITS), weights(here("b"), 1, 8 * UNITS),
        weights(here("dense"), UNITS, 1), weights(here("bias"), 1), ints(here("one"), 1), ints(here("zero"), 0),
    ]
    results = [
        helper.make_tensor_value_info(here("probability"), TensorProto.FLOAT, [None, 1]),
        helper.make_tensor_value_info(here("after"), TensorProto.FLOAT, [2, None, UNITS]),
    ]
    return helper.make_graph(nodes, name, [], results, held)


graph = helper.make_graph(
    [
        helper.make_node("Equal", ["sr", "rate"], ["is_16k"]),
        helper.make_node("If", ["is_16k"], ["output", "stateN"],
                         then_branch=branch("of_16k", 32), else_branch=branch("of_8k", 64)),
    ],
    "small_detector",
    [
        helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 576]),
        helper.make_tensor_value_info("state", TensorProto.FLOAT, [2, "batch", UNITS]),
        helper.make_tensor_value_info("sr", TensorProto.INT64, []),
    ],
    [
        helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", 1]),
        helper.make_tensor_value_info("stateN", TensorProto.FLOAT, [2, "batch", UNITS]),
    ],
    [numpy_helper.from_array(np.array(16000, np.int64), "rate")],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 16)], ir_version=8)
onnx.checker.check_model(model, full_check=True)
path = pathlib.Path(__file__).parent.parent / "fixtures" / "small_detector.onnx"
path.write_bytes(model.SerializeToString())
print(path.name, path.stat().st_size, "bytes")
