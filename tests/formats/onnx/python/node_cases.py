"""Writes the node tests of the package `onnx`: python node_cases.py FOLDER [NAME ...]

A folder for each test, with model.onnx and data.onnx, a model whose initializers are the inputs ("in:" and a name) and the
outputs ("out:" and a name). Newer versions of the package do not contain the tests as files, but the code that makes them.
Tests whose data are not all tensors of numbers are left out; the last line written says how many.
"""

import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.backend.test.case.node import collect_testcases


def tensor(name, value):
    if isinstance(value, TensorProto):
        copy = TensorProto()
        copy.CopyFrom(value)
        copy.name = name
        return copy
    array = np.asarray(value)
    return None if array.dtype == object or array.dtype.kind in "SU" else numpy_helper.from_array(array, name)


def main(folder, names):
    left_out = 0
    for case in collect_testcases(None):
        if names and case.name not in names:
            continue
        graph = case.model.graph
        # A data set may be a function that makes it.
        inputs, outputs = case.data_sets[0]
        pairs = [("in:" + i.name, x) for i, x in zip(graph.input, inputs)]
        pairs += [("out:" + o.name, x) for o, x in zip(graph.output, outputs)]
        plain = all(i.type.HasField("tensor_type") for i in [*graph.input, *graph.output])
        tensors = [tensor(*pair) for pair in pairs] if plain else [None]
        if any(t is None for t in tensors):
            left_out += 1
            continue
        target = pathlib.Path(folder) / case.name
        target.mkdir(parents=True, exist_ok=True)
        (target / "model.onnx").write_bytes(case.model.SerializeToString())
        data = helper.make_model(helper.make_graph([], "data", [], [], tensors))
        (target / "data.onnx").write_bytes(data.SerializeToString())
    print(f"onnx {onnx.__version__}: {left_out} tests have other data than tensors of numbers")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
