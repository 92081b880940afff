"""One recipe brings back parameters, lock, metrics and outputs, however a run ended."""

import os
import signal
import subprocess
import time
from collections.abc import Callable

import pytest

from tests.project import Project

pytestmark = pytest.mark.slow


def fail_in_train(project: Project) -> None:
    """Let train fail, whose outputs DVC removes before it starts."""
    project.set("train.learning_rate", "fast")
    assert project.run("dvc", "repro", check=False).returncode
    assert not (project.root / "models/model.keras").exists()


def fail_in_evaluate(project: Project) -> None:
    """Let evaluate fail, whose metrics are in git."""
    scores = project.root / "stages/evaluate/scores.py"
    good = scores.read_text()
    scores.write_text("raise SystemExit('broken')\n")
    assert project.run("dvc", "repro", check=False).returncode
    scores.write_text(good)
    assert not (project.root / "reports/metrics.json").exists()


def get_killed(project: Project) -> None:
    """Kill a run whose training has written a part of its history."""
    project.set("train.epochs", 1000)
    history = project.root / "reports/history.csv"
    run = subprocess.Popen(
        ["dvc", "repro"],
        cwd=project.root,
        env=project.env,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
    )
    while history.exists():  # of the last run: DVC removes it
        time.sleep(0.05)
    while not history.exists():
        assert run.poll() is None
        time.sleep(0.05)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()


def check_that_the_recipe_works(project: Project) -> None:
    project.run("git", "restore", "params.yaml", "dvc.lock", "reports")
    project.run("dvc", "checkout", "--force")
    assert project.run("git", "status", "--porcelain").stdout == ""
    assert all((project.root / output).exists() for output in project.outputs())
    assert project.run("dvc", "status", "--json").stdout.strip() == "{}"


@pytest.mark.parametrize("end", [fail_in_train, fail_in_evaluate, get_killed])
def test_the_committed_state_comes_back_after_a_run_that_failed(
    end: Callable[[Project], None], reproduced: Project
) -> None:
    end(reproduced)
    check_that_the_recipe_works(reproduced)


def test_the_committed_state_comes_back_after_an_experiment(tried: Project) -> None:
    changed = tried.run("git", "diff", "--name-only").stdout.split()
    assert {"params.yaml", "dvc.lock", "reports/metrics.json"} <= set(changed)
    check_that_the_recipe_works(tried)
