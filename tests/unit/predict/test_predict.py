"""The command that uses the model, as its user types it, and the class that it is made of."""

import json
import os
import shutil
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

from predict import Classifier, ModelError, PictureError, picture
from predict import __main__ as predict
from stages.backend import archive
from stages.common.paths import MODEL, TFLITE
from tests.builders import DIGITS

NAMES = [str(i) for i in range(10)]


@pytest.fixture(scope="module")
def pictures(exported_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an exported model, the one that it was made of, and three pictures."""
    root = tmp_path_factory.mktemp("predict")
    (root / TFLITE).parent.mkdir()
    for path in MODEL, TFLITE:
        shutil.copy(exported_once / path, root / path)
    for i, digit in enumerate(DIGITS[:3]):
        Image.fromarray(digit).save(root / f"{i}.png")
    (root / "notes.txt").write_text("not a picture")
    return root


@pytest.fixture
def workspace(pictures: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A copy of it, as the current folder."""
    shutil.copytree(pictures, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def expected(name: str) -> np.ndarray:
    """Return the class probabilities that Keras gives a picture."""
    prepared = picture.prepare(picture.read(Path(name)), 28, 28)
    probabilities: np.ndarray = archive.load(MODEL)(prepared[np.newaxis]).numpy()[0]
    return probabilities


def test_the_default_model_is_the_one_that_export_writes() -> None:
    assert predict.MODEL == TFLITE


def test_a_line_names_the_likeliest_class_and_its_confidence(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict.main(["0.png", "1.png", "0.png"]) == 0
    best = [expected(f"{i}.png") for i in (0, 1, 0)]
    assert capsys.readouterr().out.splitlines() == [
        f"{i}.png: {p.argmax()} {p.max():.2%}" for i, p in zip((0, 1, 0), best, strict=True)
    ]


def test_json_holds_the_likeliest_classes_in_order(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict.main(["2.png", "--json", "--top", "3"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["image"] == "2.png"
    order = expected("2.png").argsort()[::-1][:3]
    assert [entry["label"] for entry in document["predictions"]] == [NAMES[i] for i in order]
    assert [entry["confidence"] for entry in document["predictions"]] == pytest.approx(
        expected("2.png")[order], abs=1e-4
    )


def test_more_classes_than_there_are_means_all(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict.main(["2.png", "--top", "99"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert {part.split()[-2] for part in line.split(",")} == set(NAMES)


def test_each_answer_is_there_before_the_next_picture_is_read(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    printed: list[str] = []
    load = picture.load

    def watch(path: Path, **preparation: object) -> np.ndarray:
        printed.append("".join(capsys.readouterr()))
        return load(path, **preparation)  # type: ignore[arg-type]

    monkeypatch.setattr(picture, "load", watch)
    assert predict.main(["notes.txt", "0.png", "missing.png", "1.png"]) == 1
    printed.append("".join(capsys.readouterr()))
    starts = ["", "predict: notes.txt: ", "0.png: ", "predict: missing.png: ", "1.png: "]
    for found, start in zip(printed, starts, strict=True):
        assert found.startswith(start)
        assert found.count("\n") == bool(start)


def stripes(height: int, width: int) -> Image.Image:
    rows, columns = np.mgrid[:height, :width]
    return Image.fromarray((columns % 2 * 255 + 0 * rows).astype(np.uint8))


def checkerboard(side: int) -> Image.Image:
    return Image.fromarray((np.indices((side, side)).sum(axis=0) % 2 * 255).astype(np.uint8))


STRANGE = {
    "stripes": stripes(600, 600),
    "a checkerboard": checkerboard(400),
    "a small checkerboard": checkerboard(100),
    "a row": Image.fromarray(np.arange(1000, dtype=np.uint8)[np.newaxis]),
    "a column of stripes": stripes(1, 1000).transpose(Image.Transpose.ROTATE_90),
    "a pixel": Image.new("L", (1, 1), 255),
    "two pixels": Image.fromarray(np.array([[0, 255]], np.uint8)),
    "one pixel of ink": Image.fromarray(
        np.eye(1, 90_000, 45_150, np.uint8).reshape(300, 300) * 255
    ),
}


@pytest.mark.filterwarnings("error")
def test_a_strange_picture_costs_no_other_its_answer(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, image in STRANGE.items():
        image.save(f"{name}.png")
        code = predict.main([f"{name}.png", "0.png"])
        out, err = capsys.readouterr()
        assert out.splitlines()[-1].startswith("0.png: "), name
        assert "nan" not in out
        assert (code, len(out.splitlines())) in [(0, 2), (1, 1)]
        if code:
            assert err.startswith(f"predict: {name}.png: blank; expected something drawn")
            assert len(err.splitlines()) == 1


def test_a_picture_for_which_memory_runs_out_costs_no_other_its_answer(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    load = picture.load

    def run_out(path: Path, **preparation: Any) -> np.ndarray:
        if path.name == "1.png":
            raise MemoryError
        return load(path, **preparation)

    monkeypatch.setattr(picture, "load", run_out)
    assert predict.main(["0.png", "1.png", "2.png"]) == 1
    out, err = capsys.readouterr()
    assert [line.split(":")[0] for line in out.splitlines()] == ["0.png", "2.png"]
    assert err == "predict: 1.png: memory ran out; expected a smaller picture\n"


def test_the_help_names_the_default_model(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        predict.main(["--help"])
    assert f"default: {TFLITE}" in " ".join(capsys.readouterr().out.split())


def test_a_folder_is_read_with_all_folders_in_it_and_nothing_but_pictures(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in "b/a.PNG", "b/c/d.jpeg", "a.jpg", ".hidden.png", ".hidden/e.png", "b/notes.txt":
        (workspace / "all" / path).parent.mkdir(parents=True, exist_ok=True)
        Image.open("0.png").save(workspace / "all" / path, "JPEG" if "jp" in path else "PNG")
    (workspace / "empty").mkdir()
    assert predict.main(["all", "empty", "1.png"]) == 1
    out, err = capsys.readouterr()
    assert [line.split(":")[0] for line in out.splitlines()] == [
        "all/a.jpg",
        "all/b/a.PNG",
        "all/b/c/d.jpeg",
        "1.png",
    ]
    assert err == "predict: empty: no pictures; expected PNG, JPEG or WebP files\n"


def test_a_bar_appears_on_a_terminal_unless_the_answers_do(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [Path("0.png")]
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert predict.watched(paths) is paths
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False)
    assert predict.watched(paths) is not paths
    assert list(predict.watched(paths)) == paths


@pytest.mark.parametrize("arguments", [[], ["--top", "0", "0.png"], ["--top", "many", "0.png"]])
def test_wrong_arguments_show_the_usage(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        predict.main(arguments)
    assert stopped.value.code == 2
    assert "usage: python -m predict" in capsys.readouterr().err


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


def test_a_model_anywhere_is_used_from_any_folder(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    predict.main(["0.png"])
    (workspace / "elsewhere").mkdir()
    monkeypatch.chdir(workspace / "elsewhere")
    assert predict.main(["--model", f"../{TFLITE}", "../0.png"]) == 0
    here, there = capsys.readouterr().out.splitlines()
    assert there == f"../{here}"


def refuse(path: Path) -> str:
    """Return the one line that the command says of a model."""
    with pytest.raises(SystemExit) as stopped:
        predict.main(["--model", str(path), "0.png"])
    assert isinstance(stopped.value.code, str)
    assert "\n" not in stopped.value.code
    return stopped.value.code


def test_what_is_no_exported_model_is_refused_in_one_line(workspace: Path) -> None:
    end = "; expected a model that the export stage wrote: dvc repro makes it, dvc pull fetches it"
    assert refuse(Path("missing")) == f"predict: missing: No such file or directory{end}"
    assert refuse(Path("models")) == f"predict: models: Is a directory{end}"
    assert refuse(Path("notes.txt")) == f"predict: notes.txt: File is not a zip file{end}"
    assert refuse(MODEL) == f"predict: {MODEL}: no about.json in it{end}"
    with pytest.raises(ModelError, match=r"^notes\.txt: File is not a zip file"):
        Classifier("notes.txt")


def test_a_flipped_bit_anywhere_in_a_model_is_refused_or_harmless(workspace: Path) -> None:
    """Nothing checks a network's bytes in LiteRT: weights change, offsets crash the process."""
    content = TFLITE.read_bytes()
    answer = Classifier(TFLITE).classify("0.png")
    damaged = 0
    random = np.random.default_rng(0)
    for place in [
        *random.integers(len(content), size=40),
        *range(len(content) - 200, len(content)),
    ]:
        flipped = bytearray(content)
        flipped[place] ^= 1 << random.integers(8)
        Path("flipped.tflite").write_bytes(flipped)
        try:
            assert Classifier("flipped.tflite").classify("0.png") == answer
        except ModelError:
            damaged += 1
    assert damaged > 40


def test_a_classifier_gives_every_class_its_probability(workspace: Path) -> None:
    classifier = Classifier(str(TFLITE))
    assert classifier.names == NAMES
    assert classifier.shape == (28, 28, 1)
    answer = classifier.classify("1.png")
    assert set(answer) == set(NAMES)
    assert sum(answer.values()) == pytest.approx(1, abs=1e-6)
    assert list(answer.values()) == sorted(answer.values(), reverse=True)
    found = [answer[name] for name in NAMES]
    np.testing.assert_allclose(found, expected("1.png"), atol=1e-4)
    with pytest.raises(PictureError, match=r"^missing\.png: No such file or directory; expected"):
        classifier.classify("missing.png")


def test_batches_of_any_size_and_threads_give_the_same_bytes(workspace: Path) -> None:
    classifier = Classifier(TFLITE)
    images = DIGITS[..., np.newaxis] / np.float32(255)
    together = classifier.probabilities(images)
    alone = [classifier.probabilities(image[np.newaxis])[0] for image in images]
    np.testing.assert_array_equal(together, alone)
    with ThreadPoolExecutor(8) as pool:
        shared = pool.map(lambda i: classifier.probabilities(images[i : i + 1])[0], range(20))
        np.testing.assert_array_equal(together, list(shared))


def test_two_classifiers_made_at_once_leave_stderr_as_it_was(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first thread is done while the second one still makes its own, if they overlap."""
    second_began, first_ended = threading.Event(), threading.Event()

    def slow(**settings: Any) -> Any:
        if threading.current_thread() is first:
            second.start()
            second_began.wait(0.5)  # in vain if threads take turns
        else:
            second_began.set()
            first_ended.wait(60)
        return Interpreter(**settings)

    def make_first() -> None:
        Classifier(TFLITE)
        first_ended.set()

    monkeypatch.setattr("predict.classifier.Interpreter", slow)
    first, second = (
        threading.Thread(target=make) for make in (make_first, lambda: Classifier(TFLITE))
    )
    before = os.dup(2)
    first.start()
    first.join()
    second.join()
    try:
        assert os.path.sameopenfile(2, before)
    finally:
        os.dup2(before, 2)
        os.close(before)
