"""Writes what the published models compute in the frameworks that they were made for, beside them.

    pip install numpy onnx onnxruntime safetensors tensorflow-cpu tf_keras keras torch
    python tests/published/outputs.py FOLDER [TEXT]

FOLDER has the model files, TEXT takes those whose path has it; for each of them FOLDER/outputs gets a file of inputs and
outputs, drawn with a fixed seed. Then `deno task models FOLDER` compares. A file that its framework cannot run is named.
"""

import json
import os
import shutil
import sys
import tempfile
import zipfile
import zlib
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import numpy as np
from safetensors.numpy import save_file

FRAMES = 40

# Numbers of features that no weight of the model shows.
OTHERS = (1, 144)

# Sizes by the name of an open axis, where a model's own file does not say them.
SIZES = {
    "image_width": 160,
    "sequence": 576,
    "sequence_length": 5,
    "batch": 1,
    "batch_size": 1,
    "seq": 12,
    "seq_len": 12,
    "src_len": 7,
    "tgt_len": 5,
    "input_length": 9,
    "frames": 60,
    "samples": 16000,
    "N": 1,
    "unk__749": 1,
    "p2o.DynamicDimension.0": 2,
    "p2o.DynamicDimension.1": 64,
    "p2o.DynamicDimension.2": 96,
    "?": 48,
}

# Values of inputs that are no data: numbers, and how many steps of a sequence count.
VALUES = {"sr": 16000, "fmin": 50, "fmax": 1000}
LENGTHS = {"input_lengths": ("seq", "input_length")}

TYPES = {"tensor(int64)": np.int64, "tensor(int32)": np.int32, "tensor(bool)": np.bool_}


def generator(name):
    return np.random.default_rng(zlib.crc32(name.encode()))


def write(folder, model, inputs, outputs):
    tensors = {f"in:{name}": np.asarray(x, order="C") for name, x in inputs.items()}
    tensors |= {f"out:{name}": np.asarray(x, order="C") for name, x in outputs.items()}
    narrow = {np.dtype(np.float64): np.float32, np.dtype(np.int64): np.int32, np.dtype(np.uint8): np.int32}
    tensors = {name: x.astype(narrow.get(x.dtype, x.dtype)) for name, x in tensors.items()}
    path = folder / "outputs" / (str(model.relative_to(folder)).replace("/", "__") + ".safetensors")
    path.parent.mkdir(exist_ok=True)
    save_file(tensors, path)


def onnx_inputs(session, draw, name, features):
    """Inputs for a session; open sizes without a name that says more are frames, then features."""
    found = {}
    open_axes = {size for given in session.get_inputs() for size in given.shape if isinstance(size, str)}
    for given in session.get_inputs():
        shape = []
        for axis, size in enumerate(given.shape):
            if isinstance(size, int) and size >= 0:
                shape.append(size)
            elif size in SIZES:
                shape.append(SIZES[size])
            elif "vad" in name:
                shape.append(1 if axis == 0 or given.name == "state" else SIZES["sequence"])
            elif "nakdimon" in name:
                shape.append([2, 90][axis])
            else:
                shape.append(2 if size == -1 else FRAMES if axis == 0 else features[min(axis, len(features)) - 1])
        dtype = TYPES.get(given.type, np.float32)
        if given.name in VALUES:
            found[given.name] = np.full(shape, VALUES[given.name], dtype)
        elif given.name in LENGTHS:
            (axis,) = open_axes & set(LENGTHS[given.name])
            found[given.name] = np.full(shape, SIZES[axis], dtype)
        elif dtype == np.bool_:
            found[given.name] = draw.random(shape) < 0.8
        elif dtype != np.float32:
            found[given.name] = draw.integers(1, 12, shape).astype(dtype)
        elif "nakdimon" in name:
            found[given.name] = draw.integers(1, 30, shape).astype(np.float32)
        elif "state" in given.name or given.name in ("h", "c"):
            found[given.name] = (0.1 * draw.standard_normal(shape)).astype(np.float32)
        elif "vad" in name:
            found[given.name] = (0.1 * draw.standard_normal(shape)).astype(np.float32)
        elif "PP-OCR" in name:
            found[given.name] = draw.standard_normal(shape).astype(np.float32)
        else:
            found[given.name] = draw.random(shape, np.float32)
    return found


