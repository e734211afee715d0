"""
Files of torch.save and NumPy with what is in them, for tests/formats/torch: writes fixtures.json beside this folder.

    python tests/formats/torch/python/make_files.py

Needs torch and numpy. Every file is base64 of gzip; so is the JSON of what is expected.
"""

import base64
import collections
import gzip
import io
import json
import pathlib
import zipfile

import numpy as np
import torch
from torch import nn

torch.manual_seed(3)
files, expected = {}, {}


def values(tensor):
    """A tensor as its shape and flat values; floats are exact in JSON."""
    tensor = tensor.detach()
    flat = tensor.double() if tensor.is_floating_point() else tensor
    return {"shape": list(tensor.shape), "data": [str(v) for v in flat.reshape(-1).tolist()]}


def save(name, content, tensors, path="", others=(), **options):
    stream = io.BytesIO()
    torch.save(content, stream, **options)
    files[name] = stream.getvalue()
    expected[name] = {
        "path": path,
        "others": list(others),
        "tensors": {key: values(tensor) for key, tensor in tensors.items()},
    }


# Every dtype, beside every kind of plain data.
odd = [0.0, -0.0, 1.5, -2.75, 65504.0, 2.0**-24, float("inf"), float("-inf"), float("nan")]
dtypes = {
    "float32": torch.tensor(odd),
    "float64": torch.tensor(odd + [1 / 3], dtype=torch.float64),
    "float16": torch.tensor(odd, dtype=torch.float16),
    "bfloat16": torch.tensor(odd, dtype=torch.bfloat16),
    "bool": torch.tensor([True, False, True]),
    "int8": torch.tensor([-128, 127], dtype=torch.int8),
    "uint8": torch.tensor([0, 255], dtype=torch.uint8),
    "int16": torch.tensor([-32768, 32767], dtype=torch.int16),
    "uint16": torch.tensor([0, 65535], dtype=torch.uint16),
    "int32": torch.tensor([-(2**31), 2**31 - 1], dtype=torch.int32),
    "uint32": torch.tensor([0, 2**31 - 1], dtype=torch.uint32),
    "int64": torch.tensor([-(2**31), 2**31 - 1], dtype=torch.int64),
    "uint64": torch.tensor([0, 2**31 - 1], dtype=torch.uint64),
}
plain = {
    "none": None,
    "truth": [True, False],
    "numbers": (0, 255, 65536, -1, 2**40, -(2**70), 1.5, float("nan")),
    "texts": ["", "ä", "x" * 300],
    "bytes": [b"", b"\x00\xff"],
    "size": torch.Size([2, 3]),
    7: {"dtype": torch.float32},
    "ordered": collections.OrderedDict([("a", 1)]),
}
cycle = []
cycle.append(cycle)
everything = {"plain": plain, "cycle": cycle, "of": {"dtypes": dtypes}}
for protocol in (2, 4, 5):
    save(f"dtypes, protocol {protocol}", everything, dtypes, "of/dtypes", pickle_protocol=protocol)

# Views of one storage, in every order.
base = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4)
wide = torch.arange(12, dtype=torch.float64).reshape(3, 4)
views = collections.OrderedDict(
    base=base,
    transposed=base.permute(2, 0, 1),
    part=base[1, 1:, ::2],
    expanded=base[0, 0, :1].expand(3, 2),
    scalar=base[1, 2, 3],
    empty=base[:, :0],
    one=base[:1, :1, 1:2],
    parameter=nn.Parameter(base[0]),
    wide=wide.t()[1:],
    halves=torch.arange(6, dtype=torch.float16).reshape(2, 3).t(),
    small=torch.arange(6, dtype=torch.int8).reshape(2, 3).t(),
    long=torch.arange(6).reshape(2, 3).t(),
)
views["again"] = views["base"]
save("views", views, views)
save("views, before 1.6", views, views, _use_new_zipfile_serialization=False)


def swapped(content):
    """The same archive as a machine of the other order of bytes writes it."""
    sizes = {}
    original = zipfile.ZipFile(io.BytesIO(content))
    loaded = torch.load(io.BytesIO(content))
    for tensor in loaded.values():
        sizes[tensor.untyped_storage().nbytes()] = tensor.element_size()
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in original.namelist():
            data = original.read(name)
            if "/data/" in name:
                size = sizes[len(data)]
                data = np.frombuffer(data, f"V{size}").view(f"<u{size}").astype(f">u{size}").tobytes()
            archive.writestr(name, b"big" if name.endswith("/byteorder") else data)
    return stream.getvalue()


orders = {
    "float32": torch.tensor([[1.5, -2.0, 0.25], [3.0, 4.0, 5.0]]).t(),
    "float64": torch.tensor([1 / 3, 2.0], dtype=torch.float64),
    "int16": torch.tensor([1, -2, 300], dtype=torch.int16),
    "uint8": torch.tensor([1, 2, 3], dtype=torch.uint8),
}
save("big-endian", orders, orders)
files["big-endian"] = swapped(files["big-endian"])
back = torch.load(io.BytesIO(files["big-endian"]))
assert all(torch.equal(back[name], orders[name]) for name in orders)


