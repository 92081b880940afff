"""A killed training, started again, ends with the bytes of one that was never stopped."""

import importlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

from stages.backend import runtime
from stages.common import errors
from stages.train.__main__ import __main__ as train
from stages.train.__main__ import checkpoint
from tests.project import Project, create_project

pytestmark = pytest.mark.slow

EPOCHS = 12
# Random kills of `dvc repro`: a few by default, more where somebody asks.
KILLS = int(os.environ.get("KILLS", "3"))

# What happens in a training that kills itself at the point named: patches of one function each.
KILLER = """
import os, signal, sys
from stages.backend import archive
from stages.train.__main__ import batches
from stages.train.__main__ import checkpoint
from stages.common import errors
from stages.common import files
from stages.train.__main__ import seeding
from stages.train.__main__ import __main__ as train

def kill(*_, **__):
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGKILL)

def at_call(n, function, act=kill):
    def counted(*arguments, **options):
        nonlocal n
        n -= 1
        return act(*arguments, **options) if n == 0 else function(*arguments, **options)
    return counted

def half(path, content):
    with open(path, "wb") as stream:
        stream.write(content[: len(content) // 2])
    kill()

point = sys.argv[1]
if point == "before the first epoch":
    seeding.seed_dropout = kill
elif point == "in the first batch":
    batches.Batches.__getitem__ = kill
elif point == "inside an epoch":
    batches.Batches.__getitem__ = at_call(25, batches.Batches.__getitem__)
elif point == "while a checkpoint is written":
    files.Path.write_bytes = at_call(2, files.Path.write_bytes, half)
elif point == "before a checkpoint is flushed":
    os.fsync = at_call(2, os.fsync)
elif point == "before a checkpoint is renamed":
    files.Path.replace = at_call(2, files.Path.replace)
elif point == "between epochs":
    seeding.seed_dropout = at_call(2, seeding.seed_dropout)
elif point == "before the model is saved":
    archive.save = kill
elif point == "while the model is saved":
    archive.normalise = kill
elif point == "before the history is written":
    train.tabulate = kill
sys.argv[0] = "train.py"
errors.run(train.main, train.INPUTS, train.OUTPUTS)
"""

# In this order: each kill finds what the one before left behind.
POINTS = (
    "before the first epoch",
    "in the first batch",
    "inside an epoch",
    "while a checkpoint is written",
    "before a checkpoint is flushed",
    "before a checkpoint is renamed",
    "between epochs",
    "inside an epoch",
    "before the model is saved",
    "while the model is saved",
    "before the history is written",
)


def outputs(project: Project) -> dict[str, bytes]:
    return {str(path): (project.root / path).read_bytes() for path in train.OUTPUTS}


