"""A full disk and a second run at the same time: a clear error, and a rerun succeeds."""

import resource
import subprocess
import time
from collections.abc import Callable

import pytest

from tests.project import Project

pytestmark = pytest.mark.slow


def at_most(size: int) -> Callable[[], None]:
    """Let no file grow beyond `size` bytes, which programs meet as they meet a full disk."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def test_a_disk_too_full_for_the_arrays_stops_prepare(
    project: Project, reproduced_once: Project
) -> None:
    done = project.run("dvc", "repro", check=False, preexec_fn=at_most(500_000))
    assert done.returncode
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("prepare: ")]
    assert "x_train.npy" in line
    assert "cannot be written" in line
    assert "Traceback" not in done.stderr
    assert not list((project.root / "data/prepared").iterdir())
    project.repro()
    assert project.outputs() == reproduced_once.outputs()


def test_a_disk_too_full_for_the_checkpoint_stops_train(
    reproduced: Project,
) -> None:
    before = reproduced.outputs()
    reproduced.set("seed", 1)
    done = reproduced.run("python", "-m", "stages.train", check=False, preexec_fn=at_most(400_000))
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("train: .checkpoints/")
    assert "cannot be written" in line
    reproduced.set("seed", 42)
    assert reproduced.repro() == []
    assert reproduced.outputs() == before


def test_a_second_repro_at_the_same_time_is_refused_and_harms_nothing(
    project: Project, reproduced_once: Project
) -> None:
    first = subprocess.Popen(
        ["dvc", "repro"], cwd=project.root, env=project.env, stdout=subprocess.DEVNULL
    )
    while not (project.root / ".checkpoints").exists():
        assert first.poll() is None
        time.sleep(0.1)
    second = project.run("dvc", "repro", check=False)
    assert second.returncode
    assert "lock" in second.stderr
    assert "Traceback" not in second.stderr
    assert first.wait(120) == 0
    assert project.repro() == []
    assert project.outputs() == reproduced_once.outputs()
