"""A stage runs alone in its folder, from inputs that stay as they are, and writes all or none."""

import errno
import fcntl
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stages.common import inputs, paths
from stages.common import stage as stage_module
from stages.common.files import write_bytes, write_text
from stages.common.stage import alone, stage
from tests.builders import ROOT, write_params

OUT = Path("models/summary.txt"), Path("reports/history.csv")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with all that dvc.yaml declares for train, as the current one."""
    monkeypatch.chdir(tmp_path)
    write_params(tmp_path)
    for part in "train", "backend", "common":
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "stages" / part, f"stages/{part}", ignore=ignored)
    for path in (*Path("stages").rglob("*.py"), ROOT / "requirements.txt"):
        os.utime(path, (0, 0)) if path.is_relative_to("stages") else shutil.copy(path, ".")
    for array in paths.X_TRAIN, paths.Y_TRAIN, paths.X_TEST:
        write_bytes(array, b"an array")
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], stopped: pytest.ExceptionInfo[SystemExit]) -> str:
    assert "Traceback" not in capsys.readouterr().err
    assert isinstance(stopped.value.code, str)
    assert "\n" not in stopped.value.code
    return stopped.value.code


def test_outputs_take_their_places_together_when_the_stage_has_ended(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with stage("train"):
        for path in OUT:
            write_text(path, "new")
        assert not any(path.exists() for path in OUT)
    assert [path.read_text() for path in OUT] == ["new", "new"]
    assert re.fullmatch(r"train: done in \d+\.\d s\n", capsys.readouterr().out)


@pytest.mark.parametrize("error", [OSError("full"), KeyboardInterrupt(), ValueError("a defect")])
def test_a_stage_that_fails_leaves_the_old_outputs_and_nothing_else(
    error: BaseException, folder: Path
) -> None:
    write_text(OUT[0], "old")
    with pytest.raises((SystemExit, ValueError)), stage("train"):
        for path in OUT:
            write_text(path, "new")
        raise error
    assert OUT[0].read_text() == "old"
    assert not OUT[1].exists()
    assert not list(folder.rglob(".partial-*"))


def edit(old: str, new: str) -> Callable[[], object]:
    def act() -> None:
        text = paths.PARAMS.read_text()
        assert old in text
        paths.PARAMS.write_text(text.replace(old, new))

    return act


def rewrite(path: Path, keep_time: bool = False) -> None:
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    other = path.with_name("other")
    other.write_bytes(b"another!")  # as long as "an array"
    if keep_time:
        os.utime(other, ns=times)
    other.replace(path)


CHANGED: dict[str, tuple[Callable[[], object], str]] = {
    "a parameter": (edit("learning_rate: 0.001", "learning_rate: 0.1"), "train.learning_rate"),
    "one deep in a section": (
        edit("translation: 0.0", "translation: 0.1"),
        "train.augmentation.translation",
    ),
    "a key more": (edit("  epochs:", "  more: 1\n  epochs:"), "train.more"),
    "code": (lambda: Path("stages/train/model.py").write_text("# new\n"), "stages/train/model.py"),
    "a file more": (lambda: Path("stages/common/a.py").touch(), "stages/common/a.py"),
    "a file less": (lambda: Path("stages/backend/cpu.py").unlink(), "stages/backend/cpu.py"),
    "the lock of packages": (lambda: Path("requirements.txt").write_text(""), "requirements.txt"),
    "an array": (lambda: rewrite(paths.X_TRAIN), "data/prepared/x_train.npy"),
    "an array of the same time": (
        lambda: rewrite(paths.Y_TRAIN, keep_time=True),
        "data/prepared/y_train.npy",
    ),
    "an array that is gone": (paths.X_TRAIN.unlink, "data/prepared/x_train.npy"),
}


@pytest.mark.parametrize("change", CHANGED)
def test_an_input_that_is_edited_meanwhile_ends_the_stage_without_outputs(
    change: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    act, name = CHANGED[change]
    with pytest.raises(SystemExit) as stopped, stage("train"):
        write_text(OUT[0], "of which inputs?")
        act()
    assert said(capsys, stopped).startswith(f"train: {name}: changed while train ran, ")
    assert not OUT[0].exists()


UNCHANGED: dict[str, Callable[[], object]] = {
    "a parameter of another stage": edit("dpi: 100", "dpi: 50"),
    "data of another stage": lambda: rewrite(paths.X_TEST),
    "a file of the same content": lambda: rewrite_code("stages/train/model.py"),
    "a comment in params.yaml": edit("seed: 42", "seed: 42  # as ever"),
    "byte code": lambda: write_bytes(Path("stages/train/__pycache__/a.pyc"), b"", at_once=True),
}


def rewrite_code(name: str) -> None:
    Path(name).write_text(Path(name).read_text())


@pytest.mark.parametrize("change", UNCHANGED)
def test_an_edit_of_what_the_stage_does_not_use_disturbs_nothing(change: str, folder: Path) -> None:
    with stage("train"):
        write_text(OUT[0], "new")
        UNCHANGED[change]()
    assert OUT[0].read_text() == "new"


def test_inputs_can_be_checked_on_the_way(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped, stage("train") as check_inputs:
        check_inputs()
        CHANGED["a parameter"][0]()
        check_inputs()
        raise AssertionError("not reached")
    assert "train.learning_rate" in said(capsys, stopped)


def test_code_that_was_edited_after_it_may_have_been_imported_counts_as_changed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.utime("stages/train/model.py")
    with pytest.raises(SystemExit) as stopped, stage("train"):
        raise AssertionError("not reached")
    assert said(capsys, stopped).startswith("train: stages/train/model.py: changed while train ran")


def test_code_from_a_clock_that_is_ahead_does_not_count_as_changed(folder: Path) -> None:
    tomorrow = time.time() + 86_400
    os.utime("stages/train/model.py", (tomorrow, tomorrow))
    with stage("train"):
        write_text(OUT[0], "new")
    assert OUT[0].read_text() == "new"


def test_the_data_set_that_a_parameter_names_is_an_input_of_prepare(folder: Path) -> None:
    write_bytes(paths.RAW / "mnist/labels", b"1")
    write_bytes(paths.RAW / "other/labels", b"1")
    taken = inputs.snapshot("prepare")
    assert "data/raw/mnist/labels" in taken
    assert "data/raw/other/labels" not in taken
    assert taken["prepare.dataset"] == "'mnist'"


@pytest.fixture
def another_stage(folder: Path) -> Iterator[threading.Event]:
    """Let another stage run in the folder until the event is set."""
    holds, end = threading.Event(), threading.Event()

    def hold() -> None:
        with alone():  # flock belongs to an opened file, so a thread is as good as a process
            holds.set()
            end.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    assert holds.wait(10)
    yield end
    end.set()
    thread.join()


def test_a_stage_waits_for_another_one_in_the_folder_and_says_so(
    another_stage: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []

    def tell(line: str, flush: bool = False) -> None:
        lines.append(line)
        another_stage.set()

    monkeypatch.setattr(stage_module, "print", tell, raising=False)
    with alone():
        assert lines == ["Waiting: another process is running a stage in this folder"]


def test_a_file_system_without_locks_is_said_as_what_it_is(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(SystemExit) as stopped, stage("train"):
        raise AssertionError("not reached")
    expected = "train: .checkpoints/lock: cannot be locked: No locks available"
    assert said(capsys, stopped) == expected
