"""The TFLite file: it carries what it takes to use it, and answers as model.keras does."""

import errno
import hashlib
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from stages.backend import archive
from stages.backend.runtime import keras
from stages.common import paths
from stages.common.errors import InputError
from stages.common.files import load_names
from stages.export import litert
from tests.builders import SHAPE


def about(path: Path) -> dict[str, object]:
    with zipfile.ZipFile(path) as content:
        document: dict[str, object] = json.loads(content.read("about.json"))
    return document


def test_the_file_says_what_it_is_for_and_what_it_was_made_of(exported_once: Path) -> None:
    found = about(exported_once / paths.TFLITE)
    assert found["classes"] == load_names(exported_once / paths.CLASSES)
    assert found["preparation"] == {"shape": [28, 28, 1], "centre_ink": True}
    model = (exported_once / paths.MODEL).read_bytes()
    assert found["model.keras"] == hashlib.md5(model, usedforsecurity=False).hexdigest()


def test_litert_alone_runs_the_file_and_answers_as_keras_does(exported_once: Path) -> None:
    """By LiteRT's own way, without this project."""
    images = np.load(exported_once / paths.X_TEST)
    network = Interpreter(model_path=str(exported_once / paths.TFLITE))
    network.resize_tensor_input(network.get_input_details()[0]["index"], images.shape)
    network.allocate_tensors()
    network.set_tensor(network.get_input_details()[0]["index"], images)
    network.invoke()
    found = network.get_tensor(network.get_output_details()[0]["index"])
    expected = archive.load(exported_once / paths.MODEL)(images).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_same_model_gives_the_same_file_at_another_time(exported_once: Path) -> None:
    model = archive.load(exported_once / paths.MODEL)
    names = load_names(exported_once / paths.CLASSES)
    preparation = json.loads((exported_once / paths.PICTURES).read_text())
    again = litert.pack(litert.convert(model), exported_once / paths.MODEL, names, preparation)
    assert again == (exported_once / paths.TFLITE).read_bytes()
    with zipfile.ZipFile(exported_once / paths.TFLITE) as content:
        assert {info.date_time for info in content.infolist()} == {(1980, 1, 1, 0, 0, 0)}


EXPECTED = np.array([[0.7, 0.2, 0.1], [0.4, 0.39995, 0.20005]], np.float32)


def moved(by: float) -> np.ndarray:
    """Return them with so much of each image's first class given to its second one."""
    return np.add(EXPECTED, [-by, by, 0])


def test_what_differs_by_a_ten_thousandth_or_where_two_classes_are_as_likely_is_the_same() -> None:
    found = moved(9e-5)
    assert found.argmax(axis=1).tolist() != EXPECTED.argmax(axis=1).tolist()
    litert.compare(found, EXPECTED)


@pytest.mark.parametrize("by", [2e-4, float("nan")])
def test_other_probabilities_end_in_one_line(by: float) -> None:
    with pytest.raises(InputError, match=r"models/model\.tflite: its probabilities differ from"):
        litert.compare(moved(by), EXPECTED)


def test_what_tensorflow_alone_can_run_is_refused_in_one_line(tmp_path: Path) -> None:
    inputs = keras.Input((2, 2))
    model = keras.Model(inputs, keras.ops.reshape(keras.ops.det(inputs), (-1, 1)))
    model.save(tmp_path / "model.keras")
    preparation = {"shape": [2, 2, 1], "centre_ink": False}
    exported = litert.pack(litert.convert(model), tmp_path / "model.keras", ["a"], preparation)
    with pytest.raises(InputError, match=r"^models/model\.tflite: LiteRT can't run it \(") as said:
        litert.run(exported, np.ones((1, 2, 2), np.float32))
    assert "Select TensorFlow op(s), included in the given model" in str(said.value)
    assert "\n" not in str(said.value)


def test_what_cannot_be_converted_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    model = keras.Sequential([keras.Input(SHAPE), keras.layers.Flatten()])

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no such thing\nin TFLite")

    monkeypatch.setattr(model, "export", fail)
    with pytest.raises(InputError) as said:
        litert.convert(model)
    assert str(said.value) == "models/model.keras: can't become a TFLite file (no such thing)"


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), MemoryError()])
def test_a_full_disk_or_memory_is_not_said_to_be_the_networks_fault(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    model = keras.Sequential([keras.Input(SHAPE), keras.layers.Flatten()])

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(model, "export", fail)
    with pytest.raises(type(error)) as said:
        litert.convert(model)
    assert said.value is error
