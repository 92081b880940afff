"""A killed training, started again, ends with the bytes of one that was never stopped."""

import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import MakeOnce
from tests.project import Project, duplicate, trainings

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
        assert project.repro() == ["train", "evaluate", "visualize", "export"]

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
    for name in (
        "export",
        "visualize",
        "evaluate",
        "prepare",
    ):  # each before those that it reads from
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
    stages = "prepare", "evaluate", "visualize", "export"
    assert reproduced.repro("--force", "--single-item", *stages) == [*stages]
    assert reproduced.outputs() == before
    assert not list(reproduced.root.rglob(".partial-*"))


def test_an_interrupted_training_is_resumed_even_after_another_one(reproduced: Project) -> None:
    before = reproduced.outputs()
    forget(reproduced)
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


def forget(project: Project) -> None:
    """Remove the checkpoint of the finished training, with which another would end at once."""
    shutil.rmtree(project.root / ".checkpoints")


def start(project: Project, *command: str) -> subprocess.Popen[str]:
    options: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, cwd=project.root, env=project.env, **options)


def read_until(process: subprocess.Popen[str], beginning: str) -> None:
    assert process.stdout
    for line in process.stdout:
        if line.startswith(beginning):
            return
    pytest.fail(f"{process.args!r} ended without {beginning}")


def overtake(project: Project, *repro: str) -> tuple[str, int, str]:
    """Let a training outlive its dvc, and another `dvc repro` start meanwhile.

    SIGKILL to dvc alone orphans the training that it started. Returns what the orphan printed, its
    exit code, and what the other printed when it had waited.
    """
    forget(project)
    first = start(project, sys.executable, "-m", "stages.train")
    read_until(first, "Epoch 1/2")
    first.send_signal(signal.SIGSTOP)
    project.set("train.epochs", 1) if not repro else None
    second = start(project, "dvc", "repro", *repro, "train")
    read_until(second, "Waiting: another process is running a stage in this folder")
    first.send_signal(signal.SIGCONT)
    printed, _ = second.communicate(timeout=120)
    assert second.returncode == 0
    orphan, _ = first.communicate(timeout=120)
    return orphan, first.returncode, printed


def test_whoever_waits_for_a_training_that_outlived_its_own_dvc_finds_its_result(
    reproduced: Project,
) -> None:
    before = reproduced.outputs()
    _, code, printed = overtake(reproduced, "--force", "--single-item")
    assert code == 0
    assert "Resuming after epoch 2 of 2" in printed
    assert reproduced.outputs() == before


def test_a_training_that_is_no_longer_wanted_ends_and_writes_over_nothing(
    reproduced: Project,
) -> None:
    orphan, code, printed = overtake(reproduced)
    assert code == 1
    assert "train: train.epochs: changed while train ran, whose outputs were" in orphan
    assert "Traceback" not in orphan
    assert "Resuming" not in printed
    assert len((reproduced.root / "reports/history.csv").read_text().splitlines()) == 2
    assert "up to date" in reproduced.run("dvc", "status", "train").stdout


def test_an_edit_during_a_run_is_not_recorded_and_costs_nothing_that_was_committed(
    reproduced: Project,
) -> None:
    forget(reproduced)
    before = reproduced.outputs()
    reproduced.set("seed", 7)
    run = start(reproduced, "dvc", "repro")
    read_until(run, "Epoch 1/2")
    reproduced.set("train.learning_rate", 0.5)
    printed, _ = run.communicate(timeout=120)
    assert run.returncode
    assert "train: train.learning_rate: changed while train ran" in printed
    assert not (reproduced.root / "models/model.keras").exists()
    assert reproduced.outputs() == before
    reproduced.run("git", "restore", "params.yaml", "dvc.lock", "reports")
    reproduced.run("dvc", "checkout", "--force")
    assert reproduced.repro() == []


def test_a_diverged_training_stops_and_saves_no_model(reproduced: Project) -> None:
    reproduced.set("train.learning_rate", 1e38)
    done = reproduced.run("dvc", "repro", check=False)
    assert done.returncode
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("train: ")]
    assert "training diverged in epoch 1: loss nan; expected a finite loss" in line
    assert "Traceback" not in done.stderr
    assert not (reproduced.root / "models/model.keras").exists()
