"""The check of a cluster's nodes, where tasks run in this process instead of on Ray."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray import exceptions

from stages.common.errors import InputError
from sweep import cluster, node
from sweep.node import Source
from tests.unit.sweep.origin import SOURCE


def imitation(nodes: list[dict[str, Any]]) -> Any:
    """Return as much of Ray as is needed to check nodes, where tasks run here."""

    def remote(**_: Any) -> Any:
        return lambda task: SimpleNamespace(
            options=lambda **_: SimpleNamespace(remote=lambda *arguments: lambda: task(*arguments))
        )

    return SimpleNamespace(
        nodes=lambda: nodes,
        remote=remote,
        get=lambda task: task(),
        exceptions=exceptions,
        util=SimpleNamespace(
            scheduling_strategies=SimpleNamespace(
                NodeAffinitySchedulingStrategy=lambda *_, **__: None
            )
        ),
    )


def a_node(cpus: int) -> dict[str, Any]:
    return {
        "NodeID": f"node{cpus}",
        "NodeManagerAddress": "10.0.0.9",
        "Alive": True,
        "Resources": {"CPU": cpus},
    }


def test_a_trial_that_fits_on_no_node_is_refused() -> None:
    ray = imitation([a_node(2)])
    with pytest.raises(InputError, match="no node has 3 CPUs and 0 GPUs: see --cpus"):
        cluster.check_nodes(ray, SOURCE, cpus=3, gpus=0)
    with pytest.raises(InputError, match=r"no node has 2 CPUs and 0\.5 GPUs"):
        cluster.check_nodes(ray, SOURCE, cpus=2, gpus=0.5)


def in_a_repository(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `folder` one of DVC whose remote is a folder in it, and go there."""
    (folder / ".dvc").mkdir()
    config = "[core]\nno_scm = true\nremote = x\n['remote \"x\"']\nurl = ../storage\n"
    (folder / ".dvc/config").write_text(config)
    monkeypatch.chdir(folder)


def check_two_nodes(folder: Path, probe: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return what is said where the large enough one of two nodes has this `probe`."""
    in_a_repository(folder, monkeypatch)
    monkeypatch.setattr(node, "probe", probe)
    with pytest.raises(InputError) as refused:
        cluster.check_nodes(imitation([a_node(2), a_node(1)]), SOURCE, cpus=2, gpus=0)
    return str(refused.value)


def test_a_check_that_all_nodes_pass_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = tmp_path / "storage/files/md5"

    def probe(_: Source, id_: str) -> None:
        storage.mkdir(parents=True, exist_ok=True)
        (storage / f"probe-{id_}").touch()

    in_a_repository(tmp_path, monkeypatch)
    monkeypatch.setattr(node, "probe", probe)
    cluster.check_nodes(imitation([a_node(2), a_node(4)]), SOURCE, cpus=2, gpus=0)
    assert not list(storage.iterdir())


def test_a_node_that_sees_another_remote_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A node with a home of its own has written to the folder of that name there.
    said = check_two_nodes(tmp_path, lambda *_: None, monkeypatch)
    unseen = f"what it writes to {tmp_path}/storage/files/md5 is not seen here"
    assert said == f"node 10.0.0.9: {unseen}"


DEAD = exceptions.TaskUnschedulableError("The node doesn't exist any more")
# What Ray says of a node that lacks a package.
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
        (DEAD, "The task is not schedulable: The node doesn't exist any more"),
    ],
)
def test_a_node_that_cannot_work_is_named_with_the_reason(
    raised: Exception, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def probe(*_: Any) -> None:
        raise raised

    assert check_two_nodes(tmp_path, probe, monkeypatch) == f"node 10.0.0.9: {reason}"


def test_without_ray_the_command_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(
        InputError, match=r"pip install --require-hashes -r requirements/sweep\.txt"
    ):
        cluster.connect(None)
