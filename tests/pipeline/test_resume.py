"""A killed training, started again, ends with the bytes of one that was never stopped."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.conftest import MakeOnce
from tests.project import Project, duplicate, trainings

pytestmark = pytest.mark.slow

EPOCHS = 12
# Random kills of `dvc repro`: a few by default, more where somebody asks.
KILLS = int(os.environ.get("KILLS", "3"))

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
    "before the summary is written",
)


def demand_much(project: Project) -> None:
    """Choose a training with all that a resumed one has to get right."""
    project.set("train.epochs", EPOCHS)
    project.set("train.optimizer", "muon")
    project.set("train.momentum", 0.9)
    project.set("train.weight_decay", 0.1)
    project.set("train.schedule", "one_cycle")
    project.set("train.precision", "mixed_bfloat16")
    project.set("train.label_smoothing", 0.1)
    project.set("train.freeze_after", EPOCHS // 2)
    project.set("train.augmentation.translation", 0.07)


@pytest.fixture(scope="session")
def uninterrupted(make_once: MakeOnce, reproduced_once: Project) -> Project:
    """A project whose training of twelve epochs was never stopped. It is shared."""

    def make(folder: Path) -> None:
        project = duplicate(reproduced_once, folder)
        demand_much(project)
        assert project.repro() == ["train", "evaluate", "visualize"]

    return make_once("uninterrupted", make)


@pytest.fixture
def untrained(reproduced: Project) -> Project:
    demand_much(reproduced)
    return reproduced


def trained(project: Project) -> dict[str, str]:
    """Return the md5 of what `train` wrote."""
    lock = yaml.safe_load((project.root / "dvc.lock").read_text())
    return {out["path"]: out["md5"] for out in lock["stages"]["train"]["outs"]}


def test_a_dozen_kills_in_a_row_change_no_byte(untrained: Project, uninterrupted: Project) -> None:
    for point, (code, text) in zip(POINTS, trainings(untrained, *POINTS), strict=True):
        assert code == -signal.SIGKILL, (point, text)
    assert untrained.repro("train") == ["train"]
    assert trained(untrained) == trained(uninterrupted)
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
    text = path.read_text()
    path.write_text(text[: text.index(" md5: ", 3000) + 4])  # in the middle of a mapping
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
    lock = yaml.safe_load((reproduced.root / "dvc.lock").read_text())
    for name in "visualize", "evaluate", "prepare":  # each before those that it reads from
        outputs = [reproduced.root / out["path"] for out in lock["stages"][name]["outs"]]
        for path in outputs:
            path.unlink()
        program = (
            "import os, signal, runpy\n"
            "os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)\n"
            f"runpy.run_module('stages.{name}', run_name='__main__')\n"
        )
        done = reproduced.run(sys.executable, "-c", program, check=False)
        assert done.returncode == -signal.SIGKILL
        assert not any(path.exists() for path in outputs)
    stages = "prepare", "evaluate", "visualize"
    assert reproduced.repro("--force", "--single-item", *stages) == [*stages]
    assert reproduced.outputs() == before
    assert not list(reproduced.root.rglob(".partial-*"))


def test_an_interrupted_training_is_resumed_even_after_another_one(reproduced: Project) -> None:
    before = reproduced.outputs()
    model = reproduced.root / "models/model.keras"
    content = model.read_bytes()
    for name, seed in ("b", 1), ("a", 42):
        reproduced.set("seed", seed)
        shutil.copy(reproduced.root / "params.yaml", reproduced.root.parent / f"{name}.yaml")
    (killed, _), (_, other), (_, resumed) = trainings(
        reproduced, "between epochs@../a.yaml", "whole@../b.yaml", "whole@../a.yaml"
    )
    assert killed == -signal.SIGKILL
    assert "Resuming" not in other
    assert "Resuming after epoch 1 of 2" in resumed
    assert "Epoch 1/2" not in resumed
    assert "Epoch 2/2" in resumed
    assert model.read_bytes() == content
    assert reproduced.repro() == []
    assert reproduced.outputs() == before


def test_the_next_repro_waits_for_a_training_that_outlived_its_own(reproduced: Project) -> None:
    """SIGKILL to dvc alone orphans the training it started."""
    before = reproduced.outputs()
    lock = reproduced.root / ".checkpoints/lock"
    lock.unlink()
    process = subprocess.Popen(
        [sys.executable, "-m", "stages.train"],
        cwd=reproduced.root,
        env=reproduced.env,
        stdout=subprocess.DEVNULL,
    )
    while not lock.exists():
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGSTOP)
    second = subprocess.Popen(
        ["dvc", "repro", "--force", "--single-item", "train"],
        cwd=reproduced.root,
        env=reproduced.env,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert second.stdout is not None
    waited = False
    for line in second.stdout:
        if line.startswith("Waiting"):
            waited = True
            os.kill(process.pid, signal.SIGCONT)
    assert waited
    assert (process.wait(60), second.wait(60)) == (0, 0)
    assert reproduced.outputs() == before


def test_a_diverged_training_stops_and_saves_no_model(reproduced: Project) -> None:
    reproduced.set("train.learning_rate", 1e38)
    done = reproduced.run("dvc", "repro", check=False)
    assert done.returncode
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("train: ")]
    assert "training diverged in epoch 1: loss nan; expected a finite loss" in line
    assert "Traceback" not in done.stderr
    assert not (reproduced.root / "models/model.keras").exists()
