"""One recipe brings back parameters, lock, metrics and outputs, however a run ended."""

import os
import signal
import subprocess
import time
from collections.abc import Callable

import pytest

from tests.project import Project


def fail_in_train(project: Project) -> None:
    """Let train fail, whose outputs DVC removes before it starts."""
    project.set("train.batch_size", 512)
    assert project.run("dvc", "repro", check=False).returncode
    assert not (project.root / "models/model.keras").exists()


def fail_in_evaluate(project: Project) -> None:
    """Let evaluate fail, whose metrics are in git."""
    project.env["FAIL"] = "evaluate"
    project.set("seed", 1)
    assert project.run("dvc", "repro", check=False).returncode
    assert not (project.root / "reports/metrics.json").exists()


def get_killed(project: Project) -> None:
    """Kill a run whose training has written a part of its history."""
    project.set("seed", 1)
    history = project.root / "reports/history.csv"
    run = subprocess.Popen(
        ["dvc", "repro"],
        cwd=project.root,
        env=project.env | {"SECONDS": "60"},
        start_new_session=True,
        stdout=subprocess.DEVNULL,
    )
    while not history.exists() or history.read_text() != "of the first epoch\n":
        assert run.poll() is None
        time.sleep(0.05)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()


def end_well(project: Project) -> None:
    project.run("dvc", "exp", "run", "-S", "train.learning_rate=0.00005")
    changed = project.run("git", "diff", "--name-only").stdout.split()
    assert {"params.yaml", "dvc.lock", "reports/metrics.json"} <= set(changed)


@pytest.mark.parametrize("end", [fail_in_train, fail_in_evaluate, get_killed, end_well])
def test_the_committed_state_comes_back_however_a_run_ended(
    end: Callable[[Project], None], stub: Project
) -> None:
    before = stub.contents()
    end(stub)
    stub.run("git", "restore", "params.yaml", "dvc.lock", "reports")
    stub.run("dvc", "checkout", "--force")
    assert stub.run("git", "status", "--porcelain").stdout == ""
    assert stub.contents() == stub.outputs() == before
    assert stub.run("dvc", "status", "--json").stdout.strip() == "{}"
