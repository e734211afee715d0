"""Makes the cases of the group regularizers: training with regularizers and constraints, by Keras.

    python regularizers.py FILE.json.gz

Made with Keras 3.15.1 on TensorFlow 2.21.
"""

import gzip
import json
import os
import sys

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from keras import constraints, layers, regularizers

random = np.random.default_rng(23)


def floats(*shape):
    """Multiples of 1/256, which float32 has exactly."""
    return (np.round(random.normal(size=shape) * 256) / 256).astype("float32")


def plain(array):
    array = np.asarray(array)
    dtype = "int32" if array.dtype.kind in "iu" else "float32"
    return {"shape": list(array.shape), "dtype": dtype, "data": [float(f"{float(v):.9g}") for v in array.ravel()]}


def tensors(named):
    return {name: plain(value) for name, value in named.items()}


def named(layer):
    """A layer's variables by the oracle's names."""
    if isinstance(layer, layers.Bidirectional):
        ways = {"forward": layer.forward_layer, "backward": layer.backward_layer}
        return {f"{way}/{name}": v for way, inner in ways.items() for name, v in named(inner).items()}
    if isinstance(layer, layers.RNN) and isinstance(layer.cell, layers.StackedRNNCells):
        return {f"cell{i}/{v.name}": v for i, cell in enumerate(layer.cell.cells) for v in cell.weights}
    return {v.name: v for v in layer.weights}


