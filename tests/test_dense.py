"""Dense layers, computed so that no cache decides how they are rounded (see test_portable.py)."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from stages.backend import dense


def draw(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def test_a_product_and_its_gradients_are_those_of_matrices() -> None:
    rows, kernel, upstream = draw(7, 50), draw(50, 6), draw(7, 6)
    with tf.GradientTape() as tape:
        inputs = [tf.constant(rows), tf.constant(kernel)]
        tape.watch(inputs)
        product = dense.product(*inputs)
    of_rows, of_kernel = tape.gradient(product, inputs, upstream)
    assert product.numpy() == pytest.approx(rows @ kernel, abs=1e-4)
    assert of_rows.numpy() == pytest.approx(upstream @ kernel.T, abs=1e-4)
    assert of_kernel.numpy() == pytest.approx(rows.T @ upstream, abs=1e-4)


@pytest.mark.parametrize("activation", [None, "relu", "softmax"])
def test_a_dense_layer_gives_what_keras_gives(activation: str | None) -> None:
    rows = draw(5, 40)
    layer = keras.layers.Dense(3, activation=activation, bias_initializer="ones")
    layer.build(rows.shape)
    weights = layer.kernel.numpy(), layer.bias.numpy()
    logits = rows @ weights[0] + weights[1]
    expected = {
        None: logits,
        "relu": np.maximum(logits, 0),
        "softmax": np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True),
    }
    assert dense.call(layer, tf.constant(rows)).numpy() == pytest.approx(
        expected[activation], abs=1e-5
    )
