"""Makes the oracle's groups of losses, metrics and optimizers: `training_more` with Keras, `sequences` with PyTorch.

    python make_losses.py [FOLDER]

Made with Keras 3.15.1 on TensorFlow 2.21 and PyTorch 2.15.
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

folder = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cases")
random = np.random.default_rng(17)


def floats(*shape, low=None, high=None):
    """Multiples of 1/256, which float32 has exactly."""
    values = random.normal(size=shape) if low is None else random.uniform(low, high, size=shape)
    return (np.round(values * 256) / 256).astype("float32")


def plain(array):
    array = np.asarray(array)
    dtype = "bool" if array.dtype == bool else "int32" if array.dtype.kind in "iu" else "float32"
    return {"shape": list(array.shape), "dtype": dtype, "data": [float(f"{float(v):.9g}") for v in array.ravel()]}


def tensors(named):
    return {name: plain(value) for name, value in named.items()}


def write(group, framework, cases):
    head = {"format": "rnn-oracle/1", "group": group, "set": "dev", "framework": framework}
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    text = json.dumps(head, separators=(",", ":"))[:-1] + ',"cases":[\n' + lines + "\n]}\n"
    with open(os.path.join(folder, f"{group}.json.gz"), "wb") as file:
        file.write(gzip.compress(text.encode(), 9, mtime=0))


def case(name, layer, config, inputs, loss, grads, notes=""):
    return {
        "name": name,
        "layer": layer,
        "config": config,
        "inputs": tensors(inputs),
        "weights": {},
        "outputs": {"loss": plain(np.float32(loss))},
        "cotangents": {"loss": plain(np.float32(1))},
        "loss": float(f"{float(loss):.9g}"),
        "grads": tensors(grads),
        "notes": notes,
    }


def keras_loss(name, ours, loss, config, y_true, y_pred, weight=None, mask=None, activation=None):
    prediction = tf.Variable(y_pred)
    with tf.GradientTape() as tape:
        output = keras.activations.get(activation)(prediction) if activation else prediction + 0
        if mask is not None:
            output._keras_mask = tf.constant(mask)
        value = loss(tf.constant(y_true), output, sample_weight=weight)
    inputs = {"y_true": y_true, "y_pred": y_pred}
    if weight is not None:
        inputs["sample_weight"] = weight
    if mask is not None:
        inputs["mask"] = mask
    config = {**config, **({"preceded_by_activation": activation} if activation else {})}
    return case(name, f"loss:{ours}", config, inputs, value.numpy(), {"y_pred": tape.gradient(value, prediction).numpy()})


def loss_cases():
    found = []
    mask = np.array([[True, True, False], [True, False, False]])
    weights = np.array([[0.5, 2, 1], [0.25, 1, 3]], "float32")

    def add(ours, make, config, y_true, y_pred, activation=None):
        """With a mask and weights."""
        name = "_".join([ours, *(f"{k}_{v}" for k, v in config.items()), *([activation] if activation else [])])
        way = {"weight": weights, "mask": mask, "activation": activation}
        found.append(keras_loss(name, ours, make(**config), config, y_true, y_pred, **way))

    k = keras.losses
    bits = random.integers(0, 2, size=(2, 3, 4)).astype("float32")
    one_hot = np.eye(4, dtype="float32")[random.integers(0, 4, size=(2, 3))]
    parts = floats(2, 3, 4, low=0.1, high=0.9)
    logits = floats(2, 3, 4)
    for config in [{}, {"gamma": 0.5}, {"apply_class_balancing": True, "label_smoothing": 0.1}]:
        add("BinaryFocalCrossentropy", k.BinaryFocalCrossentropy, config, bits, parts)
    add("BinaryFocalCrossentropy", k.BinaryFocalCrossentropy, {"from_logits": True}, bits, logits)
    for config in [{}, {"gamma": 1.5, "alpha": 0.6}, {"label_smoothing": 0.2}]:
        add("CategoricalFocalCrossentropy", k.CategoricalFocalCrossentropy, config, one_hot, parts)
    add("CategoricalFocalCrossentropy", k.CategoricalFocalCrossentropy, {"from_logits": True}, one_hot, logits)
    add(
        "CategoricalFocalCrossentropy", k.CategoricalFocalCrossentropy, {"alpha": [0.1, 0.2, 0.3, 0.4]}, one_hot, parts
    )
    add("CosineSimilarity", k.CosineSimilarity, {}, floats(2, 3, 4), logits)
    shares = parts / np.float32(4)
    add("KlDivergence", k.KLDivergence, {}, shares, parts)
    add("KlDivergence", k.KLDivergence, {}, shares, logits, activation="softmax")
    counts = random.integers(0, 5, size=(2, 3, 4)).astype("float32")
    add("Poisson", k.Poisson, {}, counts, parts)
    for reduction in ["sum", "mean_with_sample_weight"]:
        add("Poisson", k.Poisson, {"reduction": reduction}, counts, parts)
    p = torch.tensor(logits, requires_grad=True)
    value = torch.nn.PoissonNLLLoss(log_input=True)(p, torch.tensor(counts))
    value.backward()
    inputs = {"y_true": counts, "y_pred": logits}
    found.append(
        case("Poisson_log_input", "loss:Poisson", {"log_input": True}, inputs, value.item(), {"y_pred": p.grad.numpy()}, "PyTorch")
    )
    return found


def metric_case(name, ours, metric, config, batches):
    steps = []
    for y_true, y_pred, weight in batches:
        metric.update_state(y_true, y_pred, sample_weight=weight)
        inputs = {"y_true": y_true, "y_pred": y_pred, **({} if weight is None else {"sample_weight": weight})}
        steps.append(
            {
                "op": "update_state",
                "inputs": tensors(inputs),
                "outputs": {"result": plain(np.float32(metric.result()))},
            }
        )
    metric.reset_state()
    steps.append({"op": "reset_state"})
    y_true, y_pred, weight = batches[-1]
    metric.update_state(y_true, y_pred, sample_weight=weight)
    steps.append({**steps[-2], "outputs": {"result": plain(np.float32(metric.result()))}})
    return {"name": name, "layer": f"metric:{ours}", "config": config, "inputs": {}, "weights": {}, "steps": steps}


def metric_cases():
    k = keras.metrics
    found = []

    def batches(weighted, classes=4):
        def batch(size):
            bits = random.integers(0, 2, size=(size, classes)).astype("float32")
            weight = floats(size, low=0.5, high=2) if weighted else None
            return bits, floats(size, classes, low=0.02, high=0.98), weight

        return [batch(5), batch(3), batch(8)]

    found.append(metric_case("Precision", "Precision", k.Precision(), {}, batches(True)))
    found.append(metric_case("Recall", "Recall", k.Recall(), {}, batches(False)))
    theirs = k.Precision(thresholds=0.3, class_id=2)
    found.append(metric_case("Precision_class", "Precision", theirs, {"threshold": 0.3, "class_id": 2}, batches(True)))
    for config in [
        {},
        {"curve": "PR"},
        {"num_thresholds": 11, "summation_method": "minoring"},
        {"num_thresholds": 11, "curve": "PR", "summation_method": "majoring"},
    ]:
        name = "_".join(["Auc", *map(str, config.values())])
        found.append(metric_case(name, "Auc", k.AUC(**config), config, batches(True)))
    for average, threshold in [("macro", None), ("weighted", None), ("micro", 0.4)]:
        config = {"average": average, "threshold": threshold}
        theirs = k.F1Score(**config)
        found.append(metric_case(f"F1_{average}", "F1Score", theirs, {**config, "classes": 4}, batches(True)))
    return found


def train_case(name, class_name, config):
    dense = keras.layers.Dense(2)
    model = keras.Sequential([dense])
    model.build((None, 3))
    dense.set_weights([floats(3, 2), floats(2)])
    optimizer = getattr(keras.optimizers, class_name)(**config)
    optimizer.build(model.trainable_variables)
    weights = lambda: {"0/kernel": dense.kernel.numpy(), "0/bias": dense.bias.numpy()}
    first, steps = weights(), []
    for _ in range(4):
        x, y = floats(4, 3), floats(4, 2)
        with tf.GradientTape() as tape:
            output = model(x, training=True)
            loss = keras.losses.MeanSquaredError()(y, output)
        variables = [v.value for v in model.trainable_variables]
        gradients = tape.gradient(loss, variables)
        optimizer.apply(gradients, model.trainable_variables)
        steps.append(
            {
                "inputs": tensors({"x": x, "y": y}),
                "outputs": {"loss": plain(loss.numpy())},
                "grads": tensors({"0/kernel": gradients[0].numpy(), "0/bias": gradients[1].numpy()}),
                "weights_after": tensors(weights()),
            }
        )
    layers = [{"class_name": "Dense", "config": {"units": 2, "activation": "linear", "use_bias": True}}]
    return {
        "name": name,
        "layer": "Sequential.train",
        "config": {
            "layers": layers,
            "optimizer": {"class_name": class_name, "config": config},
            "loss": {"class_name": "MeanSquaredError", "config": {}},
            "metrics": [],
            "trainable_weights": list(first),
        },
        "inputs": {},
        "weights": tensors(first),
        "steps": steps,
        "outputs": {},
        "notes": "",
    }


def optimizer_cases():
    return [
        train_case("adagrad_initial", "Adagrad", {"learning_rate": 0.05, "initial_accumulator_value": 0.5, "clipnorm": 0.7}),
        train_case("nadam_betas", "Nadam", {"learning_rate": 0.02, "beta_1": 0.8, "beta_2": 0.9, "weight_decay": 0.1}),
        train_case("lion_betas", "Lion", {"learning_rate": 0.01, "beta_1": 0.5, "beta_2": 0.8, "weight_decay": 0.1}),
        train_case(
            "ema_overwrite",
            "Adam",
            {"learning_rate": 0.05, "use_ema": True, "ema_momentum": 0.6, "ema_overwrite_frequency": 2},
        ),
    ]


def ctc_cases():
    found = []
    for name, blank, classes, time, labels, mask_lengths in [
        ("blank_first", 0, 4, 6, [[1, 2, 2], [3, -1, -1]], None),
        ("blank_last", 4, 5, 7, [[1, 1, 0], [3, 2, -1], [-1, -1, -1]], [7, 4, 2]),
        ("blank_inside", 2, 4, 9, [[0, 1, 3, 3], [1, -1, -1, -1]], [9, 3]),
        ("one_step", 0, 3, 1, [[2], [-1]], None),
        ("impossible", 0, 3, 4, [[1, 1, 1], [1, 2, -1]], None),
        ("long", 0, 6, 80, [list(random.integers(1, 6, size=20)), list(random.integers(1, 6, size=20))], [80, 71]),
    ]:
        logits = floats(len(labels), time, classes)
        targets = np.array(labels, "int32")
        label_lengths = (targets >= 0).sum(axis=1)
        lengths = np.array(mask_lengths or [time] * len(labels))
        zero = name == "impossible"
        p = torch.tensor(logits.astype("float64"), requires_grad=True)
        value = torch.nn.CTCLoss(blank=blank, reduction="sum", zero_infinity=zero)(
            torch.log_softmax(p, -1).transpose(0, 1),
            torch.tensor(np.where(targets < 0, 0 if blank else 1, targets)),
            torch.tensor(lengths),
            torch.tensor(label_lengths),
        )
        value.backward()
        inputs = {"y_true": targets, "y_pred": logits}
        if mask_lengths:
            inputs["mask"] = np.arange(time)[None] < lengths[:, None]
        config = {"blank": blank, "reduction": "sum", **({"zero_infinity": True} if zero else {})}
        found.append(case(f"ctc_{name}", "loss:Ctc", config, inputs, value.item(), {"y_pred": p.grad.numpy()}))
        if not mask_lengths:
            soft = {**config, "preceded_by_activation": "softmax"}
            found.append(case(f"ctc_{name}_softmax", "loss:Ctc", soft, inputs, value.item(), {"y_pred": p.grad.numpy()}))
    return found


def crf_cases():
    """The negative log-likelihood by all sequences of tags, as `torchcrf` defines it."""
    found = []
    for name, tags, time, lengths in [("whole", 3, 4, [4, 4]), ("lengths", 3, 5, [5, 2, 1]), ("two_tags", 2, 6, [6, 3])]:
        arrays = {
            "y_pred": floats(len(lengths), time, tags),
            "start": floats(tags),
            "transitions": floats(tags, tags),
            "end": floats(tags),
        }
        p = {key: torch.tensor(value.astype("float64"), requires_grad=True) for key, value in arrays.items()}
        target = random.integers(0, tags, size=(len(lengths), time)).astype("int32")

        def score(row, chosen):
            total = p["start"][chosen[0]] + p["end"][chosen[-1]]
            for step, tag in enumerate(chosen):
                total = total + p["y_pred"][row, step, tag]
            for before, after in zip(chosen, chosen[1:]):
                total = total + p["transitions"][before, after]
            return total

        value = 0
        for row, length in enumerate(lengths):
            scores = [score(row, chosen) for chosen in itertools.product(range(tags), repeat=length)]
            value = value + torch.logsumexp(torch.stack(scores), 0) - score(row, target[row, :length].tolist())
        value.backward()
        mask = np.arange(time)[None] < np.array(lengths)[:, None]
        inputs = {**arrays, "y_true": np.where(mask, target, -1).astype("int32"), "mask": mask}
        grads = {key: value.grad.numpy() for key, value in p.items()}
        found.append(case(f"crf_{name}", "loss:Crf", {"reduction": "sum"}, inputs, value.item(), grads))
    return found


def mixture_cases():
    found = []
    for dimensions, correlated in [(1, False), (3, False), (2, True)]:
        components = 3
        numbers = floats(4, components * (1 + 2 * dimensions + (1 if correlated else 0)))
        target = floats(4, dimensions)
        p = torch.tensor(numbers.astype("float64"), requires_grad=True)
        parts = p.split(components, dim=-1)
        means = torch.stack(parts[1 : 1 + dimensions], -1)
        scales = torch.nn.functional.softplus(torch.stack(parts[1 + dimensions : 1 + 2 * dimensions], -1)) + 0.01
        covariance = torch.diag_embed(scales**2)
        if correlated:
            off = 0.9 * torch.tanh(parts[-1]) * scales[..., 0] * scales[..., 1]
            covariance = covariance + torch.stack(
                [torch.stack([0 * off, off], -1), torch.stack([off, 0 * off], -1)], -2
            )
        mixture = torch.distributions.MixtureSameFamily(
            torch.distributions.Categorical(logits=parts[0]),
            torch.distributions.MultivariateNormal(means, covariance),
        )
        value = -mixture.log_prob(torch.tensor(target.astype("float64"))).mean()
        value.backward()
        config = {
            "components": components,
            "dimensions": dimensions,
            "correlated": correlated,
            "min_deviation": 0.01,
            "max_correlation": 0.9,
        }
        inputs = {"y_true": target, "y_pred": numbers}
        found.append(
            case(f"mixture_{dimensions}", "loss:MixtureDensity", config, inputs, value.item(), {"y_pred": p.grad.numpy()})
        )
    return found


versions = {"keras": keras.__version__, "tensorflow": tf.__version__, "backend": "tensorflow (CPU, eager)"}
write("training_more", {**versions, "numpy": np.__version__}, loss_cases() + metric_cases() + optimizer_cases())
write(
    "sequences",
    {"torch": torch.__version__, "numpy": np.__version__, "notes": "computed in float64"},
    ctc_cases() + crf_cases() + mixture_cases(),
)