def config_of(value):
    """What Keras writes, without what is null and what has no effect here."""
    if isinstance(value, list):
        return [config_of(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "class_name" in value:
        return {"class_name": value["class_name"], "config": config_of(value["config"])}
    without = ("dtype", "name", "initializer", "seed", "data_format", "input_length", "synchronized", "renorm", "renorm_momentum")
    kept = {k: config_of(v) for k, v in value.items() if v is not None and not k.endswith(without)}
    return {k: v for k, v in kept.items() if k != "trainable" or v is False}


def built(inner, shape):
    model = keras.Sequential(inner)
    model.build(shape)
    variables = {f"{i}/{name}": v for i, layer in enumerate(model.layers) for name, v in named(layer).items()}
    for name, v in variables.items():
        if "moving" not in name:
            v.assign(floats(*v.shape) / 2)
    return model, variables


def head(name, kind, model, variables, optimizer, rest):
    objects = [config_of(keras.saving.serialize_keras_object(layer)) for layer in model.layers]
    trained = {id(v) for v in model.trainable_variables}
    return {
        "name": name,
        "layer": f"Sequential.{kind}",
        "config": {
            "layers": objects,
            "optimizer": optimizer,
            "loss": {"class_name": "MeanSquaredError", "config": {}},
            "metrics": ["mae"],
            "trainable_weights": [name for name, v in variables.items() if id(v) in trained],
            **rest,
        },
        "inputs": {},
        "weights": tensors({name: v.numpy() for name, v in variables.items()}),
        "outputs": {},
        "notes": "",
    }


def maker(optimizer):
    return getattr(keras.optimizers, optimizer["class_name"])(**optimizer["config"])


def train_case(name, inner, shape, optimizer=None, tokens=None):
    """Three steps by SGD, with the loss as `fit` computes it."""
    optimizer = optimizer or {"class_name": "SGD", "config": {"learning_rate": 0.1}}
    model, variables = built(inner, (None, *shape))
    model.compile(optimizer=maker(optimizer), loss="mse")
    case = head(name, "train", model, variables, optimizer, {})
    trained = {name: v for name, v in variables.items() if any(v is t for t in model.trainable_variables)}
    steps = []
    for size in [4, 3, 4]:
        x = floats(size, *shape) if tokens is None else random.integers(0, tokens, (size, *shape)).astype("int32")
        y = floats(*model(x).shape)
        with tf.GradientTape() as tape:
            output = model(x, training=True)
            loss = model.compute_loss(x, y, output, training=True)
            mae = keras.ops.mean(keras.ops.abs(y - output))
        gradients = tape.gradient(loss, [v.value for v in trained.values()])
        model.optimizer.apply(gradients, list(trained.values()))
        grads = {name: tf.convert_to_tensor(g).numpy() for name, g in zip(trained, gradients)}
        steps.append(
            {
                "inputs": tensors({"x": x, "y": y}),
                "outputs": {"loss": plain(loss.numpy()), "mae": plain(mae.numpy())},
                "grads": tensors(grads),
                "weights_after": tensors({name: v.numpy() for name, v in variables.items()}),
            }
        )
    return {**case, "steps": steps}


def fit_case(name, inner, shape, optimizer):
    """`fit` and `evaluate` on batches of which the last is smaller."""
    model, variables = built(inner, (None, *shape))
    model.compile(optimizer=maker(optimizer), loss="mse", metrics=["mae"])
    case = head(name, "fit", model, variables, optimizer, {"batch_size": 4, "epochs": 3, "shuffle": False})
    x, x_val = floats(10, *shape), floats(5, *shape)
    y, y_val = floats(*model(x).shape), floats(*model(x_val).shape)
    history = model.fit(x, y, batch_size=4, epochs=3, shuffle=False, validation_data=(x_val, y_val), verbose=0)
    logs = model.evaluate(x, y, batch_size=4, verbose=0, return_dict=True)
    return {
        **case,
        "inputs": tensors({"x": x, "y": y, "x_val": x_val, "y_val": y_val}),
        "history": {key: [float(v) for v in values] for key, values in history.history.items()},
        "weights_after": tensors({name: v.numpy() for name, v in variables.items()}),
        "outputs": {"evaluate": {key: plain(np.float32(v)) for key, v in logs.items()}},
    }


l1, l2, both = regularizers.L1, regularizers.L2, regularizers.L1L2
orthogonal = regularizers.OrthogonalRegularizer


def cases():
    recurrent = {
        "kernel_regularizer": l2(0.03),
        "recurrent_regularizer": both(0.01, 0.02),
        "bias_regularizer": l1(0.05),
    }
    yield train_case(
        "dense_all",
        [
            layers.Dense(4, "tanh", kernel_regularizer=both(0.01, 0.02), bias_regularizer="l2", activity_regularizer="l1"),
            layers.Dense(3, kernel_regularizer=orthogonal(0.3), activity_regularizer=l2(0.1)),
        ],
        (5,),
    )
    yield train_case(
        "orthogonal_columns",
        [layers.Dense(4, kernel_regularizer=orthogonal(0.5, "columns"), activity_regularizer=orthogonal(0.2))],
        (3,),
    )
    yield train_case(
        "lstm_all",
        [layers.LSTM(3, return_sequences=True, activity_regularizer=l2(0.05), **recurrent), layers.LSTM(2, **recurrent)],
        (5, 2),
    )
    yield train_case(
        "gru_bidirectional",
        [layers.Bidirectional(layers.GRU(2, return_sequences=True, activity_regularizer="l1", **recurrent))],
        (4, 3),
    )
    yield train_case(
        "gru_reset_before",
        [layers.GRU(3, reset_after=False, go_backwards=True, activity_regularizer="l2", **recurrent), layers.Dense(1)],
        (4, 2),
    )
    yield train_case(
        "simple_rnn_orthogonal", [layers.SimpleRNN(3, recurrent_regularizer=orthogonal(0.4), activity_regularizer="l1")], (4, 2)
    )
    cells = [
        layers.LSTMCell(2, kernel_regularizer=l2(0.1), recurrent_constraint=constraints.MaxNorm(0.5)),
        layers.GRUCell(3, recurrent_regularizer=l1(0.1), bias_constraint="non_neg"),
    ]
    yield train_case("stacked_cells", [layers.RNN(layers.StackedRNNCells(cells), return_sequences=True)], (4, 2))
    yield train_case(
        "conv_lstm",
        [layers.ConvLSTM1D(2, 2, recurrent_constraint=constraints.UnitNorm([0, 1]), **recurrent), layers.Flatten()],
        (3, 4, 2),
    )
    yield train_case(
        "convolutions",
        [
            layers.Conv1D(3, 2, padding="causal", kernel_regularizer="l2", bias_regularizer="l1", activity_regularizer="l2"),
            layers.SeparableConv1D(4, 2, depthwise_regularizer=l1(0.02), pointwise_regularizer=l2(0.04), bias_regularizer="l2"),
            layers.DepthwiseConv1D(2, depth_multiplier=2, depthwise_regularizer=both(0.01, 0.03)),
            layers.Conv1DTranspose(2, 2, kernel_regularizer="l1"),
        ],
        (6, 2),
    )
    yield train_case(
        "normalizations",
        [
            layers.LayerNormalization(gamma_regularizer=l2(0.2), beta_regularizer=l1(0.1), beta_constraint="non_neg"),
            layers.Dense(3),
            layers.BatchNormalization(gamma_regularizer=l1(0.2), beta_regularizer=l2(0.3), gamma_constraint="non_neg"),
            layers.PReLU(alpha_regularizer=l2(0.5), alpha_constraint="non_neg"),
        ],
        (4,),
    )
    yield train_case(
        "embedding",
        [
            layers.Embedding(7, 3, embeddings_regularizer=l2(0.1), embeddings_constraint=constraints.UnitNorm(1)),
            layers.LSTM(2),
        ],
        (4,),
        tokens=7,
    )
    yield train_case(
        "frozen",
        [
            layers.Dense(3, kernel_regularizer=l2(10.0), kernel_constraint="non_neg", activity_regularizer=l1(0.1), trainable=False),
            layers.Dense(2, kernel_regularizer=l2(0.1)),
        ],
        (3,),
    )
    yield train_case(
        "activity_regularization",
        [layers.Dense(3), layers.ActivityRegularization(l1=0.2, l2=0.3), layers.TimeDistributed(layers.Dense(2, kernel_regularizer="l2"))],
        (4, 3),
    )
    norms = [
        constraints.MaxNorm(0.7),
        constraints.MaxNorm(0.8, axis=[0, 1]),
        constraints.UnitNorm(1),
        constraints.MinMaxNorm(0.4, 0.6, rate=0.3),
        constraints.NonNeg(),
    ]
    yield train_case(
        "constraints", [layers.Dense(3, "tanh", kernel_constraint=norm, bias_constraint="non_neg") for norm in norms], (4,)
    )
    inner = layers.LSTM(2, kernel_constraint=constraints.MaxNorm(0.9), recurrent_constraint=constraints.MinMaxNorm(0.2, 0.8), bias_constraint="non_neg")
    averaged = {"class_name": "Adam", "config": {"learning_rate": 0.05, "use_ema": True, "ema_momentum": 0.6, "ema_overwrite_frequency": 2}}
    yield train_case("lstm_constraints_ema", [inner, layers.Dense(2)], (3, 2), averaged)
    yield fit_case(
        "fit_history",
        [
            layers.GRU(3, kernel_regularizer=l2(0.05), activity_regularizer=l2(0.3), kernel_constraint=constraints.MaxNorm(1.0)),
            layers.Dense(2, bias_regularizer=l1(0.2)),
        ],
        (4, 2),
        {"class_name": "Adam", "config": {"learning_rate": 0.02}},
    )


framework = {"name": "keras", "version": keras.__version__, "backend": "tensorflow", "tensorflow": tf.__version__}
start = {"format": "rnn-oracle/1", "group": "regularizers", "set": "dev", "framework": framework}
lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases())
text = json.dumps(start, separators=(",", ":"))[:-1] + ',"cases":[\n' + lines + "\n]}\n"
with open(sys.argv[1], "wb") as file:
    file.write(gzip.compress(text.encode(), 9, mtime=0))
