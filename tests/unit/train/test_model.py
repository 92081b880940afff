"""The network: its size, its three equal forms and its limits."""

import numpy as np
import pytest
from scipy.special import softmax

from stages.backend.runtime import keras
from stages.common.errors import InputError
from stages.train import model, seeding
from stages.train.model import summarise
from tests.builders import SHAPE, model_params

ARCHITECTURES = ("compact", "explicit", "functional")


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_mnist_takes_70378_parameters(architecture: str) -> None:
    # By hand: 32 (9 + 1) + 64 (9 32 + 1) + 32 (5 5 64 + 1) + 10 (32 + 1)
    network = model.build(model_params(architecture=architecture), SHAPE, classes=10)
    assert network.count_params() == 320 + 18_496 + 51_232 + 330 == 70_378
    assert "70,378" in summarise(network)


# What may be said about a network apart from its sizes.
NETWORKS: dict[str, dict[str, object]] = {
    "the tutorial's": {},
    "a mean over positions of convolutions that are not all padded or pooled": {
        "filters": [4, 6, 8],
        "padding": ["valid", "same", "same"],
        "pool_size": [2, 1, 2],
        "dense_units": None,
    },
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_three_architectures_give_the_same_weights_the_same_outputs(name: str) -> None:
    images = np.random.default_rng(0).random((8, *SHAPE), np.float32)
    written = [model_params(architecture=how, **NETWORKS[name]) for how in ARCHITECTURES]
    networks = [model.build(params, SHAPE, 10) for params in written]
    for network in networks[1:]:
        network.set_weights(networks[0].get_weights())
    first, *others = (network(images).numpy() for network in networks)
    np.testing.assert_allclose(first.sum(axis=1), 1, rtol=1e-5)
    for other in others:
        np.testing.assert_allclose(other, first, rtol=1e-5)


def test_the_three_architectures_drop_the_same_units() -> None:
    images = np.random.default_rng(0).random((8, *SHAPE), np.float32)
    outputs = []
    for name in ARCHITECTURES:
        network = model.build(model_params(architecture=name), SHAPE, 10)
        seeding.draw_weights(network, seed=1)
        seeding.seed_dropout(network, 1, 1)
        outputs.append(network(images, training=True))
    for output in outputs[1:]:
        np.testing.assert_allclose(output, outputs[0], rtol=1e-5)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_in_bfloat16_the_weights_and_the_softmax_stay_float32(architecture: str) -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        network = model.build(model_params(architecture=architecture), SHAPE, 10)
    finally:
        keras.config.set_dtype_policy("float32")
    logits = next(i for i, layer in enumerate(network.layers) if layer.output.shape[-1] == 10)
    assert {layer.compute_dtype for layer in network.layers[:logits]} == {"bfloat16"}
    assert {layer.compute_dtype for layer in network.layers[logits:]} == {"float32"}
    assert {weight.dtype for weight in network.trainable_variables} == {"float32"}


def test_a_seed_gives_every_architecture_the_same_initial_weights() -> None:
    weights = []
    for name in ARCHITECTURES:
        network = model.build(model_params(architecture=name), SHAPE, 10)
        seeding.draw_weights(network, seed=1)
        weights.append(network.get_weights())
    for other in weights[1:]:
        for ours, theirs in zip(weights[0], other, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_image_size_and_classes_come_from_the_data() -> None:
    network = model.build(model_params(filters=[4]), (12, 20, 1), classes=3)
    assert network.output_shape == (None, 3)
    assert network.layers[0].output.shape == (None, 10, 18, 4)


def kernels(network: keras.Model) -> list[tuple[int, ...]]:
    """Return the shape of each kernel: whatever stands between them has none."""
    return [tuple(weight.shape) for weight in network.weights if weight.name == "kernel"]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_kernels_and_pools_are_as_large_as_asked(architecture: str) -> None:
    # 28 - 5 + 1 = 24, of which a third is 8; 8 - 5 + 1 = 4, of which a third is 1.
    params = model_params(architecture=architecture, filters=[2, 3], kernel_size=5, pool_size=3)
    expected = [(5, 5, 1, 2), (5, 5, 2, 3), (1 * 1 * 3, 32), (32, 10)]
    assert kernels(model.build(params, SHAPE, 10)) == expected


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_each_convolution_may_be_padded_and_pooled_in_its_own_way(architecture: str) -> None:
    params = model_params(
        architecture=architecture,
        filters=[2, 3, 4],
        padding=["valid", "same", "same"],
        pool_size=[2, 1, 3],
    )
    network = model.build(params, SHAPE, 10)
    # By hand: 28 - 2 = 26, of which half is 13, which stays; a third of it is 4.
    convolutions = [(3, 3, 1, 2), (3, 3, 2, 3), (3, 3, 3, 4)]
    assert kernels(network) == [*convolutions, (4 * 4 * 4, 32), (32, 10)]
    pools = [x.pool_size for x in network.layers if isinstance(x, keras.layers.MaxPooling2D)]
    assert pools == [(2, 2), (3, 3)]


def test_without_a_hidden_layer_the_mean_over_positions_is_classified() -> None:
    network = model.build(model_params(dense_units=None), SHAPE, 10)
    assert network.count_params() == 320 + 18_496 + 10 * (64 + 1)
    images = np.random.default_rng(0).random((2, *SHAPE), np.float32)
    features = keras.Sequential(network.layers[:4])(images).numpy()
    kernel, bias = network.get_weights()[-2:]
    expected = softmax(features.mean(axis=(1, 2)) @ kernel + bias, axis=1)
    np.testing.assert_allclose(network(images), expected, rtol=1e-4)


def test_any_number_of_convolutions() -> None:
    network = model.build(model_params(filters=[2, 3, 4], kernel_size=2), SHAPE, 10)
    assert [layer.filters for layer in network.layers if hasattr(layer, "filters")] == [2, 3, 4]


def test_images_too_small_for_the_kernels_are_refused() -> None:
    for height, width in (9, 28), (28, 9):
        reason = f"leave nothing of {height}x{width} images after 2 convolutions"
        with pytest.raises(InputError, match=reason):
            model.build(model_params(), (height, width, 1), 10)
    assert model.build(model_params(), (10, 28, 1), 10)
    padded = model_params(padding="same")
    assert model.build(padded, (4, 28, 1), 10)
    with pytest.raises(InputError, match="leave nothing of 3x28 images after 2 convolutions"):
        model.build(padded, (3, 28, 1), 10)
