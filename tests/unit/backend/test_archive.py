"""The same commit gives the same bytes: in another folder, process and order of calls."""

import json
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from stages.backend import archive, dense
from stages.backend.runtime import keras
from stages.common.errors import InputError
from stages.train import model, seeding
from stages.train.fitting import compile_model
from tests.builders import SHAPE, model_params, train_params
from tests.files import damage


def a_model() -> keras.Model:
    network = model.build(model_params(), SHAPE, 10)
    seeding.draw_weights(network, seed=1)
    compile_model(network, train_params(), steps=1)
    return network


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "model.keras"
    archive.save(a_model(), path)
    return path


def test_a_model_trained_in_bfloat16_computes_in_float32_for_whoever_loads_it(
    tmp_path: Path,
) -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        network = a_model()
    finally:
        keras.config.set_dtype_policy("float32")
    assert network.layers[0].compute_dtype == "bfloat16"
    archive.save(network, tmp_path / "model.keras")
    loaded = archive.load(tmp_path / "model.keras")
    assert {layer.compute_dtype for layer in loaded.layers} == {"float32"}
    for ours, theirs in zip(loaded.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_model_is_saved_with_the_same_bytes_at_another_time(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, now = keras.models.load_model(saved), time.time
    archive.save(network, saved.with_name("first.keras"))
    monkeypatch.setattr(time, "time", lambda: now() + 3600)
    archive.save(network, saved.with_name("second.keras"))
    network.save(saved.with_name("plain.keras"))
    first, second = (saved.with_name(f"{name}.keras") for name in ("first", "second"))
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(saved.with_name("plain.keras")) as content:
        written = max(info.date_time for info in content.infolist())
    assert written > time.localtime(now())[:6], "Keras itself writes the time"


def test_a_saved_model_holds_no_time_and_no_address(saved: Path) -> None:
    with zipfile.ZipFile(saved) as content:
        assert {info.date_time for info in content.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert json.loads(content.read("metadata.json"))["date_saved"].startswith("1980")
        config = content.read("config.json").decode()
    assert "shared_object_id" not in config, "a memory address, by which Keras names shared objects"


def test_a_saved_model_names_nothing_that_only_training_needs_and_can_be_trained_further(
    saved: Path,
) -> None:
    """Keras 3.10 to 3.14 stop at arguments of initializers that 3.15 has added."""
    with zipfile.ZipFile(saved) as content:
        config = content.read("config.json").decode()
    assert "initializer" not in config
    assert "quantization" not in config
    loaded, network = archive.load(saved), a_model()
    dense.replace(network)
    images = np.random.default_rng(0).random((4, *SHAPE), np.float32)
    np.testing.assert_array_equal(loaded(images), network(images))
    loaded.fit(images, np.arange(4), epochs=1, verbose=0)


def test_a_saved_model_is_the_same_in_whatever_order_a_folder_is_listed_and_on_any_system(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, glob = keras.models.load_model(saved), Path.glob
    archive.save(network, saved.with_name("first.keras"))
    monkeypatch.setattr(Path, "glob", lambda *found: sorted(glob(*found), reverse=True))
    monkeypatch.setattr(sys, "platform", "win32")
    archive.save(network, saved.with_name("second.keras"))
    first, second = (saved.with_name(f"{name}.keras") for name in ("first", "second"))
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(saved) as content:
        assert content.namelist() == ["config.json", "metadata.json", "model.weights.h5"]


def test_a_flipped_weight_is_noticed_whatever_pythons_zipfile_checks(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From Python 3.13 on, Keras loads such a file without a word."""
    damage(saved)
    monkeypatch.setattr(keras.models, "load_model", lambda *_, **__: None)
    with pytest.raises(InputError, match=r"Bad CRC-32 for file 'model\.weights\.h5'"):
        archive.load(saved)
