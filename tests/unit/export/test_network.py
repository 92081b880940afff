"""What the page is told of a network; tests/pipeline/test_try.py computes it in a browser."""

import numpy as np
import pytest

from stages.backend.runtime import keras
from stages.export.network import InexpressibleError, describe
from stages.train import model
from tests.builders import SHAPE, model_params

layers = keras.layers


@pytest.mark.parametrize("architecture", ["compact", "explicit", "functional"])
def test_each_way_of_writing_the_network_is_the_same_list_of_layers(architecture: str) -> None:
    network = model.build(model_params(architecture=architecture), SHAPE, 10)
    described, weights = describe(network)
    assert [layer["kind"] for layer in described] == [
        *("Conv2D", "ReLU", "MaxPooling2D") * 2,
        *("Dense", "ReLU", "Dense", "Softmax"),
    ]
    assert weights.dtype == np.dtype("<f4")
    parts = [
        weights[slice(*layer[name])]
        for layer in described
        for name in ("kernel", "bias")
        if name in layer
    ]
    for part, array in zip(parts, network.get_weights(), strict=True):
        np.testing.assert_array_equal(part, array.ravel())


INEXPRESSIBLE = {
    "a layer of the kind BatchNormalization": layers.BatchNormalization(),
    "a Conv2D layer whose strides is (2, 2)": layers.Conv2D(2, 3, strides=2),
    "a Conv2D layer whose use_bias is False": layers.Conv2D(2, 3, use_bias=False),
    "a MaxPooling2D layer whose strides is (1, 1)": layers.MaxPooling2D(2, strides=1),
    "a MaxPooling2D layer whose padding is same": layers.MaxPooling2D(2, padding="same"),
    "a Dense layer without a Flatten before it": layers.Dense(2),
    "the activation gelu": layers.Conv2D(2, 3, activation="gelu"),
    "a ReLU layer whose negative_slope is 0.1": layers.ReLU(negative_slope=0.1),
}


@pytest.mark.parametrize("reason", INEXPRESSIBLE)
def test_what_the_page_cannot_compute_is_named(reason: str) -> None:
    network = keras.Sequential([keras.Input(SHAPE), INEXPRESSIBLE[reason]])
    with pytest.raises(InexpressibleError) as said:
        describe(network)
    assert str(said.value) == reason
