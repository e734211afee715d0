"""Keras's side of the live tests: for each job of a JSON file, loads a model (and weights), predicts and saves again.

    python peer.py JOBS RESULTS

A job is { "model": path, "weights": path or null, "inputs": tree, "save": path or null, "saveWeights": path or null }.
"""

import json
import os
import sys

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np


def array(tensor):
    return np.asarray(tensor["data"], dtype=tensor["dtype"]).reshape(tensor["shape"])


def arrays(tree):
    if isinstance(tree, list):
        return [arrays(item) for item in tree]
    if "data" in tree and "shape" in tree:
        return array(tree)
    return {key: arrays(item) for key, item in tree.items()}


def plain(tree):
    if isinstance(tree, dict):
        return {key: plain(item) for key, item in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [plain(item) for item in tree]
    tensor = np.asarray(tree)
    return {"shape": list(tensor.shape), "dtype": "float32", "data": [float(f"{v:.9g}") for v in tensor.ravel()]}


results = []
for job in json.load(open(sys.argv[1])):
    model = keras.saving.load_model(job["model"])
    if job.get("weights"):
        model.load_weights(job["weights"])
    outputs = plain(model(arrays(job["inputs"]), training=False))
    results.append({
        "name": model.name,
        "penalty": float(sum(model.losses)),
        "trainable": [layer.trainable for layer in model.layers],
        "outputs": outputs,
    })
    if job.get("save"):
        model.save(job["save"])
    if job.get("saveWeights"):
        model.save_weights(job["saveWeights"])
json.dump(results, open(sys.argv[2], "w"))
