"""Calibrate a network: its confidence becomes its accuracy on images that it never saw."""

import numpy as np

from stages.backend.layers import leaves
from stages.backend.runtime import keras, tf
from stages.common.errors import InputError

TEMPERATURES = [hundredths / 100 for hundredths in range(10, 501)]


def logits_layer(model: keras.Model) -> keras.layers.Layer:
    """Return the layer that computes the logits of `model`, the last one with weights.

    Raises InputError unless it is one whose outputs are proportional to its weights.
    """
    last = next((layer for layer in reversed([*leaves(model)]) if layer.weights), None)
    if not isinstance(last, keras.layers.Dense | keras.layers.Conv2D):
        raise InputError(
            "params.yaml: train.label_smoothing needs a network whose last weights are those of a "
            f"Dense layer, which it calibrates; found {type(last).__name__}"
        )
    return last


def calibrate(model: keras.Model, images: tf.data.Dataset, labels: np.ndarray) -> None:
    """Divide the logits of `model` by the temperature that suits held-out `images` best.

    It is the one with the least cross-entropy there, to 0.01; predictions stay as they are.
    From Guo et al., On calibration of modern neural networks, arXiv 1706.04599.
    """
    # Not numpy.log, nor numpy's powers: their last bits depend on the CPU.
    logits = keras.ops.log(model.predict(images, verbose=0) + 1e-30)

    def loss(temperature: float) -> float:
        scaled = keras.losses.sparse_categorical_crossentropy(labels, logits / temperature, True)
        return float(np.mean(scaled, dtype=np.float64))

    temperature = min(TEMPERATURES, key=loss)
    for weight in logits_layer(model).weights:
        weight.assign(weight / temperature)
