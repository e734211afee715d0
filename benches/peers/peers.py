"""The peers written in Python as subjects of the benchmark: `peers.py SUBJECT THREADS`.

It speaks what benches/support/messages.ts says: a JSON object a line, requests in, one reply to each out. A run is
timed here and answers the mean milliseconds of one step.
"""

import json
import os
import sys
import time

SUBJECT, THREADS = sys.argv[1], int(sys.argv[2])
# Where the peer computes, in PyTorch's words.
DEVICE = os.environ.get("CELLFOLD_PEER_DEVICE", "cpu")
CLASSES = 10
LEARNING_RATE = 0.01
BATCH_NORM = {"eps": 0.001, "momentum": 0.01}  # Keras's, in PyTorch's words
WARM_UP_SECONDS = 1.0
# The shortest duration of a run of short steps, as in benches/support/messages.ts.
RUN_SECONDS = 0.1
# A run of `fit` is one call over this many batches, so that its start-up is negligible ...
FIT_BATCHES = 400
# ... or, if steps are long, over as many as take this long: start-up is then at most a hundredth of it.
FIT_SECONDS = 10.0
# Within one call of `fit`, samples that would take more memory than this are reused.
FIT_BYTES = 256 << 20

if SUBJECT == "jax":
    # XLA's thread pool is as large as its set of processors.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])

import numpy as np  # noqa: E402, after the threads are set

random = np.random.default_rng(0)


def floats(*shape):
    return random.random(shape, dtype=np.float32)


def timed(steps, step, finish=lambda: None):
    start = time.perf_counter()
    for _ in range(steps):
        step()
    finish()
    return (time.perf_counter() - start) * 1000 / steps


def repeated(step, finish=lambda: None, most=10_000):
    """Runs of as many steps as take RUN_SECONDS, after a warm-up. `finish` waits for what was put off."""
    best, until = float("inf"), time.perf_counter() + WARM_UP_SECONDS
    while best == float("inf") or time.perf_counter() < until:
        best = min(best, timed(1, step, finish))
    steps = max(1, min(most, round(RUN_SECONDS * 1000 / best)))
    return lambda: {"time": timed(steps, step, finish)}


def model_sizes(task):
    return task["batch"], task["time"], task["features"], task["units"]


def guide_data(task, batches):
    batch, length, features, _ = model_sizes(task)
    samples = batch * batches
    return floats(samples, length, features), random.integers(0, CLASSES, samples, dtype=np.int32)


def refuse_variants(task):
    if "variant" in task:
        raise ValueError(f"{SUBJECT} has only the guide's model")


class PyTorch:
    def __init__(self):
        import torch

        if DEVICE == "cuda" and not torch.cuda.is_available():
            raise ValueError("PyTorch finds no graphics processor")
        torch.set_num_threads(THREADS)
        torch.manual_seed(0)
        self.torch = torch
        self.versions = {"PyTorch": torch.__version__}
        if DEVICE == "cuda":
            self.versions["cuDNN"] = str(torch.backends.cudnn.version())
            self.versions["GPU"] = torch.cuda.get_device_name()
            # As in Cellfold: float32 without tensor cores.
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False

    def model(self, task):
        torch = self.torch
        _, _, features, units = model_sizes(task)
        layer = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "simple": torch.nn.RNN}[task["cell"]]

        class Guide(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.recurrent = layer(features, units, batch_first=True)
                self.norm = torch.nn.BatchNorm1d(units, **BATCH_NORM)
                self.dense = torch.nn.Linear(units, CLASSES)

            def forward(self, x):
                outputs, _ = self.recurrent(x)
                return self.dense(self.norm(outputs[:, -1]))

        return Guide().to(DEVICE)

    def prepare(self, task):
        torch = self.torch
        if task["kind"] not in ("train", "predict"):
            raise ValueError("PyTorch has only the guide's model")
        refuse_variants(task)
        model = self.model(task)
        x, labels = guide_data(task, 1)
        x, labels = torch.from_numpy(x), torch.from_numpy(labels).long()
        if task["kind"] == "predict":
            model.eval()

            def predict():
                with torch.inference_mode():
                    model(x.to(DEVICE)).cpu().numpy()

            return repeated(predict)
        model.train()
        optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE)
        loss_of = torch.nn.CrossEntropyLoss()

        def train():
            optimizer.zero_grad(set_to_none=True)
            loss = loss_of(model(x.to(DEVICE)), labels.to(DEVICE))
            loss.backward()
            optimizer.step()

        return repeated(train, torch.cuda.synchronize if DEVICE == "cuda" else lambda: None)


