"""The command that uses the model, as its user types it."""

import contextlib
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from predict import __main__ as predict
from predict import picture
from stages.backend import archive, runtime
from stages.common.errors import InputError, in_one_line
from stages.common.paths import CLASSES, MODEL, PICTURES
from tests.builders import DIGITS, ROOT

NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "née"]


@pytest.fixture(scope="module")
def pictures(prepared_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model, its classes' names, three pictures and a text file."""
    root = tmp_path_factory.mktemp("predict")
    for path in MODEL, CLASSES:
        (root / path).parent.mkdir(parents=True)
    for path in MODEL, PICTURES:
        shutil.copy(prepared_once / path, root / path)
    (root / CLASSES).write_text("\n".join(NAMES), encoding="utf-8")
    for i, digit in enumerate(DIGITS[:3]):
        Image.fromarray(digit).save(root / f"{i}.png")
    (root / "notes.txt").write_text("not a picture")
    return root


@pytest.fixture
def workspace(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(pictures)
    # The tests' process pins its threads once.
    monkeypatch.setattr(runtime, "pin", lambda **_: None)
    return pictures


@pytest.fixture
def own(workspace: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A copy of the workspace, in which a test may change something."""
    shutil.copytree(workspace, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def expected(i: int) -> np.ndarray:
    """Return the class probabilities that the model itself gives picture i."""
    prepared = picture.prepare(picture.read(Path(f"{i}.png")), 28, 28)
    probabilities: np.ndarray = archive.load(MODEL)(prepared[np.newaxis]).numpy()[0]
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


@pytest.mark.parametrize("path", [MODEL, CLASSES, PICTURES])
def test_what_is_not_there_can_be_made_or_fetched(own: Path, path: Path) -> None:
    path.unlink()
    with pytest.raises(InputError, match=f"{path}: not found; dvc repro makes it, dvc pull"):
        predict.main(["0.png"])


def test_a_model_of_other_classes_is_refused(own: Path) -> None:
    CLASSES.write_text("cat\ndog\n")
    with pytest.raises(InputError, match="the 2 classes of"):
        predict.main(["0.png"])


def test_a_model_of_other_images_is_refused(own: Path) -> None:
    PICTURES.write_text('{"shape": [28, 28, 3], "centre_ink": false}')
    with pytest.raises(InputError, match=r"takes .*1\), gives .* expected images of \(28, 28, 3\)"):
        predict.main(["0.png"])


def test_a_picture_of_a_set_without_ink_is_only_scaled(
    own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    PICTURES.write_text('{"shape": [28, 28, 1], "centre_ink": false}')
    moved = np.roll(DIGITS[0], (5, -3), (0, 1))
    Image.fromarray(moved).save("moved.png")
    predict.main(["--json", "moved.png"])
    (document,) = map(json.loads, capsys.readouterr().out.splitlines())
    (best,) = document["predictions"]
    probabilities = archive.load(MODEL)(moved[np.newaxis, ..., np.newaxis] / 255).numpy()[0]
    assert best["label"] == NAMES[probabilities.argmax()]
    assert best["confidence"] == pytest.approx(probabilities.max(), abs=1e-6)


@pytest.mark.parametrize("arguments", [[], ["--top", "0", "0.png"], ["--top", "many", "0.png"]])
def test_wrong_arguments_show_the_usage(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        predict.main(arguments)
    assert stopped.value.code == 2
    assert "usage: python -m predict" in capsys.readouterr().err


def refuse(*_: Any, **__: Any) -> str:
    raise PermissionError(errno.EACCES, "Permission denied", str(CLASSES))


def test_unreadable_class_names_are_told_in_one_line(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    CLASSES.write_bytes(b"n\xe9e\n")
    with pytest.raises(SystemExit) as latin, in_one_line("predict"):
        predict.main(["0.png"])
    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(SystemExit) as forbidden, in_one_line("predict"):
        predict.main(["0.png"])
    assert str(latin.value).startswith(f"predict: {CLASSES}: line 1 is 'n\\udce9e'")
    assert str(forbidden.value) == f"predict: {CLASSES}: Permission denied"


@pytest.mark.parametrize("name", ["two\nlines.png", "\x1b[2Jclear.png", os.fsdecode(b"\xff.png")])
def test_an_unprintable_name_is_escaped_and_stays_on_its_line(
    workspace: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy("0.png", name)
    assert predict.main([name, f"missing {name}"]) == 1
    out, err = capsys.readouterr()
    (line,) = out.splitlines()
    (complaint,) = err.splitlines()
    escaped = name.encode("unicode_escape").decode()
    assert line.startswith(f"{escaped}: ")
    assert complaint.startswith(f"predict: missing {escaped}: No such file")
    assert predict.main([name, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["image"] == name


def start(folder: Path, *images: str, **variables: str) -> subprocess.Popen[str]:
    """Start the command in `folder`."""
    return subprocess.Popen(
        [sys.executable, "-m", "predict", *images],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_the_command_is_quiet_except_for_what_it_has_to_say(pictures: Path) -> None:
    shutil.copy(pictures / "0.png", pictures / "é.png")
    process = start(pictures, "é.png", "missing.png", PYTHONIOENCODING="ascii")
    out, err = process.communicate()
    assert process.returncode == 1
    assert out.startswith("\\xe9.png: ")
    assert len(out.splitlines()) == 1
    assert err == "predict: missing.png: No such file or directory; expected a PNG or JPEG file\n"


@pytest.mark.slow
def test_a_reader_that_stops_early_is_no_error(pictures: Path) -> None:
    process = start(pictures, "0.png")
    assert process.stdout
    assert process.stderr
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait() == 1


@pytest.mark.slow
def test_an_interrupt_ends_it_without_a_word(pictures: Path) -> None:
    os.mkfifo(pictures / "slow.png")
    process = start(pictures, "slow.png")
    writer = None
    while writer is None:
        assert process.poll() is None
        with contextlib.suppress(OSError):  # nobody can write before somebody reads
            writer = os.open(pictures / "slow.png", os.O_WRONLY | os.O_NONBLOCK)
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    assert process.communicate() == ("", "")
    assert process.returncode == -signal.SIGINT  # a shell makes 130 of it
    os.close(writer)