def demand_much(project: Project) -> None:
    """Choose a training with all that a resumed one has to get right."""
    project.set("train.epochs", EPOCHS)
    project.set("train.schedule", "one_cycle")
    project.set("train.precision", "mixed_bfloat16")
    project.set("train.label_smoothing", 0.1)
    project.set("train.augmentation.translation", 0.07)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose training of twelve epochs was never stopped."""
    project = create_project(tmp_path_factory.mktemp("uninterrupted"))
    demand_much(project)
    project.repro()
    return project


@pytest.fixture
def untrained(project: Project) -> Project:
    demand_much(project)
    project.repro("prepare")
    return project


def test_eleven_kills_in_a_row_change_no_byte(untrained: Project, uninterrupted: Project) -> None:
    killer = untrained.root.parent / "killer.py"
    killer.write_text(KILLER)
    untrained.env["PYTHONPATH"] = str(untrained.root)
    for point in POINTS:
        done = untrained.run(sys.executable, str(killer), point, check=False)
        assert done.returncode == -signal.SIGKILL, (point, done.stdout, done.stderr)
    assert untrained.repro() == ["train", "evaluate", "visualize"]
    assert untrained.outputs() == uninterrupted.outputs()
    assert outputs(untrained) == outputs(uninterrupted)
    assert not list((untrained.root / ".checkpoints").glob("*.checkpoint"))


def kill_after(project: Project, seconds: float, with_signal: signal.Signals) -> bool:
    """Start `dvc repro`, send a signal to all of it after a while; return if it was in time."""
    process = subprocess.Popen(
        ["dvc", "repro"],
        cwd=project.root,
        env=project.env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, with_signal)
        process.wait(60)
        return True
    return False


def remove_a_torn_lock(project: Project) -> bool:
    """Do as the README says where DVC was killed while it wrote dvc.lock; return if it was."""
    path = project.root / "dvc.lock"
    try:
        yaml.safe_load(path.read_text() if path.exists() else "")
    except yaml.YAMLError:
        path.unlink()
        return True
    return False


def test_a_repro_killed_at_random_moments_ends_with_the_same_lock(
    project: Project, uninterrupted: Project
) -> None:
    demand_much(project)
    chance = random.Random(42)  # noqa: S311
    signals = signal.SIGKILL, signal.SIGTERM, signal.SIGINT
    killed = torn = 0
    while killed < KILLS:
        if kill_after(project, chance.uniform(1, 14), signals[killed % 3]):
            killed += 1
            torn += remove_a_torn_lock(project)
            continue
        # It came through: begin again, with nothing in the cache to be restored from.
        assert project.outputs() == uninterrupted.outputs()
        for path in "dvc.lock", ".dvc/cache", "data/prepared", "models", "reports":
            project.run("rm", "-rf", path)
    project.repro()
    assert project.outputs() == uninterrupted.outputs()
    print(f"{killed} kills survived; {torn} times DVC left a torn dvc.lock")


def test_a_torn_lock_is_named_and_costs_no_training(reproduced: Project) -> None:
    path = reproduced.root / "dvc.lock"
    before = reproduced.outputs()
    path.write_text(path.read_text()[:3000].rpartition(":")[0])
    done = reproduced.run("dvc", "repro", check=False)
    assert done.returncode
    assert "dvc.lock" in done.stderr
    assert remove_a_torn_lock(reproduced)
    assert "train" not in reproduced.repro()
    assert reproduced.outputs() == before


def test_a_stage_killed_while_it_writes_leaves_nothing_that_looks_whole(
    reproduced: Project,
) -> None:
    before = reproduced.outputs()
    for name in "prepare", "evaluate", "visualize":
        stage = importlib.import_module(f"stages.{name}")
        for path in stage.OUTPUTS:
            (reproduced.root / path).unlink()
        program = (
            "import os, signal\n"
            "os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)\n"
            f"from stages.common import errors\nfrom stages.{name} import __main__ as stage\n"
            "errors.run(stage.main, stage.INPUTS, stage.OUTPUTS)"
        )
        done = reproduced.run(sys.executable, "-c", program, check=False)
        assert done.returncode == -signal.SIGKILL
        assert not any((reproduced.root / path).exists() for path in stage.OUTPUTS)
        reproduced.run("dvc", "checkout")
        reproduced.run("git", "restore", "reports/metrics.json")
    assert reproduced.repro("--force") == ["prepare", "train", "evaluate", "visualize"]
    assert reproduced.outputs() == before
    assert not list(reproduced.root.rglob(".partial-*"))


def test_with_the_defaults_a_resumed_training_ends_with_the_same_bytes_and_says_so(
    project: Project, reproduced_once: Project
) -> None:
    project.repro("prepare")
    killer = project.root.parent / "killer.py"
    killer.write_text(KILLER)
    project.env["PYTHONPATH"] = str(project.root)
    project.run(sys.executable, str(killer), "between epochs", check=False)
    done = project.run(sys.executable, "-m", "stages.train")
    assert "Resuming after epoch 1 of 2" in done.stdout
    assert "Epoch 1/2" not in done.stdout
    assert "Epoch 2/2" in done.stdout
    assert outputs(project) == outputs(reproduced_once)


def test_the_next_repro_waits_for_a_training_that_outlived_its_own(
    untrained: Project, uninterrupted: Project
) -> None:
    """SIGKILL to dvc alone orphans the training it started."""
    process = subprocess.Popen(
        [sys.executable, "-m", "stages.train"],
        cwd=untrained.root,
        env=untrained.env,
        stdout=subprocess.DEVNULL,
    )
    lock = untrained.root / ".checkpoints/lock"
    while not lock.exists():
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGSTOP)
    second = subprocess.Popen(
        ["dvc", "repro"], cwd=untrained.root, env=untrained.env, stdout=subprocess.PIPE, text=True
    )
    assert second.stdout is not None
    for line in second.stdout:
        if line.startswith("Waiting"):
            os.kill(process.pid, signal.SIGCONT)
    assert (process.wait(60), second.wait(60)) == (0, 0)
    assert untrained.outputs() == uninterrupted.outputs()


@pytest.fixture
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, runtime.keras.Model]:
    """A model and its checkpoint after one epoch."""
    monkeypatch.chdir(tmp_path)
    keras = runtime.keras
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dropout(0.5), keras.layers.Dense(2)])
    model.compile("adam", "mse")
    model.fit(np.ones((8, 4)), np.ones((8, 2)), verbose=0)
    path = checkpoint.FOLDER / "a.checkpoint"
    checkpoint.save(path, model, [[1.0, 2.0, 3.0, 4.0]])
    return path, model


def state(model: runtime.keras.Model) -> list[np.ndarray]:
    return [variable.numpy().copy() for variable in checkpoint.variables(model)]


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
        assert (checkpoint.FOLDER / "damaged").read_bytes() == bad
        for a, b in zip(before, state(model), strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_checkpoint_of_other_inputs_is_never_found(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.write_text("1")
    path = checkpoint.path_for("seed 1", [data])
    assert checkpoint.path_for("seed 1", [data]) == path
    assert checkpoint.path_for("seed 2", [data]) != path
    data.write_text("2")
    assert checkpoint.path_for("seed 1", [data]) != path


def test_stale_checkpoints_do_not_pile_up(saved: tuple[Path, runtime.keras.Model]) -> None:
    path, _ = saved
    mine = checkpoint.FOLDER / "mine.checkpoint"
    mine.write_bytes(path.read_bytes())
    with checkpoint.exclusive(mine):
        assert [other.name for other in checkpoint.FOLDER.glob("*.checkpoint")] == [
            "mine.checkpoint"
        ]
    assert not list(checkpoint.FOLDER.glob("*.checkpoint"))


def test_a_failed_training_keeps_its_checkpoint(saved: tuple[Path, runtime.keras.Model]) -> None:
    path, _ = saved
    with pytest.raises(errors.InputError), checkpoint.exclusive(path):
        raise errors.InputError
    assert path.exists()


def test_a_diverged_training_stops_and_saves_no_model(project: Project) -> None:
    project.set("train.learning_rate", 1e38)
    done = project.run("dvc", "repro", check=False)
    assert done.returncode
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("train: ")]
    assert "training diverged in epoch 1: loss nan; expected a finite loss" in line
    assert "Traceback" not in done.stderr
    assert not (project.root / "models/model.keras").exists()
