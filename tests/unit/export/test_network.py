"""What the page is told of a network; tests/pipeline/test_try.py computes it in a browser."""

from pathlib import Path

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
    "the activation LeakyReLU": layers.Conv2D(2, 3, activation=layers.LeakyReLU()),
    "a ReLU layer whose negative_slope is 0.1": layers.ReLU(negative_slope=0.1),
    "a softmax of each pixel's channels": layers.Conv2D(2, 3, activation="softmax"),
    "a Flatten layer whose data_format is channels_first": layers.Flatten("channels_first"),
}


@pytest.mark.parametrize("reason", INEXPRESSIBLE)
def test_what_the_page_cannot_compute_is_named(reason: str) -> None:
    network = keras.Sequential([keras.Input(SHAPE), INEXPRESSIBLE[reason]])
    with pytest.raises(InexpressibleError) as said:
        describe(network)
    assert str(said.value) == reason


def classified(features: keras.KerasTensor) -> keras.KerasTensor:
    return layers.Dense(2, activation="softmax")(layers.Flatten()(features))


def saved(inputs: object, outputs: object, path: Path) -> keras.Model:
    """Return a functional network as export gets it, loaded from its file."""
    keras.Model(inputs, outputs).save(path)
    return keras.saving.load_model(path)


def test_an_operation_between_the_layers_is_not_left_out(tmp_path: Path) -> None:
    image = keras.Input((4, 4, 1))
    network = saved(image, classified(image * image * 3 + 1), tmp_path / "model.keras")
    with pytest.raises(InexpressibleError, match=r"^the operation Multiply$"):
        describe(network)


def test_keras_softmax_is_an_operation_and_not_the_layer_of_that_name(tmp_path: Path) -> None:
    image = keras.Input((4, 4, 1))
    logits = layers.Dense(2)(layers.Flatten()(image))
    network = saved(image, keras.ops.softmax(logits), tmp_path / "model.keras")
    with pytest.raises(InexpressibleError, match=r"^the operation Softmax$"):
        describe(network)


def test_a_layer_that_is_called_twice_is_not_computed_once(tmp_path: Path) -> None:
    image = keras.Input((4, 4, 1))
    blur = layers.Conv2D(1, 3, padding="same")
    network = saved(image, classified(blur(blur(image))), tmp_path / "model.keras")
    with pytest.raises(InexpressibleError, match=r"^a Conv2D layer that is called twice$"):
        describe(network)


def test_the_second_output_of_a_network_within_is_not_taken_for_its_first(tmp_path: Path) -> None:
    inside = keras.Input((4, 4, 1))
    sharp = layers.Conv2D(1, 3, padding="same")(inside)
    pair = keras.Model(inside, [sharp, layers.Conv2D(1, 3, padding="same")(sharp)])
    image = keras.Input((4, 4, 1))
    network = saved(image, classified(pair(image)[0]), tmp_path / "model.keras")
    with pytest.raises(InexpressibleError, match=r"^more than one input or output$"):
        describe(network)


def test_the_layers_of_a_network_within_come_in_its_place(tmp_path: Path) -> None:
    image = keras.Input((4, 4, 1))
    inner = keras.Sequential([keras.Input((4, 4, 1)), layers.Conv2D(2, 3, activation="relu")])
    inner(keras.Input((4, 4, 1)))  # a call from elsewhere, which doesn't count
    network = saved(image, classified(inner(image)), tmp_path / "model.keras")
    described, weights = describe(network)
    assert [layer["kind"] for layer in described] == ["Conv2D", "ReLU", "Dense", "Softmax"]
    flat = np.concatenate([array.ravel() for array in network.get_weights()])
    np.testing.assert_array_equal(weights, flat)