def run_onnx(folder, path):
    import onnx
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = str(path.relative_to(folder))
    # The number of features is an open size in some files; the weights know it.
    weights = [list(tensor.dims) for tensor in onnx.load(path).graph.initializer]
    sizes = sorted({size for dims in weights for size in dims if size > 1}, reverse=True)
    several = [[size] for size in (*sizes, *OTHERS)]
    if any(len(given.shape) == 3 and not isinstance(given.shape[2], int) for given in session.get_inputs()):
        several = [[80, channels] for channels in (3, *sizes)]
    last = None
    for features in several or [[1]]:
        inputs = onnx_inputs(session, generator(name), name, features)
        try:
            outputs = session.run(None, inputs)
        except Exception as error:  # onnxruntime's errors have no class of their own
            last = error
            continue
        write(folder, path, inputs, {out.name: x for out, x in zip(session.get_outputs(), outputs)})
        return
    raise last


def keras_version(path):
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return json.loads(archive.read("metadata.json"))["keras_version"]
    import h5py

    with h5py.File(path) as file:
        version = file.attrs.get("keras_version", "2")
    return version.decode() if isinstance(version, bytes) else str(version)


def today(config):
    """The configuration of an old file in the words of the newest Keras 2, which misreads some of them."""
    if isinstance(config, list):
        return [today(part) for part in config]
    if not isinstance(config, dict):
        return config
    config = {name: today(part) for name, part in config.items()}
    if config.get("class_name") == "GRU":
        config["config"].setdefault("reset_after", False)
    if config.get("class_name") == "Embedding":
        config["config"]["dtype"] = "float32"  # it was that of the input
    return config


def load_keras(keras, path):
    if path.suffix == ".keras" or keras.__name__ == "keras":
        return keras.models.load_model(path, compile=False)
    import h5py

    with tempfile.TemporaryDirectory() as place:
        copy = shutil.copy(path, place)
        with h5py.File(copy, "r+") as file:
            file.attrs["model_config"] = json.dumps(today(json.loads(file.attrs["model_config"])))
        return keras.models.load_model(copy, compile=False)


def run_keras(folder, path):
    if keras_version(path).startswith("3"):
        import keras
    else:
        import tf_keras as keras
    model = load_keras(keras, path)
    draw = generator(str(path.relative_to(folder)))
    words = {id(layer.input): layer.input_dim for layer in model.layers if isinstance(layer, keras.layers.Embedding)}
    inputs = {}
    for at, given in enumerate(model.inputs):
        shape = [int(size or other) for size, other in zip(given.shape, [2, *[20] * len(given.shape)])]
        known = words.get(id(given))
        x = draw.standard_normal(shape) if known is None else draw.integers(0, known, shape)
        inputs[f"{at}"] = x.astype(np.float32 if known is None else np.int32)
    given = list(inputs.values())
    outputs = model.predict(given[0] if len(given) == 1 else given, batch_size=len(given[0]), verbose=0)
    several = outputs if isinstance(outputs, list) else [outputs]
    write(folder, path, inputs, {str(at): x for at, x in enumerate(several)})


