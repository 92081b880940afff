"""Initial weights come from the seed, each by its layer's own initializer."""

from typing import Any

import numpy as np
import pytest

from stages.backend.runtime import keras
from stages.train import seeding

layers = keras.layers


def network(*of: Any) -> keras.Model:
    return keras.Sequential([keras.Input((400,)), *of])


def drawn(seed: int, *of: Any) -> list[np.ndarray]:
    model = network(*of)
    seeding.draw_weights(model, seed)
    weights: list[np.ndarray] = model.get_weights()
    return weights


def test_each_layer_keeps_its_initializer() -> None:
    kernel, bias, orthogonal, _ = drawn(
        1,
        layers.Dense(300, kernel_initializer="he_normal", bias_initializer="ones"),
        layers.Dense(300, kernel_initializer="orthogonal"),
    )
    assert kernel.std() == pytest.approx(np.sqrt(2 / 400), rel=0.02)
    assert (bias == 1).all()
    np.testing.assert_allclose(orthogonal @ orthogonal.T, np.eye(300), atol=1e-4)


def test_the_seed_decides_every_random_weight_and_two_layers_differ() -> None:
    def make(seed: int) -> list[np.ndarray]:
        return drawn(seed, layers.Dense(400), layers.BatchNormalization(), layers.Dense(400))

    first, again, other = make(1), make(1), make(2)
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert (first[0] != other[0]).any()
    assert (first[0] != first[-2]).any()


def test_weights_that_are_not_random_take_no_place_of_those_that_are() -> None:
    bare = drawn(1, layers.Dense(400, use_bias=False), layers.Dense(400, use_bias=False))
    more = drawn(1, layers.Dense(400), layers.BatchNormalization(), layers.Dense(400))
    for ours, theirs in zip(bare, (more[0], more[-2]), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_layers_that_name_their_initializers_otherwise_follow_the_global_seed() -> None:
    def make(seed: int) -> list[np.ndarray]:
        keras.utils.set_random_seed(seed)
        spatial = layers.Reshape((20, 20, 1)), layers.DepthwiseConv2D(3), layers.Flatten()
        return drawn(1, *spatial, layers.Dense(3))

    first, again, other = make(1), make(1), make(2)
    np.testing.assert_array_equal(first[0], again[0])
    assert (first[0] != other[0]).any()
    np.testing.assert_array_equal(first[2], other[2])


def test_networks_within_a_network_are_drawn_alike() -> None:
    inner = keras.Sequential([keras.Input((400,)), layers.Dense(300)])
    for nested, flat in zip(
        drawn(1, inner, layers.Dense(2)), drawn(1, layers.Dense(300), layers.Dense(2)), strict=True
    ):
        np.testing.assert_array_equal(nested, flat)
