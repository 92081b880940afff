"""Checkpoints: what they hold, for which training they are, and which of them are kept."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from stages.backend import cpu, runtime
from stages.common import errors, paths
from stages.common.paths import CHECKPOINTS
from stages.train import __main__ as train
from stages.train import checkpoint, seeding
from tests.builders import ROOT


@pytest.fixture
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, runtime.keras.Model]:
    """A model and its checkpoint after one epoch."""
    monkeypatch.chdir(tmp_path)
    keras = runtime.keras
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dropout(0.5), keras.layers.Dense(2)])
    model.compile("adam", "mse", run_eagerly=True)
    model.fit(np.ones((8, 4)), np.ones((8, 2)), verbose=0)
    path = CHECKPOINTS / "a.checkpoint"
    checkpoint.save(path, model, [[1.0, 2.0, 3.0, 4.0]])
    return path, model


def state(model: runtime.keras.Model) -> list[np.ndarray]:
    # Not by checkpoint.variables, which would forget on both sides what it forgets.
    variables = [*model.variables, *model.optimizer.variables]
    return [variable.numpy().copy() for variable in variables]


def test_a_checkpoint_holds_weights_optimizer_and_history(
    saved: tuple[Path, runtime.keras.Model],
) -> None:
    path, model = saved
    before = state(model)
    model.fit(np.ones((8, 4)), np.ones((8, 2)), verbose=0)
    assert any((a != b).any() for a, b in zip(before, state(model), strict=True))
    assert checkpoint.restore(path, model) == [[1.0, 2.0, 3.0, 4.0]]
    for a, b in zip(before, state(model), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_damaged_checkpoint_is_noticed_wherever_the_damage_is(
    saved: tuple[Path, runtime.keras.Model], capsys: pytest.CaptureFixture[str]
) -> None:
    path, model = saved
    content = path.read_bytes()
    before = state(model)
    damaged = [content[:n] for n in range(0, len(content), 97)]
    damaged += [
        content[:n] + bytes([content[n] ^ 0x10]) + content[n + 1 :]
        for n in range(0, len(content), 7)
    ]
    for bad in damaged:
        path.write_bytes(bad)
        assert checkpoint.restore(path, model) == []
        assert "damaged; kept as" in capsys.readouterr().err
        assert (CHECKPOINTS / "damaged").read_bytes() == bad
        for a, b in zip(before, state(model), strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_failed_training_keeps_its_checkpoint(saved: tuple[Path, runtime.keras.Model]) -> None:
    path, _ = saved
    with pytest.raises(errors.InputError), checkpoint.exclusive(path):
        raise errors.InputError
    assert path.exists()


class FoundError(Exception):
    """Carries the checkpoint that a training would resume from."""


def key(monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the checkpoint that a training in the current folder would resume from."""

    def find(path: Path) -> contextlib.AbstractContextManager[None]:
        raise FoundError(path)

    with monkeypatch.context() as patched:
        for name in "build", "summarise", "compile_model":
            patched.setattr(train, name, lambda *_: None)
        patched.setattr(seeding, "draw_weights", lambda *_: None)
        patched.setattr(checkpoint, "exclusive", find)
        with pytest.raises(FoundError) as found:
            train.main()
    path: Path = found.value.args[0]
    return path


def append(path: str | Path) -> Callable[[pytest.MonkeyPatch], object]:
    def act(_: pytest.MonkeyPatch) -> None:
        with Path(path).open("a") as stream:
            stream.write("\n# a comment\n")

    return act


def replace(old: str, new: str) -> Callable[[pytest.MonkeyPatch], object]:
    def act(_: pytest.MonkeyPatch) -> None:
        text = paths.PARAMS.read_text()
        assert text.count(old) == 1
        paths.PARAMS.write_text(text.replace(old, new))

    return act


def change_array(path: Path) -> Callable[[pytest.MonkeyPatch], object]:
    """Change the last number of an array, and nothing else."""

    def act(_: pytest.MonkeyPatch) -> None:
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))

    return act


def list_files_in_reverse(patch: pytest.MonkeyPatch) -> None:
    listed = Path.rglob
    patch.setattr(Path, "rglob", lambda *of: reversed(list(listed(*of))))


def two_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    both = SimpleNamespace(num_replicas_in_sync=2, scope=contextlib.nullcontext)
    monkeypatch.setattr(runtime, "strategy", lambda: both)