def run_resemblyzer(folder, path):
    """Three LSTM layers over mel bands; the last state, rectified after a dense layer, of length 1."""
    import torch

    weights = torch.load(path, map_location="cpu", weights_only=True)["model_state"]
    lstm = torch.nn.LSTM(40, 256, 3, batch_first=True)
    lstm.load_state_dict({name[5:]: x for name, x in weights.items() if name.startswith("lstm.")})
    x = torch.from_numpy(generator(path.name).random((2, 30, 40), np.float32))
    with torch.no_grad():
        _, (hidden, _) = lstm(x)
        raw = torch.relu(hidden[-1] @ weights["linear.weight"].T + weights["linear.bias"])
        embedding = raw / raw.norm(dim=1, keepdim=True)
    write(folder, path, {"mels": x.numpy()}, {"embedding": embedding.numpy()})


def run_g2p(folder, path):
    """The encoder: a GRU over letters, with a bias before and after the reset gate."""
    weights = np.load(path)
    letters = generator(path.name).integers(3, 29, (2, 9))
    hidden = np.zeros((2, weights["enc_w_hh"].shape[1]), np.float32)
    sigmoid = lambda x: 1 / (1 + np.exp(-x))
    for at in range(letters.shape[1]):
        x = weights["enc_emb"][letters[:, at]]
        given = x @ weights["enc_w_ih"].T + weights["enc_b_ih"]
        before = hidden @ weights["enc_w_hh"].T + weights["enc_b_hh"]
        size = hidden.shape[1]
        reset = sigmoid(given[:, :size] + before[:, :size])
        update = sigmoid(given[:, size : 2 * size] + before[:, size : 2 * size])
        new = np.tanh(given[:, 2 * size :] + reset * before[:, 2 * size :])
        hidden = update * hidden + (1 - update) * new
    write(folder, path, {"letters": letters}, {"hidden": hidden})


def run_silero(folder, path):
    """Voice activity at 16 kHz: a transform by convolution, four convolutions, a cell, and one more."""
    import torch
    from safetensors.torch import load_file

    weights = load_file(str(path))
    relu, conv = torch.relu, torch.nn.functional.conv1d
    x = torch.from_numpy((0.1 * generator(path.name).standard_normal((1, 576))).astype(np.float32))
    with torch.no_grad():
        spectrum = conv(torch.nn.functional.pad(x, (0, 64), mode="reflect")[:, None], weights["stft_conv.weight"], stride=128)
        bins = spectrum.shape[1] // 2
        y = torch.sqrt(spectrum[:, :bins] ** 2 + spectrum[:, bins:] ** 2)
        for layer, stride in (("conv1", 1), ("conv2", 2), ("conv3", 2), ("conv4", 1)):
            y = relu(conv(y, weights[f"{layer}.weight"], weights[f"{layer}.bias"], stride=stride, padding=1))
        cell = torch.nn.LSTMCell(128, 128)
        cell.load_state_dict({name[10:]: w for name, w in weights.items() if name.startswith("lstm_cell.")})
        hidden, carry = cell(y.squeeze(-1))
        out = torch.sigmoid(conv(relu(hidden)[..., None], weights["final_conv.weight"], weights["final_conv.bias"]))
    write(folder, path, {"input": x.numpy()}, {"output": out.reshape(1).numpy(), "h": hidden.numpy(), "c": carry.numpy()})


BY_ENDING = {".onnx": run_onnx, ".h5": run_keras, ".hdf5": run_keras, ".keras": run_keras}
BY_NAME = {
    "pretrained.pt": run_resemblyzer,
    "checkpoint20.npz": run_g2p,
    "silero_vad_16k.safetensors": run_silero,
}


def main(folder, only=""):
    for path in sorted(folder.rglob("*")):
        if only not in str(path):
            continue
        run = BY_NAME.get(path.name) or BY_ENDING.get(path.suffix)
        if run is None or (folder / "outputs") in path.parents:
            continue
        try:
            run(folder, path)
        except Exception as error:  # of any framework
            lines = str(error).strip().splitlines() or [type(error).__name__]
            print(f"not run: {path.relative_to(folder)}: {lines[0][:200]}")


main(Path(sys.argv[1]).resolve(), *sys.argv[2:])
