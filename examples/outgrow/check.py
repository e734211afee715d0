"""Holds ONNX files against ONNX's checker, and what onnxruntime computes against what is expected.

    python check.py MODEL.onnx...

Beside each model lies MODEL.safetensors with tensors `input/NAME` and `output/NAME`. Prints a line of JSON for each
model: its operator set, and the largest difference of an output. Where an output has values above 1, that is relative
to its largest: terms of a sum may cancel, and rounding is as large as they are.
"""

import json
import sys

import numpy as np
import onnx
import onnxruntime
from safetensors.numpy import load_file


def largest_difference(path):
    tensors = load_file(path.removesuffix(".onnx") + ".safetensors")
    inputs = {name.removeprefix("input/"): t for name, t in tensors.items() if name.startswith("input/")}
    expected = {name.removeprefix("output/"): t for name, t in tensors.items() if name.startswith("output/")}
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    if sorted(names) != sorted(expected):
        raise SystemExit(f"{path} has the outputs {names}, expected {sorted(expected)}")
    largest = 0.0
    for name, actual in zip(names, session.run(names, inputs)):
        if actual.shape != expected[name].shape:
            raise SystemExit(f"{path}: {name} is {actual.shape}, expected {expected[name].shape}")
        difference = np.abs(actual - expected[name]).max() / max(1, np.abs(expected[name]).max())
        if not np.isfinite(difference):
            raise SystemExit(f"{path}: {name} holds numbers that are not finite")
        largest = max(largest, float(difference))
    return largest


for path in sys.argv[1:]:
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    opset = next(entry.version for entry in model.opset_import if entry.domain == "")
    print(json.dumps({"opset": opset, "difference": largest_difference(path)}), flush=True)
