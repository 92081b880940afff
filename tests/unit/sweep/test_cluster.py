"""The check of a cluster's nodes, where tasks run in this process instead of on Ray."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
from ray import exceptions

from stages.common.errors import InputError
from sweep import cluster, node
from sweep.node import Source
from tests.unit.sweep.origin import SOURCE

Check = Callable[[Any, int, float], None]


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Check:
    """A function that checks nodes with 1 and 2 CPUs by a probe, from a clone with a DVC remote."""
    (tmp_path / ".dvc").mkdir()
    config = "[core]\nno_scm = true\nremote = x\n['remote \"x\"']\nurl = ../storage\n"
    (tmp_path / ".dvc/config").write_text(config)
    monkeypatch.chdir(tmp_path)

    def remote(**_: Any) -> Any:
        return lambda task: SimpleNamespace(
            options=lambda **_: SimpleNamespace(remote=partial(partial, task))
        )

    nodes = [
        {"NodeID": f"id{n}", "NodeManagerAddress": "10.0.0.9", "Alive": True}
        | {"Resources": {"CPU": n}}
        for n in (1, 2)
    ]
    ray = MagicMock(
        nodes=lambda: nodes, remote=remote, get=lambda task: task(), exceptions=exceptions
    )

    def run(probe: Any, cpus: int, gpus: float) -> None:
        monkeypatch.setattr(node, "probe", probe)
        cluster.check_nodes(ray, SOURCE, cpus, gpus)

    return run


def write(_: Source, id_: str) -> None:
    Path("storage/files/md5").mkdir(parents=True, exist_ok=True)
    Path(f"storage/files/md5/probe-{id_}").touch()


def test_a_trial_that_fits_on_no_node_is_refused(check: Check) -> None:
    with pytest.raises(InputError, match="no node has 3 CPUs and 0 GPUs: see --cpus"):
        check(write, 3, 0)
    with pytest.raises(InputError, match=r"no node has 2 CPUs and 0\.5 GPUs"):
        check(write, 2, 0.5)


def test_a_check_that_all_nodes_pass_leaves_nothing_behind(check: Check) -> None:
    check(write, 1, 0)
    assert not list(Path("storage/files/md5").iterdir())


def test_a_node_that_sees_another_remote_is_named(check: Check) -> None:
    # A node with a home of its own has written to the folder of that name there.
    unseen = f"what it writes to {Path.cwd()}/storage/files/md5 is not seen here"
    with pytest.raises(InputError, match=f"^node 10.0.0.9: {unseen}$"):
        check(lambda *_: None, 2, 0)


# What Ray says of a node without a package.
WITHOUT_DVC = RuntimeError(
    "The remote function failed to import on the worker. This may be because needed library "
    "dependencies are not installed in the worker environment:\n\nTraceback (most recent call "
    "last):\n  File ...\nModuleNotFoundError: No module named 'dvc'\n"
)


def failed(cause: Exception) -> Exception:
    """Return what Ray raises for a task that ended with `cause`."""
    error: Any = exceptions.RayTaskError("probe", "Traceback ...", cause)  # type: ignore[no-untyped-call]
    return error.as_instanceof_cause()  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("raised", "reason"),
    [
        (failed(ChildProcessError("fatal: 'x' does not exist")), "fatal: 'x' does not exist"),
        (failed(WITHOUT_DVC), "ModuleNotFoundError: No module named 'dvc'"),
        (failed(TimeoutError()), "TimeoutError()"),
        (
            exceptions.TaskUnschedulableError("The node doesn't exist any more"),
            "The task is not schedulable: The node doesn't exist any more",
        ),
    ],
)
def test_a_node_that_cannot_work_is_named_with_the_reason(
    raised: Exception, reason: str, check: Check
) -> None:
    with pytest.raises(InputError) as refused:
        check(MagicMock(side_effect=raised), 2, 0)
    assert str(refused.value) == f"node 10.0.0.9: {reason}"


def test_without_ray_the_command_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"pip install --require-hashes -r requirements/sweep\.t"):
        cluster.connect(None)
