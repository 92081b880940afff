"""What the stage writes, against values computed by hand and against what Keras says."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from stages.backend import inference
from stages.backend.runtime import keras
from stages.common import paths
from stages.common.errors import InputError
from stages.evaluate import __main__ as evaluate
from stages.evaluate import occlusion, scores
from stages.train import model
from tests.builders import SHAPE, model_params
from tests.project import Project

LABELS = np.array([0, 0, 1, 2], np.uint8)
PROBABILITIES = np.array(
    [[0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]], np.float32
)


def measure(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    predictions = scores.tabulate(probabilities, labels)
    correct = predictions["actual"] == predictions["predicted"]
    class_scores = scores.score_classes(predictions, probabilities.shape[1])
    bins = scores.bin_by_confidence(predictions["confidence"], correct)
    return scores.measure(probabilities, predictions, class_scores, bins)


def test_metrics_are_those_computed_by_hand() -> None:
    metrics = measure(PROBABILITIES, LABELS)
    by_hand = -(math.log(0.5) + math.log(0.25) + math.log(0.8) + math.log(0.6)) / 4
    assert metrics["loss"] == pytest.approx(by_hand, rel=1e-6)
    assert metrics["accuracy"] == 0.75
    assert metrics["errors"] == 1
    assert metrics["baseline"] == 0.5, "two of four are of class 0"
    # Class 0: precision 1, recall 1/2; class 1: precision 1/2, recall 1; class 2: all right.
    assert metrics["macro_f1"] == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)
    # Right at 50, 80 and 60 %, wrong at 50 %: only the two at 50 % share a bin, and are half right.
    assert metrics["ece"] == pytest.approx((0 + 0 + 0.2 + 0.4) / 4)


def test_loss_and_accuracy_are_what_keras_evaluates() -> None:
    network = model.build(model_params(), SHAPE, 10)
    network.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"], run_eagerly=True)
    random = np.random.default_rng(0)
    images = random.random((50, *SHAPE), np.float32)
    labels = random.integers(10, size=50)
    loss, accuracy = network.evaluate(images, labels, verbose=0)
    metrics = measure(network(images).numpy(), labels)
    assert metrics["loss"] == pytest.approx(loss, rel=1e-5)
    assert metrics["accuracy"] == pytest.approx(accuracy)


def test_predictions_hold_label_guess_and_confidence() -> None:
    assert scores.tabulate(PROBABILITIES, LABELS).to_csv(index=False).splitlines() == [
        "index,actual,predicted,confidence",
        "0,0,0,0.5",
        "1,0,1,0.5",
        "2,1,1,0.8",
        "3,2,2,0.6",
    ]


def test_kernels_are_found_wherever_the_first_convolution_stands() -> None:
    layers = keras.layers
    network = keras.Sequential(
        [keras.Input(SHAPE), layers.Rescaling(2.0), layers.Conv2D(5, 3), layers.Conv2D(7, 2)]
    )
    kernels = scores.first_kernels(network)
    assert kernels.shape == (3, 3, 1, 5)
    np.testing.assert_array_equal(kernels, network.layers[1].get_weights()[0])


def test_what_the_stage_writes_is_of_the_test_set_and_of_the_last_epoch(
    prepared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The model that is there has not been trained; Keras is asked what it thinks."""
    evaluate.main()
    metrics = json.loads(paths.METRICS.read_text())
    assert metrics["validation"] == {"loss": 0.4, "accuracy": 0.8, "images": 30}
    labels = np.load(paths.Y_TEST)
    guesses = keras.models.load_model(paths.MODEL).predict(np.load(paths.X_TEST), verbose=0)
    never = 10 - len(set(guesses.argmax(axis=1)))
    assert never
    assert f"Never predicted:     {never} of 10 classes\n" in capsys.readouterr().out
    assert metrics["test"]["baseline"] == np.bincount(labels).max() / 100
    wrong = np.flatnonzero(guesses.argmax(axis=1) != labels)
    mistakes = pd.read_csv(paths.MISTAKES)
    assert mistakes["index"].tolist() == wrong.tolist()
    assert mistakes["actual"].tolist() == labels[wrong].tolist()
    assert metrics["test"]["errors"] == len(wrong) == 100 - round(100 * metrics["test"]["accuracy"])
    np.testing.assert_allclose(np.load(paths.PROBABILITIES), guesses, rtol=1e-5)


def test_the_validation_figures_are_those_of_the_epoch_that_was_kept(prepared: Path) -> None:
    Project(prepared, {}).set("train.keep", "best")
    losses = paths.HISTORY.read_text().splitlines()
    paths.HISTORY.write_text("\n".join([*losses, "3,0.3,0.8,0.4,0.9", "4,0.2,0.9,0.5,0.7"]))
    evaluate.main()
    expected = {"loss": 0.4, "accuracy": 0.8, "images": 30, "epoch": 2}
    assert json.loads(paths.METRICS.read_text())["validation"] == expected


