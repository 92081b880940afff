"""A killed run, started again, ends with the bytes of one that was never stopped."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from tests.project import Project, environment, fork

EPOCHS = 6
# Random kills of `dvc repro`: one with each signal by default, more where somebody asks.
KILLS = int(os.environ.get("KILLS", "3"))

# In this order: each kill finds what the one before left behind.
POINTS = (
    "before the first epoch",
    "in the first batch",
    "inside an epoch",
    "while a checkpoint is written",
    "before a checkpoint is renamed",
    "between epochs",
    "inside an epoch",
    "before the model is saved",
    "while the model is saved",
    "before the history is written",
    "before the summary is written",
)
# All that a resumed training has to get right.
DEMANDING = {
    "epochs": EPOCHS,
    "optimizer": "muon",
    "momentum": 0.9,
    "weight_decay": 0.1,
    "schedule": "one_cycle",
    "precision": "mixed_bfloat16",
    "instructions": "native",
    "label_smoothing": 0.1,
    "class_weight": "balanced",
    "keep": "best",
    "freeze_after": EPOCHS // 2,
    "augmentation.translation": 0.07,
    "augmentation.horizontal_flip": True,
}


@pytest.fixture
def folder(prepared: Path) -> Project:
    """All that the stages read, without DVC."""
    return Project(prepared, environment(prepared.parent))


def test_kills_anywhere_and_another_training_between_them_change_no_byte(folder: Project) -> None:
    for key, value in DEMANDING.items():
        folder.set(f"train.{key}", value)
    for name, seed in ("other", 1), ("same", 42):
        folder.set("seed", seed)
        shutil.copy(folder.root / "params.yaml", folder.root.parent / f"{name}.yaml")
    kills = [f"train:{point}" for point in POINTS]
    kills[7:7] = ["train@../other.yaml", "train:before the first epoch@../same.yaml"]
    *killed, resumed, whole = fork(folder, *kills, "train", "forget", "train")
    (other,) = (run for run in killed if not run.code)
    assert {run.code for run in killed if run != other} == {-signal.SIGKILL}
    epochs = [re.findall(r"Resuming after epoch (\d)", run.text) for run in killed]
    assert [int(found[0]) if found else 0 for found in epochs] == [
        *(0, 0, 0, 2, 2, 2, 3),
        *(0, 5),  # the other training, and then the same again
        *(5, 6, 6, 6),
    ]
    assert f"Resuming after epoch {EPOCHS} of {EPOCHS}" in resumed.text
    assert "Resuming" not in whole.text
    assert whole.code == 0
    assert resumed.outputs == whole.outputs != other.outputs


def kill_after(project: Project, seconds: float, with_signal: signal.Signals) -> bool:
    """Start `dvc repro`, send a signal to all of it after a while; return if it was in time."""
    process = start(project, "dvc", "repro", start_new_session=True)
    try:
        process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, with_signal)
        process.communicate(timeout=60)
        return True
    return False


def remove_torn_locks(project: Project) -> int:
    """Do as the docs say where DVC was killed while it wrote a file; return how many it tore."""
    torn = 0
    for name, read in ("dvc.lock", yaml.safe_load), (".dvc/tmp/rwlock", json.loads):
        path = project.root / name
        try:
            read(path.read_text() if path.exists() else "{}")
        except (yaml.YAMLError, json.JSONDecodeError):
            path.unlink()
            torn += 1
    return torn


@pytest.mark.parametrize(
    ("kind", "seconds"), [("stub", 3), pytest.param("reproduced", 12, marks=pytest.mark.weekly)]
)
def test_a_repro_killed_at_random_moments_ends_with_the_same_lock(
    kind: str, seconds: int, request: pytest.FixtureRequest
) -> None:
    project: Project = request.getfixturevalue(kind)
    before = project.outputs()

    def begin_again() -> None:
        """Leave nothing in the cache to be restored from."""
        for path in "dvc.lock", ".dvc/cache", ".checkpoints", "data/prepared", "models", "reports":
            project.run("rm", "-rf", path)

    begin_again()
    chance = random.Random(42)  # noqa: S311
    signals = signal.SIGKILL, signal.SIGINT, signal.SIGTERM
    killed = torn = 0
    while killed < KILLS:
        if kill_after(project, chance.uniform(seconds / 10, seconds), signals[killed % 3]):
            killed += 1
            torn += remove_torn_locks(project)
        else:
            assert project.outputs() == before
            begin_again()
    project.repro()
    assert project.outputs() == before
    print(f"{killed} kills survived; DVC left {torn} torn files")


def test_a_torn_lock_is_named_and_costs_no_training(stub: Project) -> None:
    path = stub.root / "dvc.lock"
    before = stub.outputs()
    text = path.read_text()
    path.write_text(text[: text.index(" md5: ", 3000) + 4])  # in the middle of a mapping
    done = stub.run("dvc", "repro", check=False)
    assert done.returncode
    assert "dvc.lock" in done.stderr
    assert remove_torn_locks(stub) == 1
    assert "train" not in stub.repro()
    assert stub.outputs() == before


def test_a_stage_killed_while_it_writes_leaves_nothing_that_looks_whole(folder: Project) -> None:
    stages = "prepare", "evaluate", "visualize", "export"
    runs = fork(folder, *(f"{stage}{end}" for stage in stages for end in (":while it writes", "")))
    killed, whole = runs[::2], runs[1::2]
    assert [run.code for run in killed] == [-signal.SIGKILL] * 4
    assert [run.code for run in whole] == [0] * 4
    before = [
        whole[0].outputs,
        *(run.outputs for run in whole[:-1]),
    ]  # prepare gives what was there
    assert [run.outputs for run in killed] == before
    assert not list(folder.root.rglob(".partial-*"))


def start(project: Project, *command: str, **options: Any) -> subprocess.Popen[str]:
    options |= {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, cwd=project.root, env=project.env, **options)


def read_until(process: subprocess.Popen[str], beginning: str) -> None:
    assert process.stdout
    for line in process.stdout:
        if line.startswith(beginning):
            return
    pytest.fail(f"{process.args!r} ended without {beginning}")


def test_a_training_that_outlived_its_dvc_and_is_no_longer_wanted_writes_over_nothing(
    reproduced: Project,
) -> None:
    """SIGKILL to dvc alone orphans the training that it started; another dvc waits for that."""
    reproduced.set("train.epochs", 3)
    first = start(reproduced, "dvc", "repro")
    read_until(first, "Epoch 1/3")
    (shell,) = psutil.Process(first.pid).children()
    orphan = next((child for child in shell.children()), shell)
    orphan.suspend()
    first.kill()
    first.wait()
    reproduced.set("train.epochs", 1)
    second = start(reproduced, "dvc", "repro", "train")
    read_until(second, "Waiting: another process is running a stage in this folder")
    orphan.resume()
    printed, _ = second.communicate(timeout=120)
    assert second.returncode == 0
    assert "Resuming" not in printed
    orphaned, _ = first.communicate(timeout=120)  # which ends with the last process that has it
    assert "train: train.epochs: changed while train ran, so its outputs were" in orphaned
    assert "Traceback" not in orphaned
    assert len((reproduced.root / "reports/history.csv").read_text().splitlines()) == 2
    assert "up to date" in reproduced.run("dvc", "status", "train").stdout
