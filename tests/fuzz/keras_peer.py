"""Keras's side of the comparison of random models: loads each model and predicts.

    python keras_peer.py JOBS RESULTS

A job is { "model": path, "inputs": tree }; a result is { "outputs": list of arrays } or { "error": text }.
"""

import json
import os
import sys

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np


def arrays(tree):
    if isinstance(tree, list):
        return [arrays(item) for item in tree]
    if "data" in tree and "shape" in tree:
        return np.asarray(tree["data"], dtype=tree["dtype"]).reshape(tree["shape"])
    return {key: arrays(item) for key, item in tree.items()}


def leaves(tree):
    """Arrays in the order of sorted keys."""
    if isinstance(tree, dict):
        return [leaf for key in sorted(tree) for leaf in leaves(tree[key])]
    if isinstance(tree, (list, tuple)):
        return [leaf for item in tree for leaf in leaves(item)]
    return [np.asarray(tree)]


def plain(array):
    return {"shape": list(array.shape), "data": [v if np.isfinite(v) else None for v in array.ravel().tolist()]}


results = []
for job in json.load(open(sys.argv[1])):
    try:
        model = keras.saving.load_model(job["model"])
        results.append({"outputs": [plain(leaf) for leaf in leaves(model(arrays(job["inputs"]), training=False))]})
    except Exception as error:
        results.append({"error": f"{type(error).__name__}: {error}"[:400]})
    keras.backend.clear_session()
json.dump(results, open(sys.argv[2], "w"))
