"""A full disk, a second run at the same time, damaged outputs: the next run ends well."""

import re
import resource
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.files import flip_a_byte
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
    assert line.startswith("prepare: data/prepared/x_train.npy: cannot be written: ")
    assert "Traceback" not in done.stderr
    assert not list((project.root / "data/prepared").iterdir())
    project.repro("prepare")
    assert project.outputs().items() <= reproduced_once.outputs().items()


def test_a_disk_too_full_for_the_checkpoint_stops_train(reproduced: Project) -> None:
    before = reproduced.outputs()
    reproduced.set("seed", 1)
    done = reproduced.run("python", "-m", "stages.train", check=False, preexec_fn=at_most(400_000))
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert re.fullmatch(
        r"train: \.checkpoints/\w+\.checkpoint: cannot be written: File too large", line
    )
    reproduced.set("seed", 42)
    assert reproduced.repro() == []
    assert reproduced.outputs() == before


def test_a_second_repro_at_the_same_time_is_refused_and_harms_nothing(reproduced: Project) -> None:
    before = reproduced.outputs()
    lock = reproduced.root / ".checkpoints/lock"
    lock.unlink()
    first = subprocess.Popen(
        ["dvc", "repro", "--force", "--single-item", "train"],
        cwd=reproduced.root,
        env=reproduced.env,
        stdout=subprocess.DEVNULL,
    )
    while not lock.exists():
        assert first.poll() is None
        time.sleep(0.1)
    second = reproduced.run("dvc", "repro", check=False)
    assert second.returncode
    assert "lock" in second.stderr
    assert "Traceback" not in second.stderr
    assert first.wait(120) == 0
    assert reproduced.repro() == []
    assert reproduced.outputs() == before


DAMAGES: dict[str, Callable[[Path], object]] = {
    "a flipped byte": lambda path: path.write_bytes(flip_a_byte(path.read_bytes())),
    "cut in half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "emptied": lambda path: path.write_bytes(b""),
    "removed": lambda path: path.unlink(),
}


def test_damaged_outputs_are_noticed_and_restored_by_the_next_repro(reproduced: Project) -> None:
    """Stages need not check what other stages wrote: DVC gives them nothing else."""
    paths = [reproduced.root / output for output in reproduced.outputs()]
    lock = reproduced.root / "dvc.lock"
    before = {path: path.read_bytes() for path in [lock, *paths]}
    for damage, act in DAMAGES.items():
        for path in paths:
            act(path)
        reproduced.repro()
        assert {path: path.read_bytes() for path in before} == before, damage
