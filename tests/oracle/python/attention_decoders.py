"""Makes the oracle's group attention_decoders: attention with masks by Keras, and what reads labels from predictions.

    python attention_decoders.py FILE.json.gz

Made with Keras 3.15.1 on TensorFlow 2.21 and PyTorch 2.15. The best tags of a chain are those of all sequences, tried
one by one.
"""

import gzip
import itertools
import json
import os
import sys

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
import torch
from keras import layers

random = np.random.default_rng(23)
cases = []


def floats(*shape):
    """Multiples of 1/256, which float32 has exactly."""
    return (np.round(random.normal(size=shape) * 256) / 256).astype("float32")


def plain(array):
    array = np.asarray(array)
    dtype = "bool" if array.dtype == bool else "int32" if array.dtype.kind in "iu" else "float32"
    return {"shape": list(array.shape), "dtype": dtype, "data": [float(f"{float(v):.9g}") for v in array.ravel()]}


def tensors(named):
    return {name: plain(value) for name, value in named.items()}


def attention_case(name, layer, class_name, config, inputs, mask=None, scores=False):
    """`inputs` are query, value and, where there is one, key; `mask` is that of the value."""
    xs = [tf.constant(x) for x in inputs]
    parts = {} if class_name != "MultiHeadAttention" else dict(zip(("query", "value", "key"), xs))
    masks = {} if mask is None else (
        {"value_mask": tf.constant(mask)} if parts else {"mask": [None, tf.constant(mask), None][: len(xs)]}
    )
    causal = {"use_causal_mask": True} if config.get("use_causal_mask") else {}
    more = {"return_attention_scores": True} if scores else {}
    call = lambda: layer(**parts, **masks, **causal, **more) if parts else layer(xs, **masks, **causal, **more)
    call()
    path = lambda w: "/".join(w.path.split("/")[1:]).replace("attention_output", "output") if parts else w.name
    for w in layer.weights:
        w.assign(floats(*w.shape))
    outputs = lambda: dict(zip(("output", "scores"), call() if scores else [call()]))
    cotangents = {key: floats(*value.shape) for key, value in outputs().items()}
    with tf.GradientTape() as tape:
        for x in xs:
            tape.watch(x)
        found = outputs()
        loss = tf.add_n([tf.reduce_sum(found[key] * cotangents[key]) for key in found])
    sources = {**{f"x_{i}": x for i, x in enumerate(xs)}, **{path(w): w.value for w in layer.weights}}
    grads = tape.gradient(loss, sources)
    cases.append({
        "name": name,
        "layer": class_name,
        "config": {**config, **({"return_attention_scores": True} if scores else {})},
        "inputs": {**tensors({f"x_{i}": x for i, x in enumerate(inputs)}), **({} if mask is None else {"mask_1": plain(mask)})},
        "weights": tensors({path(w): w.numpy() for w in layer.weights}),
        "outputs": tensors({key: value.numpy() for key, value in found.items()}),
        "cotangents": tensors(cotangents),
        "loss": float(f"{float(loss):.9g}"),
        # The softmax does not see what all scores have in common: by the key's bias the derivative is 0, and here noise.
        "grads": tensors({key: tf.convert_to_tensor(g).numpy() for key, g in grads.items() if key != "key/bias"}),
    })


def decoder_case(name, kind, config, inputs, outputs, notes=""):
    cases.append({
        "name": name, "layer": f"decoder:{kind}", "config": config, "inputs": tensors(inputs), "weights": {},
        "outputs": tensors(outputs), "notes": notes,
    })


seen = np.array([[True, True, False, True, False], [True, False, False, False, False]])
for name, config, sizes, mask, scores in (
    ("heads", {"num_heads": 2, "key_dim": 3}, ((2, 4, 5), (2, 5, 6)), None, False),
    ("heads_mask", {"num_heads": 3, "key_dim": 2}, ((2, 4, 5), (2, 5, 6)), seen, True),
    ("heads_key", {"num_heads": 2, "key_dim": 4, "value_dim": 3}, ((2, 3, 5), (2, 5, 2), (2, 5, 4)), seen, False),
    ("heads_causal", {"num_heads": 2, "key_dim": 2, "use_causal_mask": True}, ((2, 5, 4), (2, 5, 4)), None, True),
    ("heads_causal_mask", {"num_heads": 1, "key_dim": 3, "use_causal_mask": True}, ((2, 5, 4), (2, 5, 4)), seen, False),
    ("heads_no_bias", {"num_heads": 2, "key_dim": 3, "use_bias": False, "output_shape": 7}, ((1, 2, 3), (1, 4, 3)), None, False),
):
    ours = {k: v for k, v in config.items() if k != "use_causal_mask"}
    attention_case(name, layers.MultiHeadAttention(**ours), "MultiHeadAttention", config, [floats(*s) for s in sizes], mask, scores)