class Jax:
    def __init__(self):
        import jax

        self.jax = jax
        self.versions = {"JAX": jax.__version__}

    def prepare(self, task):
        jax, jnp = self.jax, self.jax.numpy
        if task["kind"] != "train" or task["cell"] != "lstm":
            raise ValueError("JAX has only the guide's train step")
        refuse_variants(task)
        batch, _, features, units = model_sizes(task)
        x, labels = guide_data(task, 1)

        def apply(params, x):
            # The inputs of all steps in one product, as experienced users of JAX write it.
            products = x @ params["kernel"] + params["bias"]

            def step(state, z):
                h, c = state
                i, f, g, o = jnp.split(z + h @ params["recurrent"], 4, axis=-1)
                c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
                h = jax.nn.sigmoid(o) * jnp.tanh(c)
                return (h, c), None

            zero = jnp.zeros((x.shape[0], units))
            (h, _), _ = jax.lax.scan(step, (zero, zero), jnp.swapaxes(products, 0, 1))
            mean, variance = h.mean(0), h.var(0)
            normal = (h - mean) * jax.lax.rsqrt(variance + BATCH_NORM["eps"])
            statistics = mean, variance
            return (normal * params["scale"] + params["shift"]) @ params["dense"] + params["denseBias"], statistics

        def loss_of(params, x, labels):
            logits, statistics = apply(params, x)
            picked = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=1)
            return -picked.mean(), statistics

        def update(params, moving, x, labels):
            (loss, statistics), gradients = jax.value_and_grad(loss_of, has_aux=True)(params, x, labels)
            params = jax.tree.map(lambda p, g: p - LEARNING_RATE * g, params, gradients)
            return params, jax.tree.map(lambda m, s: 0.99 * m + 0.01 * s, moving, statistics), loss

        def weights(*shape):
            return jnp.asarray((floats(*shape) - 0.5) * 0.2)

        state = {
            "params": {
                "kernel": weights(features, 4 * units),
                "recurrent": weights(units, 4 * units),
                "bias": jnp.zeros(4 * units),
                "scale": jnp.ones(units),
                "shift": jnp.zeros(units),
                "dense": weights(units, CLASSES),
                "denseBias": jnp.zeros(CLASSES),
            },
            "moving": (jnp.zeros(units), jnp.ones(units)),
        }
        compiled = jax.jit(update, donate_argnums=(0, 1))

        def train():
            state["params"], state["moving"], state["loss"] = compiled(state["params"], state["moving"], x, labels)

        return repeated(train, lambda: jax.block_until_ready(state["loss"]))


