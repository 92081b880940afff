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
@pytest.mark.parametrize("shape", [(5, 40), (5, 3, 40), (5, 2, 3, 40)])
@pytest.mark.parametrize("bias", [True, False])
def test_dense_layers_are_replaced_by_what_gives_the_same(
    activation: str | None, shape: tuple[int, ...], bias: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = keras.layers.Dense(3, activation=activation, use_bias=bias, bias_initializer="ones")
    model = keras.Sequential([keras.Input(shape[1:]), layer])
    expected = model(draw(*shape)).numpy()
    dense.replace(model)
    product = dense.product
    used: list[object] = []

    def watch(*operands: object) -> object:
        used.append(operands)
        return product(*operands)

    monkeypatch.setattr(dense, "product", watch)
    found = model(draw(*shape)).numpy()
    assert used
    assert found == pytest.approx(expected, abs=1e-5)
    assert keras.layers.Dense(3).call.__func__ is keras.layers.Dense.call, "the class stays"
