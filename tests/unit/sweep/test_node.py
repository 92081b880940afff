"""What a node does: it runs commands, clones, tries the remotes, and needs no checkout."""

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from ray import cloudpickle

from sweep import cluster, node
from tests.unit.sweep.origin import SOURCE, Origin
from tools import commands


@pytest.mark.parametrize(
    ("stderr", "reason"),
    [
        (
            "noise\ntrain: too large\nERROR: failed to reproduce 'train': exit 1\n",
            "train: too large",
        ),
        (
            "fatal: '/x' does not appear to be a git repository\nfatal: Could not read from remote "
            "repository.\n\nPlease make sure you have the correct access rights\nand the "
            "repository exists.\n",
            "fatal: '/x' does not appear to be a git repository",
        ),
        (
            "error: cannot run ssh: No such file or directory\nfatal: unable to fork\n",
            "error: cannot run ssh: No such file or directory",
        ),
        (
            "ERROR: failed to reproduce 'train': exited with -9",
            "ERROR: failed to reproduce 'train': exited with -9",
        ),
        (
            "fatal: not a git repository (or any parent up to mount point /tmp)\n"
            "Stopping at filesystem boundary (GIT_DISCOVERY_ACROSS_FILESYSTEM not set).\n",
            "fatal: not a git repository (or any parent up to mount point /tmp)",
        ),
        ("", "no reason given"),
    ],
)
def test_a_command_fails_with_the_line_that_says_why(stderr: str, reason: str) -> None:
    with pytest.raises(ChildProcessError) as failed:
        commands.call(sys.executable, "-c", f"import sys; print('noise'); sys.exit({stderr!r})")
    assert str(failed.value) == reason


def test_a_command_is_over_when_it_ends_though_it_leaves_a_process_behind(tmp_path: Path) -> None:
    left = commands.call("sh", "-c", "sleep 100 & echo $!")  # it holds stdout and stderr
    process = psutil.Process(int(left))
    assert process.is_running()
    process.kill()


def test_an_interrupted_command_takes_its_processes_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = tmp_path / "pid"

    def interrupt(_: float) -> None:
        if pid.exists() and pid.read_text():
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", interrupt)
    with pytest.raises(KeyboardInterrupt):
        commands.call("sh", "-c", "sleep 100 & echo $! >pid; wait", cwd=str(tmp_path))
    monkeypatch.undo()
    with suppress(psutil.NoSuchProcess):
        left = psutil.Process(int(pid.read_text()))
        while left.status() != psutil.STATUS_ZOMBIE:  # is for init to clear away
            time.sleep(0.01)


def test_an_interrupt_is_not_held_up_by_a_command_that_is_already_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = psutil.Process().children()

    def interrupt(_: float) -> None:
        (command,) = set(psutil.Process().children()) - set(before)
        os.waitpid(command.pid, 0)
        raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", interrupt)
    with pytest.raises(KeyboardInterrupt):
        commands.call("sleep", "0.1")


def test_a_node_without_a_way_to_git_says_so(tmp_path: Path) -> None:
    with pytest.raises(ChildProcessError, match="'nowhere' does not exist"):
        node.probe(SOURCE, "id")


def test_a_node_writes_to_the_remote_and_needs_the_packages_that_the_commit_demands(
    origin: Origin, tmp_path: Path
) -> None:
    for name, text in (".dvc/config", ""), ("stages/train/__init__.py", ""):
        (origin.clone / name).parent.mkdir(parents=True)
        (origin.clone / name).write_text(text)
    settings = {"core": {"remote": "x"}, "remote": {"x": {"url": str(tmp_path / "storage")}}}
    node.probe(origin.push(settings), "id")
    assert [path.name for path in (tmp_path / "storage/files/md5").iterdir()] == ["probe-id"]
    assert "probe" not in origin.git("ls-remote", "origin")

    demand = "import sys; sys.exit('train: keras 3.0; requirements.txt expects 3.15')"
    (origin.clone / "stages/train/__init__.py").write_text(demand)
    with pytest.raises(ChildProcessError, match=r"^train: keras 3\.0; requirements"):
        node.probe(origin.push(settings), "id")


def test_a_task_needs_no_checkout_of_the_project_on_its_node(tmp_path: Path) -> None:
    for module in cluster.TRAVELLING:
        cloudpickle.register_pickle_by_value(module)  # type: ignore[no-untyped-call]
    task = cloudpickle.dumps((node.probe, SOURCE))  # type: ignore[no-untyped-call]
    (tmp_path / "task").write_bytes(task)
    program = "import pickle; f, x = pickle.load(open('task', 'rb')); f(x, 'id')"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True
    )
    last = done.stderr.splitlines()[-1]
    assert last == "ChildProcessError: fatal: repository 'nowhere' does not exist"