# A checkpoint in the middle of training, and what the model gives.
class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(2, 2, num_layers=2, batch_first=True)
        self.fc = nn.Linear(2, 2)

    def forward(self, x):
        return self.fc(self.rnn(x)[0][:, -1])


def outputs(x, y):
    return {"x": values(x), "y": values(y)}


model, x = Model(), torch.randn(2, 4, 2)
optimizer = torch.optim.Adam(model.parameters())
model(x).sum().backward()
optimizer.step()
checkpoint = {"step": 1, "model_state": model.state_dict(), "optimizer": optimizer.state_dict()}
for name, new in (("checkpoint", True), ("checkpoint, before 1.6", False)):
    save(name, checkpoint, model.state_dict(), "model_state", _use_new_zipfile_serialization=new)
    expected[name]["outputs"] = outputs(x, model(x))
save("whole module", nn.Linear(2, 1), {})


# Cells, called step by step.
class Cells(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.gru, self.rnn = nn.LSTMCell(2, 3), nn.GRUCell(3, 3), nn.RNNCell(3, 2)

    def forward(self, x):
        state, h, g = None, None, None
        for step in x.unbind(1):
            state = self.lstm(step, state)
            g = self.gru(state[0], g)
            h = self.rnn(g, h)
        return h


cells = Cells()
save("cells", cells.state_dict(), cells.state_dict())
expected["cells"]["outputs"] = outputs(x, cells(x))

# Modules whose weights lie differently here.
modules = nn.ModuleDict({
    "conv1d": nn.Conv1d(4, 6, 3, groups=2),
    "conv2d": nn.Conv2d(2, 3, (2, 3), bias=False),
    "transpose1d": nn.ConvTranspose1d(4, 3, 3, stride=2),
    "transpose2d": nn.ConvTranspose2d(2, 3, (2, 3)),
    "attention": nn.MultiheadAttention(4, 2, batch_first=True),
    "other": nn.MultiheadAttention(4, 2, batch_first=True, kdim=3, vdim=2, bias=False),
})
for parameter in modules.parameters():
    nn.init.normal_(parameter)
save("modules", modules.state_dict(), modules.state_dict())
sequence, image = torch.randn(1, 5, 4), torch.randn(1, 3, 4, 2)
key, value = torch.randn(1, 3, 3), torch.randn(1, 3, 2)
expected["modules"]["outputs"] = {name: values(tensor) for name, tensor in {
    "sequence": sequence, "image": image, "key": key, "value": value,
    "conv1d": modules["conv1d"](sequence.mT).mT,
    "conv2d": modules["conv2d"](image.permute(0, 3, 1, 2)).permute(0, 2, 3, 1),
    "transpose1d": modules["transpose1d"](sequence.mT).mT,
    "transpose2d": modules["transpose2d"](image.permute(0, 3, 1, 2)).permute(0, 2, 3, 1),
    "attention": modules["attention"](sequence, sequence, sequence)[0],
    "other": modules["other"](sequence, key, value)[0],
}.items()}

# NumPy's files.
numbers = np.arange(6).reshape(2, 3)
arrays = {f"{order}{kind}": numbers.astype(order + kind) for order in "<>" for kind in
          ("f2", "f4", "f8", "i2", "i4", "i8", "u2", "u4", "u8")}
arrays |= {kind: numbers.astype(kind) for kind in ("i1", "u1", "?")}
arrays |= {f"fortran {name}": np.asfortranarray(array) for name, array in list(arrays.items())}
arrays |= {"axes": np.asfortranarray(np.arange(24, dtype="f4").reshape(2, 3, 4)),
           "scalar": np.float32(2.5), "empty": np.zeros((0, 3), "f4"), "odd": np.array(odd, "f8")}
for name, write in (("stored.npz", np.savez), ("compressed.npz", np.savez_compressed)):
    stream = io.BytesIO()
    write(stream, **arrays)
    files[name] = stream.getvalue()
    expected[name] = {"tensors": {key: {"shape": list(np.shape(array)), "data": [
        str(v) for v in np.asarray(array, "f8").reshape(-1).tolist()]} for key, array in arrays.items()}}
for name, array in {"object": np.array([None]), "complex": np.zeros(2, "c8"), "text": np.array(["a"]),
                    "structure": np.zeros(2, [("a", "f4")]), "date": np.zeros(1, "M8[s]")}.items():
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    files[f"{name}.npy"] = stream.getvalue()


def packed(data):
    return base64.b64encode(gzip.compress(data, mtime=0)).decode()


result = {
    "files": {name: packed(data) for name, data in files.items()},
    "expected": packed(json.dumps(expected).encode()),
}
target = pathlib.Path(__file__).parent.parent / "fixtures.json"
target.write_text(json.dumps(result, indent=2) + "\n")
print({name: len(value) for name, value in result["files"].items()}, len(result["expected"]))