class Keras:
    """Keras 3 on TensorFlow, or Keras 2 (`tf_keras`): the same calls."""

    def __init__(self, name):
        import importlib

        os.environ["KERAS_BACKEND"] = "tensorflow"
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(THREADS)
        tf.config.threading.set_inter_op_parallelism_threads(THREADS)
        self.tf = tf
        self.keras = importlib.import_module(name)
        self.versions = {name: self.keras.__version__, "TensorFlow": tf.__version__}

    def prepare(self, task):
        if task["kind"] == "nested":
            return self.nested(task)
        refuse_variants(task)
        keras = self.keras
        batch, length, features, units = model_sizes(task)
        layer = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU, "simple": keras.layers.SimpleRNN}[task["cell"]]
        model = keras.models.Sequential([
            keras.layers.Input(shape=(length, features)),
            layer(units),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(CLASSES),
        ])
        if task["kind"] == "predict":
            x, _ = guide_data(task, 1)
            return repeated(lambda: model.predict_on_batch(x))
        model.compile(
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            optimizer=keras.optimizers.SGD(LEARNING_RATE),
            metrics=["accuracy"],
        )
        if task["kind"] == "train":
            return self.fit(model, lambda batches: guide_data(task, batches), batch)
        if task["kind"] != "epoch":
            raise ValueError(f"{SUBJECT} has no {task['kind']}")
        data = guide_data({**task, "batch": task["samples"]}, 1)
        validation = guide_data({**task, "batch": task["validation"]}, 1)

        def epoch():
            model.fit(*data, validation_data=validation, batch_size=batch, epochs=1, verbose=0)

        epoch()
        return lambda: {"time": timed(1, epoch)}

    def fit(self, model, data_of, batch):
        """Runs of one call of `fit` over many batches."""
        tf = self.tf
        one = data_of(1)
        size = sum(array.nbytes for array in tf.nest.flatten(one))
        model.fit(*one, batch_size=batch, epochs=20, verbose=0)  # traces, and warms up
        start = time.perf_counter()
        model.fit(*one, batch_size=batch, epochs=10, verbose=0)
        step = (time.perf_counter() - start) / 10
        batches = FIT_BATCHES if step * FIT_BATCHES <= 3 * FIT_SECONDS else max(20, round(FIT_SECONDS / step))
        if size * batches <= FIT_BYTES:
            x, y = data_of(batches)

            def run():
                model.fit(x, y, batch_size=batch, epochs=1, verbose=0)

        else:
            few = data_of(max(1, min(16, FIT_BYTES // size)))
            data = tf.data.Dataset.from_tensor_slices(few).batch(batch).cache().repeat().prefetch(2)

            def run():
                model.fit(data, steps_per_epoch=batches, epochs=1, verbose=0)

        run()
        return lambda: {"time": timed(1, run) / batches}

    def nested(self, task):
        """The guide's section on nested inputs; Keras 3 raises an IndexError there."""
        tf, keras = self.tf, self.keras
        (i1, i2, i3), (unit_1, unit_2, unit_3) = task["inputs"], task["units"]
        batch, length = task["batch"], task["time"]

        class NestedCell(keras.layers.Layer):
            def __init__(self):
                super().__init__()
                self.state_size = [tf.TensorShape([unit_1]), tf.TensorShape([unit_2, unit_3])]
                self.output_size = self.state_size

            def build(self, input_shapes):
                self.kernel_1 = self.add_weight(shape=(i1, unit_1), initializer="uniform", name="kernel_1")
                self.kernel_2_3 = self.add_weight(
                    shape=(i2, i3, unit_2, unit_3), initializer="uniform", name="kernel_2_3"
                )

            def call(self, inputs, states):
                input_1, input_2 = tf.nest.flatten(inputs)
                s1, s2 = states
                output_1 = tf.matmul(input_1, self.kernel_1)
                output_2_3 = tf.einsum("bij,ijkl->bkl", input_2, self.kernel_2_3)
                return (output_1, output_2_3), (s1 + output_1, s2 + output_2_3)

        inputs = keras.Input((length, i1)), keras.Input((length, i2, i3))
        rnn = keras.layers.RNN(NestedCell(), return_state=task["readsState"])
        outputs = tf.nest.flatten(rnn(inputs))
        model = keras.models.Model(inputs, outputs)
        model.compile(optimizer="adam", loss="mse")

        def data_of(batches):
            samples = batch * batches
            targets = [(samples, unit_1), (samples, unit_2, unit_3)] * (2 if task["readsState"] else 1)
            x = floats(samples, length, i1), floats(samples, length, i2, i3)
            return x, tuple(floats(*shape) for shape in targets)

        return self.fit(model, data_of, batch)


def main():
    # Output of libraries must not get into the protocol.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def say(reply):
        out.write(json.dumps(reply) + "\n")
        out.flush()

    subject = {"pytorch": PyTorch, "jax": Jax}.get(SUBJECT, lambda: Keras(SUBJECT))()
    say({"versions": {"Python": sys.version.split()[0], **subject.versions}})
    run = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if request["command"] == "prepare":
                run = None
                run = subject.prepare(request["task"])
                say({})
            elif request["command"] == "run":
                say(run())
            else:
                run = None
                say({})
        except Exception as error:  # whatever a library raises is reported
            say({"error": f"{type(error).__name__}: {error}"})


main()
