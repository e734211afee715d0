"""Makes the cases of the group plain_layers: layers that pool, pad, repeat, rectify and multiply, by Keras.

    python plain_layers.py FILE.json.gz

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
from keras import layers

random = np.random.default_rng(11)
cases = []


def floats(*shape):
    """Multiples of 1/64, all different, so that no maximum is a tie."""
    size = int(np.prod(shape))
    values = (np.arange(size) - size // 2) * 2 + random.integers(0, 2, size)
    return (random.permutation(values) / 64).astype("float32").reshape(shape)


def plain(tensor):
    tensor = np.asarray(tensor)
    kind = {"f": str(tensor.dtype), "b": "bool"}[tensor.dtype.kind]
    return {"shape": list(tensor.shape), "dtype": kind, "data": [float(f"{v:.9g}") for v in tensor.ravel().astype("float64")]}


def named(tensors):
    return {name: plain(tensor) for name, tensor in tensors.items()}


def run(layer, inputs, weights, mask, cotangent, dtype):
    """Outputs, the sum of output times cotangent, and its gradients."""
    xs = {name: tf.constant(x, dtype) for name, x in inputs.items()}
    variables = {name: getattr(layer, name) for name in weights}
    with tf.GradientTape() as tape:
        for x in xs.values():
            tape.watch(x)
        given = xs["x"] if "x" in xs else list(xs.values())
        output = layer(given, **({} if mask is None else {"mask": tf.constant(mask)}))
        loss = tf.reduce_sum(output * tf.constant(cotangent, dtype)) if cotangent is not None else None
    if loss is None:
        return output.numpy(), None, {}
    sources = {**xs, **{name: v.value for name, v in variables.items()}}
    grads = tape.gradient(loss, sources)
    return output.numpy(), float(loss), {name: g.numpy() for name, g in grads.items()}


def exactly(output, grads, exact, exact_loss, exact_grads):
    """The run in float64 beside the one in float32."""
    difference = lambda a, b: float(np.max(np.abs(np.asarray(a, "float64") - b)))
    return {
        "max_abs_diff_outputs": difference(output, exact),
        "max_abs_diff_grads": max(difference(grads[name], exact_grads[name]) for name in grads),
        "loss": exact_loss,
    }


def case(name, make, *xs, mask=None):
    inputs = {"x": xs[0]} if len(xs) == 1 else {f"x_{i}": x for i, x in enumerate(xs)}
    results = {}
    for dtype in ("float32", "float64"):
        layer = make(dtype=dtype)
        layer.build(list(xs[0].shape) if len(xs) == 1 else [list(x.shape) for x in xs])
        weights = {w.name: w for w in layer.weights}
        if dtype == "float32":
            drawn = {name: floats(*w.shape) for name, w in weights.items()}
            shape = np.asarray(layer(xs[0] if len(xs) == 1 else list(xs), **({} if mask is None else {"mask": mask}))).shape
            cotangent = floats(*shape)
            first = layer
        for weight_name, w in weights.items():
            w.assign(drawn[weight_name])
        try:
            results[dtype] = run(layer, inputs, drawn, mask, cotangent, dtype)
        except tf.errors.OpError:  # TensorFlow pools volumes in float32 alone
            assert dtype == "float64"
    output, loss, grads = results["float32"]
    config = {k: v for k, v in first.get_config().items() if k not in ("name", "trainable", "dtype", "seed", "output_padding")}
    cases.append({
        "name": name,
        "layer": type(first).__name__,
        "config": config,
        "inputs": {**named(inputs), **({} if mask is None else {"mask": plain(mask)})},
        "weights": named(drawn),
        "outputs": {"output": plain(output)},
        "cotangents": {"output": plain(cotangent)},
        "loss": loss,
        "grads": named(grads),
        **({} if "float64" not in results else {"f64": exactly(output, grads, *results["float64"])}),
    })


counts = np.array([[True, True, True, False, False], [True, False, True, True, False]])

for size, stride, padding in ((2, None, "valid"), (3, 1, "same"), (2, 3, "same")):
    for kind in ("Max", "Average"):
        cls = getattr(layers, f"{kind}Pooling1D")
        case(f"{kind.lower()}_1d_{padding}_{size}_{stride}",
             lambda dtype: cls(size, stride, padding, dtype=dtype), floats(2, 7, 3))
for kind in ("Max", "Average"):
    two, three = getattr(layers, f"{kind}Pooling2D"), getattr(layers, f"{kind}Pooling3D")
    case(f"{kind.lower()}_2d", lambda dtype: two((2, 3), (1, 2), "same", dtype=dtype), floats(2, 4, 6, 2))
    case(f"{kind.lower()}_3d", lambda dtype: three((2, 1, 2), dtype=dtype), floats(1, 4, 2, 5, 2))
    for axes, shape in ((1, (2, 5, 3)), (2, (2, 3, 4, 2)), (3, (2, 2, 3, 2, 2))):
        cls = getattr(layers, f"Global{kind}Pooling{axes}D")
        case(f"global_{kind.lower()}_{axes}d", lambda dtype: cls(keepdims=axes == 2, dtype=dtype), floats(*shape))
case("global_average_1d_mask", lambda dtype: layers.GlobalAveragePooling1D(dtype=dtype), floats(2, 5, 3), mask=counts)
for name, cls, amounts in (
    ("zero_padding_1d", layers.ZeroPadding1D, ((2, 1),)), ("cropping_1d", layers.Cropping1D, ((1, 2),)),
):
    case(name, lambda dtype: cls(*amounts, dtype=dtype), floats(2, 5, 2))
case("zero_padding_2d", lambda dtype: layers.ZeroPadding2D(((1, 0), (2, 3)), dtype=dtype), floats(1, 2, 3, 2))
case("zero_padding_3d", lambda dtype: layers.ZeroPadding3D((1, 0, 2), dtype=dtype), floats(1, 2, 2, 1, 2))
case("cropping_2d", lambda dtype: layers.Cropping2D(((1, 0), (0, 2)), dtype=dtype), floats(2, 3, 4, 2))
case("cropping_3d", lambda dtype: layers.Cropping3D((1, 0, 1), dtype=dtype), floats(1, 3, 2, 4, 2))
case("up_sampling_1d", lambda dtype: layers.UpSampling1D(3, dtype=dtype), floats(2, 3, 2))
case("up_sampling_2d", lambda dtype: layers.UpSampling2D((2, 3), dtype=dtype), floats(1, 2, 3, 2))
case("up_sampling_3d", lambda dtype: layers.UpSampling3D((2, 1, 2), dtype=dtype), floats(1, 2, 2, 2, 1))
case("repeat_vector", lambda dtype: layers.RepeatVector(3, dtype=dtype), floats(2, 4))
case("permute", lambda dtype: layers.Permute((3, 1, 2), dtype=dtype), floats(2, 3, 2, 4))
for i, options in enumerate(({}, {"threshold": 0.25},
                             {"max_value": 0.6, "negative_slope": 0.5, "threshold": 0.125})):
    case(f"relu_{i}", lambda dtype: layers.ReLU(**options, dtype=dtype), floats(3, 4, 5))
case("leaky_relu", lambda dtype: layers.LeakyReLU(dtype=dtype), floats(3, 4, 5))
case("elu", lambda dtype: layers.ELU(0.5, dtype=dtype), floats(3, 4, 5))
case("prelu", lambda dtype: layers.PReLU(dtype=dtype), floats(3, 4, 5))
case("prelu_shared", lambda dtype: layers.PReLU(shared_axes=[1, 3], dtype=dtype), floats(2, 3, 4, 2))
case("softmax", lambda dtype: layers.Softmax(dtype=dtype), floats(2, 5))
case("softmax_axis", lambda dtype: layers.Softmax(axis=1, dtype=dtype), floats(2, 4, 3))
case("softmax_axes", lambda dtype: layers.Softmax(axis=[1, 2], dtype=dtype), floats(2, 4, 3))
case("softmax_mask", lambda dtype: layers.Softmax(dtype=dtype), floats(2, 5), mask=counts)
case("softmax_all_masked", lambda dtype: layers.Softmax(dtype=dtype), floats(2, 5), mask=counts & [[True], [False]])
case("spatial_dropout", lambda dtype: layers.SpatialDropout1D(0.5, dtype=dtype), floats(2, 3, 2))
case("gaussian_noise", lambda dtype: layers.GaussianNoise(0.5, dtype=dtype), floats(2, 3, 2))
for i, (axes, normalize, a, b) in enumerate((
    (-1, True, (3, 4), (3, 4)), ([1, 2], True, (2, 3, 4), (2, 5, 3)), ([1, 1], False, (2, 3), (2, 3, 4)), ([2, 1], False, (2, 3, 4), (2, 4, 3, 2)),
)):
    case(f"dot_{i}", lambda dtype: layers.Dot(axes, normalize=normalize, dtype=dtype), floats(*a), floats(*b))
for name, cls, options, shape in (
    ("conv_1d_causal", layers.Conv1D, {"filters": 4, "kernel_size": 3, "padding": "causal", "dilation_rate": 2}, (2, 6, 3)),
    ("conv_1d_groups", layers.Conv1D, {"filters": 4, "kernel_size": 2, "strides": 2, "padding": "same", "groups": 2,
                                       "activation": "tanh"}, (2, 5, 2)),
    ("conv_2d", layers.Conv2D, {"filters": 2, "kernel_size": (3, 2), "strides": (1, 2), "use_bias": False}, (1, 4, 5, 2)),
    ("conv_3d", layers.Conv3D, {"filters": 2, "kernel_size": 2, "padding": "same"}, (1, 2, 3, 2, 1)),
    ("conv_1d_transpose", layers.Conv1DTranspose, {"filters": 3, "kernel_size": 3, "strides": 2}, (2, 3, 2)),
    ("conv_2d_transpose", layers.Conv2DTranspose, {"filters": 2, "kernel_size": 3, "strides": (2, 1), "padding": "same"},
     (1, 2, 3, 2)),
    ("depthwise_conv_1d", layers.DepthwiseConv1D, {"kernel_size": 3, "depth_multiplier": 2}, (2, 5, 2)),
    ("depthwise_conv_2d", layers.DepthwiseConv2D, {"kernel_size": 2, "padding": "same"}, (1, 3, 2, 3)),
    ("separable_conv_1d", layers.SeparableConv1D, {"filters": 3, "kernel_size": 2, "depth_multiplier": 2}, (2, 4, 2)),
    ("separable_conv_2d", layers.SeparableConv2D, {"filters": 2, "kernel_size": 2}, (1, 3, 3, 2)),
):
    case(name, lambda dtype: cls(**options, dtype=dtype), floats(*shape))
case("attention", lambda dtype: layers.Attention(use_scale=True, dtype=dtype), floats(2, 3, 4), floats(2, 5, 4))
case("attention_concat", lambda dtype: layers.Attention(score_mode="concat", use_scale=True, dtype=dtype),
     floats(2, 3, 4), floats(2, 5, 3), floats(2, 5, 4))
case("additive_attention", lambda dtype: layers.AdditiveAttention(dtype=dtype), floats(2, 3, 4), floats(2, 5, 4))
case("unit_normalization", lambda dtype: layers.UnitNormalization(dtype=dtype), floats(2, 5))
case("unit_normalization_axes", lambda dtype: layers.UnitNormalization(axis=[1, 2], dtype=dtype), floats(2, 4, 3))
case("unit_normalization_first", lambda dtype: layers.UnitNormalization(axis=1, dtype=dtype), floats(2, 5, 3))

with gzip.GzipFile(sys.argv[1], "wb", compresslevel=9, mtime=0) as file:
    lines = ",\n".join(json.dumps(item, separators=(",", ":")) for item in cases)
    framework = {"keras": keras.__version__, "tensorflow": tf.__version__, "backend": "tensorflow (CPU, eager)"}
    header = json.dumps({"format": "rnn-oracle/1", "group": "plain_layers", "set": "public", "framework": framework})
    file.write(f'{header[:-1]},"cases":[\n{lines}\n]}}\n'.encode())
print(len(cases), "cases")
