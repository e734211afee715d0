"""Writes fixtures/quantized.json.gz: small models as onnxruntime's tools quantize them, and what onnxruntime computes.

python quantized.py fixtures/quantized.json.gz     (onnx 1.23, onnxruntime 1.32)
"""

import base64
import gzip
import json
import pathlib
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static

random = np.random.default_rng(17)


def weights(name, *shape):
    return numpy_helper.from_array((random.standard_normal(shape) * 0.4).astype(np.float32), name)


def model(nodes, inputs, outputs, initializers):
    info = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    graph = helper.make_graph(
        nodes, "graph", [info(*i) for i in inputs.items()], [info(*o) for o in outputs.items()], initializers
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def dense():
    return model(
        [
            helper.make_node("MatMul", ["x", "w1"], ["a"]),
            helper.make_node("Add", ["a", "b1"], ["b"]),
            helper.make_node("Relu", ["b"], ["c"]),
            helper.make_node("MatMul", ["c", "w2"], ["y"]),
        ],
        {"x": ["batch", 5]},
        {"y": ["batch", 3]},
        [weights("w1", 5, 8), weights("b1", 8), weights("w2", 8, 3)],
    )


def recurrent():
    return model(
        [
            helper.make_node(
                "LSTM", ["x", "W", "R", "B"], ["s", "h"], hidden_size=6, direction="bidirectional"
            ),
            helper.make_node("Transpose", ["h"], ["t"], perm=[1, 0, 2]),
            helper.make_node("Reshape", ["t", "shape"], ["f"]),
            helper.make_node("MatMul", ["f", "w"], ["y"]),
        ],
        {"x": ["time", "batch", 4]},
        {"y": ["batch", 2]},
        [
            weights("W", 2, 24, 4),
            weights("R", 2, 24, 6),
            weights("B", 2, 48),
            numpy_helper.from_array(np.array([-1, 12], np.int64), "shape"),
            weights("w", 12, 2),
        ],
    )


def convolution():
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["a"], pads=[1, 1, 1, 1], strides=[2, 1]),
        helper.make_node("Sigmoid", ["a"], ["y"]),
    ]
    return model(nodes, {"x": ["batch", 2, 6, 5]}, {"y": ["batch", 3, 3, 5]}, [weights("w", 3, 2, 3, 3), weights("b", 3)])


def elementwise():
    """What the tools of onnxruntime write in its own domain."""
    own = lambda *a, **k: helper.make_node(*a, domain="com.microsoft", **k)
    number = lambda name, value: numpy_helper.from_array(np.array(value), name)
    nodes = [
        own("QuantizeLinear", ["x", "s", "z"], ["q"]),
        own("QLinearMul", ["q", "s", "z", "c", "cs", "cz", "ms", "mz"], ["m"]),
        own("QLinearLeakyRelu", ["m", "ms", "mz", "ls", "lz"], ["l"], alpha=0.25),
        own("DequantizeLinear", ["l", "ls", "lz"], ["y"]),
    ]
    numbers = {"s": np.float32(0.02), "z": np.uint8(120), "cs": np.float32(0.01), "cz": np.uint8(128)}
    numbers |= {"ms": np.float32(0.03), "mz": np.uint8(110), "ls": np.float32(0.025), "lz": np.uint8(60)}
    factors = numpy_helper.from_array(np.array([[10, 200, 255, 90, 130]], np.uint8), "c")
    m = model(nodes, {"x": ["batch", 5]}, {"y": ["batch", 5]}, [factors, *(number(n, v) for n, v in numbers.items())])
    m.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    return m


class Data(CalibrationDataReader):
    def __init__(self, batches):
        self.left = iter(batches)

    def get_next(self):
        return next(self.left, None)


def dequantized(quantized):
    """The same model with a float LSTM, as this library reads it: weights are dequantized, nothing else is rounded."""
    result = onnx.ModelProto()
    result.CopyFrom(quantized)
    known = {t.name: numpy_helper.to_array(t) for t in result.graph.initializer}
    for node in result.graph.node:
        if node.op_type != "DynamicQuantizeLSTM":
            continue
        inputs = list(node.input)
        for whole, scale, zero in [(1, 8, 9), (2, 10, 11)]:
            q, s, z = (known[inputs[i]].astype(np.float32) for i in (whole, scale, zero))
            wide = lambda part: part.reshape(q.shape[0], 1, -1)
            floats = np.transpose((q - wide(z)) * wide(s), (0, 2, 1))
            result.graph.initializer.append(numpy_helper.from_array(floats, f"floats{whole}"))
            inputs[whole] = f"floats{whole}"
        node.op_type, node.domain = "LSTM", ""
        node.ClearField("input")
        node.input.extend(inputs[:8])
    return result


def run(m, x):
    return ort.InferenceSession(m.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]


def case(name, m, x, exact=None):
    listed = lambda a: {"shape": list(a.shape), "data": [float(v) for v in a.ravel()]}
    entry = {"name": name, "model": base64.b64encode(m.SerializeToString()).decode(), "x": listed(x), "y": listed(run(m, x))}
    if exact is not None:
        entry["exact"] = listed(run(exact, x))
    return entry


def main(path):
    cases = []
    shapes = {"dense": (7, 5), "recurrent": (6, 3, 4), "convolution": (2, 2, 6, 5)}
    with tempfile.TemporaryDirectory() as folder:
        source, target = f"{folder}/float.onnx", f"{folder}/quantized.onnx"
        for make in (dense, recurrent, convolution):
            name = make.__name__
            onnx.save(make(), source)
            x = random.standard_normal(shapes[name]).astype(np.float32)
            for per_channel in (False, True):
                quantize_dynamic(source, target, per_channel=per_channel, weight_type=QuantType.QInt8)
                m = onnx.load(target)
                label = f"{name}, dynamic{', by column' if per_channel else ''}"
                cases.append(case(label, m, x, dequantized(m) if make is recurrent else None))
            if make is recurrent:
                continue
            for format in (QuantFormat.QDQ, QuantFormat.QOperator):
                batches = [{"x": random.standard_normal(shapes[name]).astype(np.float32)} for _ in range(4)]
                quantize_static(source, target, Data(batches), quant_format=format, per_channel=True)
                cases.append(case(f"{name}, {format.name}", onnx.load(target), x))
    cases.append(case("elementwise, QOperator", elementwise(), random.standard_normal((6, 5)).astype(np.float32)))
    for entry in cases:
        m = onnx.load_from_string(base64.b64decode(entry["model"]))
        print(entry["name"], sorted({n.op_type for n in m.graph.node}))
    text = json.dumps(cases, separators=(",", ":"))
    pathlib.Path(path).write_bytes(gzip.compress(text.encode(), 9, mtime=0))


if __name__ == "__main__":
    main(sys.argv[1])
