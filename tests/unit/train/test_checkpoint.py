"""Checkpoints: what they hold, for which training they are, and which of them are kept."""

import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from stages.backend import cpu, determinism, runtime
from stages.common import paths
from stages.common.paths import CHECKPOINTS
from stages.train import __main__ as train
from stages.train import checkpoint, seeding
from tests.files import flip_a_byte


@pytest.fixture
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, runtime.keras.Model]:
    """A model and its checkpoint after one epoch."""
    monkeypatch.chdir(tmp_path)
    keras = runtime.keras
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dropout(0.5), keras.layers.Dense(2)])
    model.compile("adam", "mse", run_eagerly=True)
    model.fit(np.ones((8, 4)), np.ones((8, 2)), verbose=0)
    path = CHECKPOINTS / "a.checkpoint"
    checkpoint.save(path, model, [[1.0, 2.0, 3.0, 4.0]], [np.arange(3.0), np.ones((2, 2))])
    return path, model


def state(model: runtime.keras.Model) -> list[np.ndarray]:
    # Not by checkpoint.variables, which would forget on both sides what it forgets.
    variables = [*model.variables, *model.optimizer.variables]
    return [variable.numpy().copy() for variable in variables]


def test_a_checkpoint_holds_weights_optimizer_history_and_best_weights(
    saved: tuple[Path, runtime.keras.Model],
) -> None:
    path, model = saved
    before = state(model)
    model.fit(np.ones((8, 4)), np.ones((8, 2)), verbose=0)
    assert any((a != b).any() for a, b in zip(before, state(model), strict=True))
    history, best = checkpoint.restore(path, model)
    assert history == [[1.0, 2.0, 3.0, 4.0]]
    assert [weight.tolist() for weight in best] == [[0, 1, 2], [[1, 1], [1, 1]]]
    for a, b in zip(before, state(model), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_damaged_checkpoint_is_noticed_wherever_the_damage_is(
    saved: tuple[Path, runtime.keras.Model], capsys: pytest.CaptureFixture[str]
) -> None:
    path, model = saved
    content = path.read_bytes()
    before = state(model)
    damaged = [content[:n] for n in range(0, len(content), 197)]
    damaged += [flip_a_byte(content, n) for n in range(0, len(content), 29)]
    for bad in damaged:
        path.write_bytes(bad)
        assert checkpoint.restore(path, model) == ([], [])
        assert "damaged; kept as" in capsys.readouterr().err
        assert (CHECKPOINTS / "damaged").read_bytes() == bad
        for a, b in zip(before, state(model), strict=True):
            np.testing.assert_array_equal(a, b)


class FoundError(Exception):
    """Carries the checkpoint that a training would resume from."""


def key(monkeypatch: pytest.MonkeyPatch, precision: str = "float32") -> Path:
    """Return the checkpoint that a training in the current folder would resume from."""

    def find(path: Path) -> None:
        raise FoundError(path)

    with monkeypatch.context() as patched:
        layers = runtime.keras.Input((4,)), runtime.keras.layers.Dense(2, dtype=precision)
        patched.setattr(train, "build", lambda *_: runtime.keras.Sequential(layers))
        for name in "summarise", "compile_model":
            patched.setattr(train, name, lambda *_: "")
        patched.setattr(seeding, "draw_weights", lambda *_: None)
        patched.setattr(checkpoint, "prune", find)
        with pytest.raises(FoundError) as found:
            train.main(lambda: None)
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
    return lambda _: path.write_bytes(flip_a_byte(path.read_bytes(), -1))


def list_files_in_reverse(patch: pytest.MonkeyPatch) -> None:
    listed = Path.rglob
    patch.setattr(Path, "rglob", lambda *of: reversed(list(listed(*of))))


def gpus(n: int, model: str = "A") -> Callable[[pytest.MonkeyPatch], object]:
    """Let TensorFlow see GPUs."""

    def act(patch: pytest.MonkeyPatch) -> None:
        config = runtime.tf.config
        patch.setattr(config, "list_logical_devices", lambda _: ["a GPU"] * n)
        patch.setattr(config, "get_visible_devices", lambda _: ["a GPU"] * n)
        details = {"device_name": model}
        patch.setattr(config.experimental, "get_device_details", lambda _: details)
        one = SimpleNamespace(num_replicas_in_sync=1, scope=contextlib.nullcontext)
        patch.setattr(determinism, "strategy", lambda: one)

    return act


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
    "a GPU": gpus(1),
    "a CPU without AVX2": lambda patch: patch.setattr(cpu, "has_avx2", lambda: False),
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
    before = key(monkeypatch, "mixed_bfloat16")
    monkeypatch.setattr(cpu, "model_name", lambda: "Z")
    assert key(monkeypatch, "mixed_bfloat16") != before


def test_other_gpus_are_another_training(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = set()
    for change in gpus(1), gpus(2), gpus(1, "B"):
        change(monkeypatch)
        keys.add(key(monkeypatch))
    assert len(keys) == 3


def test_the_newest_few_are_kept_and_the_oldest_is_dropped_with_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    CHECKPOINTS.mkdir()
    mine, oldest, *kept = (CHECKPOINTS / f"{i}.checkpoint" for i in range(checkpoint.KEPT + 2))
    for i, path in enumerate((mine, oldest, *kept)):
        path.write_bytes(b"")
        os.utime(path, (i, i))
    checkpoint.prune(mine)
    assert {*CHECKPOINTS.iterdir()} == {mine, *kept}
    assert capsys.readouterr().out.startswith(f"{oldest}: dropped")


def test_where_no_promise_is_made_another_machine_is_another_training(
    prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(determinism, "portability", lambda _: "nobody has compared LeakyReLU")
    before = key(monkeypatch)
    monkeypatch.setattr(cpu, "model_name", lambda: "Z")
    assert key(monkeypatch) != before
