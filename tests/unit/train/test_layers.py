"""Whoever writes a network of other layers in stages/train/model.py can run the whole pipeline."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from stages.backend import determinism
from stages.backend.runtime import keras
from stages.common import paths
from stages.common.errors import InputError
from stages.train import __main__ as train
from stages.train.fitting import compile_model, learning_rate
from stages.train.model import build
from tests.builders import draw, model_params, one_line, run, train_params
from tests.files import set_parameter

layers = keras.layers


def many_kinds() -> list[keras.layers.Layer]:
    block = [keras.Input((7, 7, 4)), layers.Conv2D(4, 3), layers.BatchNormalization()]
    return [
        layers.Dense(2),  # of images (height, width, channels)
        layers.SeparableConv2D(3, 3, strides=2),
        layers.DepthwiseConv2D(3, padding="same", activation="gelu"),
        layers.ZeroPadding2D(((0, 0), (0, 0))),
        layers.Conv2D(4, 7, activation="relu"),
        keras.Sequential(block),
        layers.Dropout(0.1),
        layers.Reshape((25, 4)),
        layers.Dense(3, use_bias=False),
        layers.LayerNormalization(),
        layers.Flatten(),
        layers.Dense(10, activation="softmax"),
    ]


def without_convolutions() -> list[keras.layers.Layer]:
    return [layers.Flatten(), layers.Dense(10, activation="softmax")]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "portability"),
    [
        (many_kinds, "CPUs round BatchNormalization, LayerNormalization differently"),
        (without_convolutions, "shown"),
    ],
)
def test_a_network_of_ordinary_layers_is_trained_measured_and_shown(
    network: Callable[[], list[keras.layers.Layer]],
    portability: str,
    prepared: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for key in "epochs", "steps_per_epoch":
        set_parameter(paths.PARAMS, f"train.{key}", 1)
    monkeypatch.setattr(
        train, "build", lambda *_: keras.Sequential([keras.Input((28, 28, 1)), *network()])
    )
    run("train")
    run("evaluate")
    page = draw(prepared)
    assert paths.PORTABILITY.read_text() == f"{portability}\n"
    kernels = np.load(paths.KERNELS)
    assert kernels.shape == ((3, 3, 2, 1) if network is many_kinds else (1, 1, 1, 0))
    said = "The network has no convolution" in page
    assert said == (network is without_convolutions)


def test_an_activation_may_be_a_layer() -> None:
    layer = layers.Conv2D(2, 3, activation=layers.LeakyReLU())
    network = keras.Sequential([keras.Input((9, 9, 1)), layer, layers.Flatten(), layers.Dense(2)])
    assert determinism.portability(network) == "nobody has compared LeakyReLU"


def test_freezing_needs_a_convolution(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_parameter(paths.PARAMS, "train.freeze_after", 0)
    network = [keras.Input((28, 28, 1)), *without_convolutions()]
    monkeypatch.setattr(train, "build", lambda *_: keras.Sequential(network))
    assert "train.freeze_after" in one_line("train")


def test_an_optimizer_of_the_schema_alone_is_named() -> None:
    network = build(model_params(), (28, 28, 1), 10)
    unknown = train_params().model_copy(update={"optimizer": "nobody's"})
    with pytest.raises(
        InputError, match=r"train\.optimizer: nobody's is in the schema, but not in"
    ):
        compile_model(network, unknown, steps=1)


def test_a_schedule_of_the_schema_alone_is_named() -> None:
    stairs = train_params().model_copy(update={"schedule": "stairs"})
    with pytest.raises(InputError, match=r"train\.schedule: stairs is in the schema, but not in"):
        learning_rate(stairs, steps=1)