def test_a_validation_part_of_its_own_is_counted(prepared: Path) -> None:
    Project(prepared, {}).set("train.validation_split", None)
    paths.VALIDATION.write_text("7\n")
    evaluate.main()
    assert json.loads(paths.METRICS.read_text())["validation"]["images"] == 7


def test_doubts_are_of_all_parts_and_name_the_picture(prepared: Path) -> None:
    names = {"train": [f"{row}.png" for row in range(300)], "test": [f"t{i}" for i in range(100)]}
    paths.FILES.write_text(json.dumps(names))
    evaluate.main()
    doubts = pd.read_csv(paths.DOUBTS)
    rows = {"train": range(270), "validation": range(270, 300), "test": range(100)}
    network = keras.models.load_model(paths.MODEL)
    for part, x, y in ("train", paths.X_TRAIN, paths.Y_TRAIN), ("test", paths.X_TEST, paths.Y_TEST):
        answers = network.predict(np.load(x), verbose=0).argmax(axis=1)
        labels = np.load(y)
        found = doubts[(doubts["part"] == "test") == (part == "test")].set_index("index")
        assert sorted(found.index) == np.flatnonzero(answers != labels).tolist()
        assert (found["actual"] == labels[found.index]).all()
        assert (found["predicted"] == answers[found.index]).all()
        assert found["file"].tolist() == [names[part][index] for index in found.index]
    assert all(row[2] in rows[row.part] for row in doubts.itertuples())
    mistakes = pd.read_csv(paths.MISTAKES)
    assert mistakes.columns.tolist() == ["index", "file", "actual", "predicted"]
    assert mistakes["file"].tolist() == [f"t{index}" for index in mistakes["index"]]


def answer_by_labels(monkeypatch: pytest.MonkeyPatch, wrong: dict[int, int]) -> None:
    """Let the model know every label, but from a row on: `wrong` has it by the number of images."""
    labels = {len(found): found for found in map(np.load, (paths.Y_TRAIN, paths.Y_TEST))}

    def predict(model: keras.Model, images: np.ndarray) -> np.ndarray:
        answers = labels[len(images)].copy()
        if rows := wrong.get(len(images)):
            answers[rows:] = (answers[rows:] + 1) % 10
        certain: np.ndarray = np.eye(10, dtype=np.float32)[answers]
        return certain

    monkeypatch.setattr(inference, "predict", predict)


def test_labels_learnt_by_heart_are_left_out_and_that_is_said(
    prepared: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer_by_labels(monkeypatch, {300: 297, 100: 90})
    evaluate.main()
    said = "the network contradicts 0.00% of the training labels, but 10.00% of the validation"
    assert (
        f"Learnt by heart:     {said} labels, so reports/doubts.csv leaves out training images\n"
        in (capsys.readouterr().out)
    )
    assert json.loads(paths.METRICS.read_text())["train"]["by_heart"]
    assert pd.read_csv(paths.DOUBTS)["part"].tolist() == ["validation"] * 3 + ["test"] * 10


def test_maps_are_of_the_most_confident_mistakes(prepared: Path) -> None:
    Project(prepared, {}).set("visualize.mistakes", 3)
    evaluate.main()
    table = pd.read_csv(paths.PREDICTIONS)
    wrong = table[table["actual"] != table["predicted"]]
    first = wrong.sort_values("confidence", ascending=False, kind="stable").head(3)
    images = np.load(paths.X_TEST)[first["index"]]
    network = keras.models.load_model(paths.MODEL)
    expected = occlusion.draw_batch(network, images, first["predicted"].to_numpy())
    np.testing.assert_allclose(np.load(paths.MAPS), expected, atol=1e-6)


def test_the_number_of_maps_is_checked(prepared: Path) -> None:
    Project(prepared, {}).set("visualize.mistakes", "all")
    with pytest.raises(InputError, match=r"params\.yaml: visualize\.mistakes: found 'all'; "):
        evaluate.main()


def test_a_model_without_a_mistake_has_neither_doubts_nor_maps(
    prepared: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer_by_labels(monkeypatch, {})
    evaluate.main()
    printed = capsys.readouterr().out
    assert "Test accuracy:       100.00%" in printed
    assert "Never predicted" not in printed
    assert "Learnt by heart" not in printed
    assert paths.MISTAKES.read_text() == "index,file,actual,predicted\n"
    assert paths.DOUBTS.read_text() == "part,index,file,actual,predicted,confidence\n"
    assert np.load(paths.MAPS).shape == (0, 28, 28)
    assert json.loads(paths.METRICS.read_text())["test"]["accuracy_at_90"] == 1
