"""The pipeline as its user runs it: `dvc repro` on a few hundred real images."""

import pytest

from tests.conftest import Project

pytestmark = pytest.mark.slow


def test_a_second_repro_runs_nothing(reproduced: Project) -> None:
    assert reproduced.repro() == []


def test_a_changed_dpi_reruns_visualize_alone(reproduced: Project) -> None:
    reproduced.set("visualize.dpi", 50)
    assert reproduced.repro() == ["visualize"]


def test_a_changed_learning_rate_leaves_prepare_alone(reproduced: Project) -> None:
    reproduced.set("train.learning_rate", 0.002)
    assert reproduced.repro() == ["train", "evaluate", "visualize"]


def test_what_a_run_leaves_is_ignored_by_git_but_for_the_lock_and_the_metrics(
    project: Project,
) -> None:
    project.repro()
    status = project.run("git", "status", "--porcelain", "--untracked-files=all").stdout
    assert sorted(line[3:] for line in status.splitlines()) == ["dvc.lock", "reports/metrics.json"]
