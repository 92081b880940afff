"""The network as a list of layers, each of which network.js can compute."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from stages.backend.runtime import keras

LAST: dict[str, object] = {"data_format": "channels_last"}
# What network.js computes or skips, by Keras's names, and what it takes for granted about each.
COMPUTED: dict[str, dict[str, object]] = {
    "InputLayer": {},
    "Conv2D": LAST | {"strides": (1, 1), "dilation_rate": (1, 1), "groups": 1, "use_bias": True},
    "MaxPooling2D": LAST | {"padding": "valid"},
    "GlobalAveragePooling2D": LAST | {"keepdims": False},
    "Flatten": LAST,
    "Dropout": {},
    "Dense": {"use_bias": True},
    "ReLU": {"max_value": None, "negative_slope": 0.0, "threshold": 0.0},
    "Softmax": {"axis": -1},
}
SKIPPED = "InputLayer", "Dropout", "Flatten"  # they don't change an image's values or their order
ACTIVATIONS = {"linear": None, "relu": "ReLU", "softmax": "Softmax"}


class InexpressibleError(Exception):
    """What a network has that network.js can't compute."""


def describe(model: keras.Model) -> tuple[list[dict[str, Any]], np.ndarray]:
    """Return the layers of `model`, and their weights, float32 (n,), one after the other.

    A layer is what network.js takes, a kernel and a bias being where they begin and end among the
    weights. Raises InexpressibleError for what network.js doesn't know.
    """
    layers: list[dict[str, Any]] = []
    weights = [np.zeros(0)]
    end = 0
    for layer in chain(model):
        kind, config = type(layer).__name__, layer.get_config()
        check(layer, kind, config)
        if kind in SKIPPED:
            continue
        layers.append({"kind": kind})
        if kind == "Conv2D":
            rows, columns = layer.kernel_size
            layers[-1] |= {"rows": rows, "columns": columns, "same": layer.padding == "same"}
        elif kind == "MaxPooling2D":
            layers[-1] |= dict(zip(("rows", "columns"), layer.pool_size, strict=True))
        for name, array in zip(("kernel", "bias"), layer.get_weights(), strict=False):
            layers[-1][name] = end, end + array.size
            weights.append(np.ravel(array))
            end += array.size
        if activation := ACTIVATIONS[config.get("activation", "linear")]:
            layers.append({"kind": activation})
    return layers, np.concatenate(weights).astype("<f4")


def chain(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """Yield the layers of `model`, each of which takes what the one before it gives.

    The layers of a model within it come in its place. Raises InexpressibleError for a network that
    isn't such a chain, or not of layers alone.
    """
    # From one input to one output, without a layer that is called twice, and without one that takes
    # several inputs (`check` knows none), a graph can only be a chain.
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise InexpressibleError("more than one input or output")
    # Not asked of the layer itself, which also counts calls from elsewhere.
    for entry in model.get_config()["layers"]:
        if len(entry.get("inbound_nodes", ())) > 1:  # a Sequential, always a chain, has no nodes
            raise InexpressibleError(f"a {entry['class_name']} layer that is called twice")
    for operation in getattr(model, "operations", model.layers):
        if isinstance(operation, keras.Model):
            yield from chain(operation)
        elif isinstance(operation, keras.layers.Layer):
            yield operation
        else:  # one of keras.ops, which `model.layers` leaves out
            raise InexpressibleError(f"the operation {type(operation).__name__}")


def check(layer: keras.layers.Layer, kind: str, config: dict[str, Any]) -> None:
    """Raise InexpressibleError unless network.js can compute `layer`."""
    if kind not in COMPUTED:
        raise InexpressibleError(f"a layer of the kind {kind}")
    expected = COMPUTED[kind]
    if kind == "MaxPooling2D":
        expected = expected | {"strides": layer.pool_size}
    for option, value in expected.items():
        if config[option] != value:
            raise InexpressibleError(f"a {kind} layer whose {option} is {config[option]}")
    if kind == "Dense" and len(layer.input.shape) != 2:
        raise InexpressibleError("a Dense layer without a Flatten before it")
    activation = config.get("activation", "linear")
    if isinstance(activation, dict):  # a layer, or a function that isn't Keras's
        activation = activation["class_name"]
    if activation not in ACTIVATIONS:
        raise InexpressibleError(f"the activation {activation}")
    if "Softmax" in (kind, ACTIVATIONS[activation]) and len(layer.output.shape) != 2:
        raise InexpressibleError("a softmax of each pixel's channels")
