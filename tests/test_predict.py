"""The command that uses the model, as its user types it."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from predict import __main__ as predict
from predict import picture
from stages.backend import archive, runtime
from stages.common.errors import InputError
from tests.project import Project
from tests.test_picture import DIGITS, enlarge

NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "née"]


@pytest.fixture(scope="module")
def trained(reproduced_once: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model, its classes' names, three pictures and a text file."""
    root = tmp_path_factory.mktemp("predict")
    for path in predict.MODEL, predict.CLASSES:
        (root / path).parent.mkdir(parents=True)
        shutil.copy(reproduced_once.root / path, root / path)
    (root / predict.CLASSES).unlink()
    (root / predict.CLASSES).write_text("\n".join(NAMES), encoding="utf-8")
    for i in range(3):
        enlarge(DIGITS[i]).save(root / f"{i}.png")
    (root / "notes.txt").write_text("not a picture")
    return root


@pytest.fixture
def workspace(trained: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(trained)
    # The tests' process pins its threads once.
    monkeypatch.setattr(runtime, "pin", lambda threads: None)
    return trained


def expected(i: int) -> np.ndarray:
    """Return the class probabilities that the model itself gives picture i."""
    prepared = picture.prepare(picture.read(Path(f"{i}.png")), 28, 28)
    probabilities: np.ndarray = archive.load(predict.MODEL)(prepared[np.newaxis]).numpy()[0]
    return probabilities


def test_a_line_names_the_likeliest_class_and_its_confidence(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict.main(["0.png", "1.png", "0.png"]) == 0
    best = [expected(i) for i in (0, 1, 0)]
    assert capsys.readouterr().out.splitlines() == [
        f"{i}.png: {NAMES[p.argmax()]} {p.max():.2%}" for i, p in zip((0, 1, 0), best, strict=True)
    ]


def test_json_holds_the_likeliest_classes_in_order(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict.main(["2.png", "--json", "--top", "3"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["image"] == "2.png"
    order = expected(2).argsort()[::-1][:3]
    assert [entry["label"] for entry in document["predictions"]] == [NAMES[i] for i in order]
    assert [entry["confidence"] for entry in document["predictions"]] == pytest.approx(
        expected(2)[order], rel=1e-4
    )


def test_more_classes_than_there_are_means_all(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict.main(["2.png", "--top", "99"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert {part.split()[-2] for part in line.split(",")} == set(NAMES)


def test_bad_files_are_told_and_the_others_still_predicted_all_at_once(
    workspace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    load = archive.load

    def spy(path: Path) -> Any:
        model = load(path)
        run = model.predict

        def count(images: np.ndarray, **options: Any) -> np.ndarray:
            calls.append(len(images))
            outputs: np.ndarray = run(images, **options)
            return outputs

        model.predict = count
        return model

    monkeypatch.setattr(archive, "load", spy)
    assert predict.main(["notes.txt", "0.png", "missing.png", "1.png"]) == 1
    out, err = capsys.readouterr()
    assert [line.split(":")[0] for line in out.splitlines()] == ["0.png", "1.png"]
    assert [line.split(": ")[:2] for line in err.splitlines()] == [
        ["predict", "notes.txt"],
        ["predict", "missing.png"],
    ]
    assert calls == [2]
    assert predict.main(["notes.txt"]) == 1


@pytest.mark.parametrize("path", [predict.MODEL, predict.CLASSES])
def test_what_is_not_there_can_be_made_or_fetched(
    workspace: Path, path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shutil.copytree(workspace, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    path.unlink()
    with pytest.raises(InputError, match=f"{path}: not found; dvc repro makes it, dvc pull"):
        predict.main(["0.png"])


def test_a_model_of_other_classes_is_refused(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shutil.copytree(workspace, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    predict.CLASSES.write_text("cat\ndog\n")
    with pytest.raises(InputError, match="the 2 classes of"):
        predict.main(["0.png"])


@pytest.mark.parametrize("arguments", [[], ["--top", "0", "0.png"], ["--top", "many", "0.png"]])
def test_wrong_arguments_show_the_usage(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        predict.main(arguments)
    assert stopped.value.code == 2
    assert "usage: python -m predict" in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_is_quiet_but_for_what_it_has_to_say(reproduced_once: Project) -> None:
    path = reproduced_once.root.parent / "digit.png"
    Image.fromarray(DIGITS[0]).save(path)
    done = reproduced_once.run(
        sys.executable, "-m", "predict", str(path), "missing.png", check=False
    )
    assert done.returncode == 1
    assert done.stdout.startswith(f"{path}: ")
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == (
        "predict: missing.png: No such file or directory; expected a PNG or JPEG file\n"
    )
