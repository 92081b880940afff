"""A full disk, a second run at the same time, damaged outputs: the next run ends well."""

import re
import resource
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.files import damage, read_tree
from tests.project import Project


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


def test_a_second_repro_at_the_same_time_is_refused_and_harms_nothing(stub: Project) -> None:
    before, model = stub.outputs(), stub.root / "models/model.keras"
    first = subprocess.Popen(
        ["dvc", "repro", "--force", "--single-item", "train"],
        cwd=stub.root,
        env=stub.env | {"SECONDS": "3"},
        stdout=subprocess.DEVNULL,
    )
    while model.exists():  # of the last run: DVC removes it
        assert first.poll() is None
        time.sleep(0.05)
    second = stub.run("dvc", "repro", check=False)
    assert first.poll() is None
    assert second.returncode
    assert "lock" in second.stderr
    assert "Traceback" not in second.stderr
    assert first.wait(120) == 0
    assert stub.repro() == []
    assert stub.outputs() == before


DAMAGES: list[Callable[[Path], object]] = [
    damage,
    lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    lambda path: path.write_bytes(b""),
    lambda path: path.unlink(),
]


def test_damaged_outputs_are_noticed_and_restored_by_the_next_repro(stub: Project) -> None:
    """Stages need not check what other stages wrote: DVC gives them nothing else."""
    before = read_tree(stub.root)
    outputs = sorted(stub.outputs())
    for first in range(len(DAMAGES)):
        for i, output in enumerate(outputs):  # each output in each way, after four rounds
            DAMAGES[(first + i) % len(DAMAGES)](stub.root / output)
        stub.repro()
        after = read_tree(stub.root)
        assert {name: after.get(name) for name in [*outputs, "dvc.lock"]} == {
            name: before[name] for name in [*outputs, "dvc.lock"]
        }
