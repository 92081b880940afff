"""The network as a list of layers, each of which network.js can compute."""

from typing import Any

import numpy as np

from stages.backend.runtime import keras

# What network.js computes, by Keras's names, and what it takes for granted about each.
COMPUTED: dict[str, dict[str, object]] = {
    "Conv2D": {"strides": (1, 1), "dilation_rate": (1, 1), "groups": 1, "use_bias": True},
    "MaxPooling2D": {"padding": "valid"},
    "GlobalAveragePooling2D": {"keepdims": False},
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
    for layer in model.layers:
        kind, config = type(layer).__name__, layer.get_config()
        if kind in SKIPPED:
            continue
        check(layer, kind, config)
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
    if (activation := config.get("activation", "linear")) not in ACTIVATIONS:
        raise InexpressibleError(f"the activation {activation}")
