"""Writes the node tests of the package `onnx`.

python node_cases.py FOLDER             a folder for each test, with model.onnx and data.onnx
python node_cases.py NAME.json.gz       the sample that this repository keeps: the smallest tests of some operators

data.onnx is a model whose initializers are the inputs ("in:" and a name) and the outputs ("out:" and a name). Newer versions
of the package do not contain the tests as files, but the code that makes them. Tests whose data are not all tensors of
numbers are left out; the last line written says how many. The sample was written with onnx 1.23.2.
"""

import base64
import gzip
import json
import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.backend.test.case.node import collect_testcases

# Operators that other tests compare with onnxruntime are not among them.
SAMPLED = """
Acos Acosh Asin Asinh Atan Atanh Attention BlackmanWindow Celu Cosh CumProd DFT DepthToSpace DequantizeLinear DynamicQuantizeLinear
EyeLike GatherND HammingWindow HannWindow Hardmax IsInf IsNaN LRN LpNormalization MatMulInteger MeanVarianceNormalization
MelWeightMatrix Mod OneHot Pow QLinearMatMul QuantizeLinear RMSNormalization ReduceMax ReduceProd Resize STFT Scatter
ScatterElements ScatterND Shrink Sinh SpaceToDepth Swish Tan Trilu Upsample
""".split()
# So many of each, if they are no larger than this many bytes; one of each in any case.
MOST_TESTS, MOST_BYTES = 8, 700
# The types that the library reads.
TYPES = {getattr(TensorProto, n) for n in "FLOAT DOUBLE BOOL INT64 INT32 INT16 INT8 UINT16 UINT8".split()}


def tensor(name, value):
    if isinstance(value, TensorProto):
        copy = TensorProto()
        copy.CopyFrom(value)
        copy.name = name
        return copy
    array = np.asarray(value)
    return None if array.dtype == object or array.dtype.kind in "SU" else numpy_helper.from_array(array, name)


def tests():
    """The model and the data of each test, by name; without data where these are no tensors."""
    for case in collect_testcases(None):
        graph = case.model.graph
        inputs, outputs = case.data_sets[0]
        pairs = [("in:" + i.name, x) for i, x in zip(graph.input, inputs)]
        pairs += [("out:" + o.name, x) for o, x in zip(graph.output, outputs)]
        plain = all(i.type.HasField("tensor_type") for i in [*graph.input, *graph.output])
        tensors = [tensor(*pair) for pair in pairs] if plain else [None]
        data = None if None in tensors else helper.make_model(helper.make_graph([], "data", [], [], tensors))
        yield case.name, case.model, data


def write_all(folder):
    left_out = 0
    for name, model, data in tests():
        if data is None:
            left_out += 1
            continue
        target = pathlib.Path(folder) / name
        target.mkdir(parents=True, exist_ok=True)
        (target / "model.onnx").write_bytes(model.SerializeToString())
        (target / "data.onnx").write_bytes(data.SerializeToString())
    print(f"onnx {onnx.__version__}: {left_out} tests have other data than tensors of numbers")


def write_sample(path):
    found = {}
    for name, model, data in tests():
        [operator, *others] = [node.op_type for node in model.graph.node]
        types = [] if data is None else [t.data_type for t in data.graph.initializer]
        if others or operator not in SAMPLED or data is None or not TYPES.issuperset(types):
            continue
        both = [message.SerializeToString() for message in (model, data)]
        found.setdefault(operator, []).append((sum(map(len, both)), name, both))
    chosen = {}
    for operator in SAMPLED:
        for index, (size, name, both) in enumerate(sorted(found[operator])[:MOST_TESTS]):
            if index == 0 or size <= MOST_BYTES:
                chosen[name] = [base64.b64encode(part).decode() for part in both]
    text = json.dumps(chosen, separators=(",", ":"))
    pathlib.Path(path).write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    print(f"{len(chosen)} tests")


if __name__ == "__main__":
    (write_sample if sys.argv[1].endswith(".json.gz") else write_all)(sys.argv[1])
