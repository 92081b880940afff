"""The stage: it writes both files, or says in one line why not."""

import base64
import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from predict import Classifier
from stages.backend import archive, inference
from stages.backend.runtime import keras
from stages.common import paths
from stages.export import __main__ as export
from stages.export import litert, page
from tests.builders import SHAPE, one_line


def data(document: str) -> dict[str, object]:
    """Return what the page's scripts read."""
    (text,) = re.findall(r'<script type="application/json" id="model">(.*?)</script>', document)
    content: dict[str, object] = json.loads(text)
    return content


@pytest.fixture
def converted(exported_once: Path, prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let export take the network that was converted before, since that takes a second."""
    content = (exported_once / paths.TFLITE).read_bytes()
    network = content[: content.rindex(b"PK\3\4")]  # the archive of what it is for comes after it
    monkeypatch.setattr(litert, "convert", lambda _: network)


def test_the_page_holds_the_weights_and_runs_its_own_script_and_no_other(
    exported_once: Path,
) -> None:
    document = (exported_once / paths.TRY).read_text(encoding="utf-8")
    model = data(document)
    weights = archive.load(exported_once / paths.MODEL).get_weights()
    found = np.frombuffer(base64.b64decode(str(model["weights"])), "<f4")
    np.testing.assert_array_equal(found, np.concatenate([array.ravel() for array in weights]))
    assert model["drawn"] is True
    script = document.split("<script>")[1].split("</script>")[0]
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{allowed}'\"" in document
    assert "default-src 'none'" in document
    md5 = hashlib.md5((exported_once / paths.MODEL).read_bytes(), usedforsecurity=False)
    assert md5.hexdigest() in document


def test_the_page_shows_one_test_image_of_each_class_at_most_twenty() -> None:
    labels = np.arange(60) // 2 % 30
    images = (np.arange(60)[:, None, None, None] * np.ones((1, 2, 3, 1)) / 255).astype(np.float32)
    samples = page.pick(images, labels)
    assert [sample["label"] for sample in samples] == [*range(20)]
    assert [base64.b64decode(sample["image"]) for sample in samples] == [
        bytes([2 * i] * 6) for i in range(20)
    ]


@pytest.mark.usefixtures("converted")
def test_a_name_of_a_class_is_nothing_but_text() -> None:
    evil = "<img src=x onerror=alert(1)>"
    names = [evil, "</script>", "<!--", *"3456789"]
    paths.CLASSES.write_text("\n".join(names))
    export.main()
    document = paths.TRY.read_text(encoding="utf-8")
    assert evil not in document
    assert "<!--" not in document
    assert document.count("<script") == document.count("</script>") == 2
    assert data(document)["classes"] == names


def test_a_network_that_the_page_cannot_compute_costs_no_output(
    prepared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layers = keras.layers
    head = [layers.Flatten(), layers.Dense(10, activation="softmax")]
    network = keras.Sequential([keras.Input(SHAPE), layers.AveragePooling2D(4), *head])
    archive.save(network, paths.MODEL)
    export.main()
    assert "written without the network, which has a layer of the kind AveragePooling2D" in (
        capsys.readouterr().out
    )
    document = paths.TRY.read_text(encoding="utf-8")
    assert "can't run the network, which has a layer of the kind AveragePooling2D." in document
    assert "<script" not in document
    assert paths.TFLITE.exists()


@pytest.mark.usefixtures("converted")
def test_the_test_images_are_never_computed_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "PIXELS", 40 * 28 * 28)
    seen: list[int] = []

    def watch(compute: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
        def watched(by: object, images: np.ndarray) -> np.ndarray:
            seen.append(len(images))
            return compute(by, images)

        return watched

    for kind, name in (keras.Model, "predict_on_batch"), (Classifier, "probabilities"):
        monkeypatch.setattr(kind, name, watch(getattr(kind, name)))
    export.main()
    assert seen == [40, 40, 20] * 2


@pytest.mark.usefixtures("converted")
def test_a_file_that_answers_otherwise_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    run = litert.run
    monkeypatch.setattr(litert, "run", lambda *given: run(*given)[:, ::-1])
    assert "model.tflite: its probabilities differ from those of models/model.keras" in one_line(
        "export"
    )
    assert not paths.TFLITE.exists()
    assert not paths.TRY.exists()
