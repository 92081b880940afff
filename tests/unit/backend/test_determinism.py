"""Where a training gives the same bytes: what is shown, what is expected, and why not otherwise."""

import os
from pathlib import Path

import pytest

from stages.backend import cpu
from stages.backend.determinism import LIMIT, describe, pin, portability
from stages.backend.runtime import keras, tf
from stages.train.model import build
from tests.builders import model_params

layers = keras.layers


@pytest.fixture(autouse=True)
def avx2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "has_avx2", lambda: True)
    monkeypatch.setattr(cpu, "model_name", lambda: "a CPU's name")
    monkeypatch.setenv(LIMIT, "AVX2")


def network(*of: keras.layers.Layer) -> keras.Model:
    return keras.Sequential([keras.Input((12, 12, 1)), *of, layers.Flatten(), layers.Dense(2)])


@pytest.mark.parametrize("architecture", ["compact", "explicit", "functional"])
def test_the_bytes_of_the_pipelines_networks_are_shown(architecture: str) -> None:
    settings = model_params(architecture=architecture, filters=[5, 7, 9], dense_units=11)
    assert portability(build(settings, (60, 60, 3), 4)) == "shown"


@pytest.mark.parametrize(
    "layer",
    [
        layers.Conv2D(2, 5, activation="relu"),
        layers.Conv2D(2, 3, strides=2),
        layers.MaxPooling2D(4),
        layers.Dense(3, activation="gelu"),
        layers.DepthwiseConv2D(3),
        layers.AveragePooling2D(2),
    ],
    ids=lambda layer: layer.name,
)
def test_other_kinds_of_the_same_layers_are_expected_to_do_so(layer: keras.layers.Layer) -> None:
    assert portability(network(layer)) == "expected"


def test_a_layer_that_is_rounded_otherwise_is_named_wherever_it_is() -> None:
    inner = keras.Sequential([keras.Input((12, 12, 1)), layers.BatchNormalization()])
    assert portability(network(inner)) == "CPUs round BatchNormalization differently"
    nobody = portability(network(layers.Conv2DTranspose(2, 3)))
    assert nobody == "nobody has compared Conv2DTranspose"


def test_what_computed_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    model = network(layers.Dense(3, dtype="mixed_bfloat16"))
    assert portability(model) == "the model was trained in mixed_bfloat16 on the CPU (a CPU's name)"
    model = network(layers.Dense(3))
    monkeypatch.delenv(LIMIT)
    assert (
        portability(model)
        == "the model was trained with all instructions of the CPU (a CPU's name)"
    )
    monkeypatch.setattr(cpu, "has_avx2", lambda: False)
    expected = "the model was trained on the CPU (a CPU's name, without AVX2)"
    assert portability(model) == expected
    assert describe(expected).endswith(f": perhaps different bytes elsewhere, because {expected}")
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda _: ["a GPU"] * 2)
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda _: ["a GPU"] * 2)
    details = {"device_name": "T4"}
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda _: details)
    assert portability(model) == "the model was trained on 2 GPUs (T4)"


def test_gpu_packages_are_recommended_beside_a_driver_unless_they_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hint = "pip install --require-hashes -r requirements/gpu.txt"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert hint not in describe("shown")
    (tmp_path / "nvidia-smi").touch(mode=0o755)
    assert hint in describe("shown")
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda _: ["a GPU"])
    assert hint not in describe("shown")


@pytest.mark.parametrize(("instructions", "limit"), [("avx2", "AVX2"), ("native", None)])
def test_onednn_is_limited_to_avx2_unless_all_instructions_are_wanted(
    instructions: str, limit: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(LIMIT)
    pin(1, instructions=instructions)
    assert os.environ.get(LIMIT) == limit