for class_name, options, sizes, mask, causal in (
    ("Attention", {"use_scale": True}, ((2, 3, 4), (2, 5, 4)), seen, False),
    ("Attention", {"use_scale": False}, ((2, 5, 4), (2, 5, 4)), seen, True),
    ("Attention", {"score_mode": "concat"}, ((2, 3, 4), (2, 5, 2), (2, 5, 4)), seen, False),
    ("AdditiveAttention", {"use_scale": True}, ((2, 3, 4), (2, 5, 4)), seen, False),
    ("AdditiveAttention", {"use_scale": False}, ((2, 5, 4), (2, 5, 4)), None, True),
):
    config = {**options, **({"use_causal_mask": True} if causal else {})}
    name = "_".join([class_name, *map(str, options.values()), *(["mask"] if mask is not None else []), *(["causal"] if causal else [])])
    attention_case(name.lower(), getattr(layers, class_name)(**options), class_name, config, [floats(*s) for s in sizes], mask, True)


def padded(rows):
    width = max(1, *map(len, rows))
    return np.array([list(row) + [-1] * (width - len(row)) for row in rows], "int32")


for name, classes, steps, lengths, blank in (
    ("first", 4, 6, [6, 6, 6], 0), ("last", 5, 7, [7, 3, 1], 4), ("inside", 4, 5, [5, 4, 2], 2), ("two", 2, 8, [8, 5, 3], 1),
):
    logits = floats(3, steps, classes) * np.float32(2)
    logs = np.asarray(torch.log_softmax(torch.tensor(logits.astype("float64")), -1))
    inputs = {"y_pred": logits, "lengths": np.array(lengths, "int32")}
    for strategy, more in (("greedy", {}), ("beam_search", {"beam_width": 200, "top_paths": 2})):
        decoded, scores = keras.ops.ctc_decode(
            logs.astype("float32"), np.array(lengths, "int32"), strategy=strategy, mask_index=blank,
            **({"merge_repeated": True} if strategy == "greedy" else more),
        )
        decoded, scores = np.asarray(decoded), np.asarray(scores)
        logprobs = -scores[:, 0] if strategy == "greedy" else scores[:, 0]  # Keras gives the negative one of the best alignment
        rows = [[label for label in row if label >= 0] for row in decoded[0]]
        decoder_case(f"ctc_{strategy}_{name}", {"greedy": "CtcGreedy", "beam_search": "CtcBeamSearch"}[strategy],
                     {"blank": blank, **more}, inputs, {"labels": padded(rows), "log_probability": logprobs.astype("float32")})

for name, tags, time, lengths in (("whole", 3, 5, [5, 5]), ("lengths", 4, 4, [4, 2, 1]), ("two", 2, 7, [7, 4])):
    arrays = {"y_pred": floats(len(lengths), time, tags), "start": floats(tags), "transitions": floats(tags, tags), "end": floats(tags)}
    p = {key: torch.tensor(value.astype("float64")) for key, value in arrays.items()}

    def score(row, chosen):
        total = p["start"][chosen[0]] + p["end"][chosen[-1]] + sum(p["y_pred"][row, t, tag] for t, tag in enumerate(chosen))
        return float(total + sum(p["transitions"][a, b] for a, b in zip(chosen, chosen[1:])))

    best = [max(((score(row, c), c) for c in itertools.product(range(tags), repeat=length)), key=lambda at: at[0])
            for row, length in enumerate(lengths)]
    rows = [list(c) + [-1] * (time - len(c)) for _, c in best]
    mask = np.arange(time)[None] < np.array(lengths)[:, None]
    decoder_case(f"viterbi_{name}", "Viterbi", {}, {**arrays, "mask": mask},
                 {"tags": np.array(rows, "int32"), "scores": np.array([s for s, _ in best], "float32")})


def sparse(rows):
    places = [[i, j] for i, row in enumerate(rows) for j, _ in enumerate(row)]
    values = [v for row in rows for v in row]
    return tf.SparseTensor(np.array(places, "int64").reshape(-1, 2), np.array(values, "int64"), [len(rows), 9])


for name, size in (("short", 4), ("long", 9)):
    a, b = ([list(random.integers(0, 3, size=random.integers(0, size + 1))) for _ in range(6)] for _ in range(2))
    distances = tf.edit_distance(sparse(a), sparse(b), normalize=False).numpy()
    distances = np.pad(distances, (0, 6 - len(distances)))
    decoder_case(f"edit_distance_{name}", "EditDistance", {}, {"a": padded(a), "b": padded(b)}, {"distances": distances.astype("float32")})

with gzip.GzipFile(sys.argv[1], "wb", compresslevel=9, mtime=0) as file:
    lines = ",\n".join(json.dumps(item, separators=(",", ":")) for item in cases)
    framework = {"keras": keras.__version__, "tensorflow": tf.__version__, "torch": torch.__version__, "numpy": np.__version__}
    header = json.dumps({"format": "rnn-oracle/1", "group": "attention_decoders", "set": "dev", "framework": framework})
    file.write(f'{header[:-1]},"cases":[\n{lines}\n]}}\n'.encode())
print(len(cases), "cases")