# What may change between a kill and the next start. Each makes another training of it.
OTHERS: dict[str, Callable[[pytest.MonkeyPatch], object]] = {
    "seed": replace("seed: 42", "seed: 43"),
    "a parameter of the model": replace("dropout: 0.5", "dropout: 0.4"),
    "a parameter of the training": replace("learning_rate: 0.001", "learning_rate: 0.002"),
    "one deep in a section": replace("translation: 0.0", "translation: 0.1"),
    "an image": change_array(paths.X_TRAIN),
    "a label": change_array(paths.Y_TRAIN),
    "code of the stage": append("stages/train/augmentation.py"),
    "code of the backend": append("stages/backend/archive.py"),
    "code of all stages": append("stages/common/files.py"),
    "a file more": lambda _: Path("stages/train/more.py").touch(),
    "a file less": lambda _: Path("stages/train/schema.py").unlink(),
    "a file's name": lambda _: Path("stages/train/schema.py").rename("stages/train/schemes.py"),
    "a package": append("requirements.txt"),
    "Python": lambda patch: patch.setattr(sys, "version", "3.14.0"),
    "devices": two_devices,
}

# And these make the same training: it resumes.
SAME: dict[str, Callable[[pytest.MonkeyPatch], object]] = {
    "nothing": lambda _: None,
    "the page": append("stages/visualize/figures.py"),
    "the resolution of the figures": replace("dpi: 100", "dpi: 50"),
    "how data is prepared, to the same arrays": append("stages/prepare/dataset.py"),
    "what is measured": append("stages/evaluate/scores.py"),
    "test images": change_array(paths.X_TEST),
    "byte code": lambda _: Path("stages/train/model.cpython-311.pyc").write_bytes(b"1"),
    "the order in which the disk lists the code": list_files_in_reverse,
    "a time stamp": lambda _: os.utime("stages/train/model.py", (0, 0)),
    "the type of the CPU, in float32": lambda patch: patch.setattr(cpu, "model_name", lambda: "Z"),
}


@pytest.mark.parametrize("change", OTHERS)
def test_another_training_starts_afresh(
    change: str, prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = key(monkeypatch)
    OTHERS[change](monkeypatch)
    assert key(monkeypatch) != before


@pytest.mark.parametrize("change", SAME)
def test_the_same_training_resumes(
    change: str, prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = key(monkeypatch)
    SAME[change](monkeypatch)
    assert key(monkeypatch) == before


def test_in_bfloat16_another_type_of_cpu_is_another_training(
    prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace("precision: float32", "precision: mixed_bfloat16")(monkeypatch)
    before = key(monkeypatch)
    monkeypatch.setattr(cpu, "model_name", lambda: "Z")
    assert key(monkeypatch) != before


def test_the_key_holds_what_dvc_yaml_declares_as_inputs_of_train() -> None:
    declared = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]["train"]["deps"]
    assert sorted(map(str, train.INPUTS)) == sorted(declared)


def checkpoints(n: int) -> list[Path]:
    """Write `n` checkpoints of other trainings; return them, the oldest first."""
    CHECKPOINTS.mkdir(exist_ok=True)
    written = [CHECKPOINTS / f"{str(i) * 32}.checkpoint" for i in range(n)]
    for i, path in enumerate(written):
        path.write_bytes(b"")
        os.utime(path, (i, i))
    return written


def left() -> set[Path]:
    return set(CHECKPOINTS.glob("*.checkpoint"))


MINE = CHECKPOINTS / f"{'f' * 32}.checkpoint"


def test_the_newest_few_are_kept_and_the_oldest_is_dropped_with_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    oldest, *kept = checkpoints(checkpoint.KEPT + 1)
    MINE.write_bytes(b"")
    os.utime(MINE, (0, 0))
    with checkpoint.exclusive(MINE):
        assert left() == {MINE, *kept}
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"{oldest}: dropped")
    assert left() == set(kept), "on success one's own goes, too"


HOLDER = """
import pathlib, sys
from stages.train import checkpoint
with checkpoint.exclusive(pathlib.Path(sys.argv[1])):
    print("locked", flush=True)
    sys.stdin.read()
    sys.exit()  # as if it failed, so that its checkpoint stays
"""


@pytest.mark.slow
def test_a_checkpoint_whose_training_runs_is_never_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The locks are the operating system's, for each process."""
    monkeypatch.chdir(tmp_path)
    oldest, *kept = checkpoints(checkpoint.KEPT + 1)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(oldest)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "locked\n"
        with checkpoint.exclusive(MINE):
            assert left() == {oldest, *kept}
    with checkpoint.exclusive(MINE):
        assert left() == set(kept)
