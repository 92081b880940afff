"""A sweep from its head: what is refused, a real cluster that loses a node, an interrupted one."""

import csv
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from sweep import __main__ as command
from sweep import cluster, results
from tests.conftest import RunMain
from tests.project import Clone, Project
from tests.remotes import LOOPBACK


@pytest.fixture
def head(team: tuple[Clone, Clone]) -> Clone:
    """A clone of which all is pushed, and in which train takes two seconds."""
    a, _ = team
    return Clone(a.root, a.env | {"SECONDS": "2"})


@pytest.fixture
def refusal(
    head: Clone,
    enter: Callable[[Project], None],
    run_main: RunMain,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., str]:
    """A function that returns the line with which a sweep ends before it starts anything."""
    enter(head)
    monkeypatch.setattr(cluster, "connect", lambda *_: pytest.fail("started Ray"))

    def refuse(*arguments: str) -> str:
        code, said = run_main(command.main, arguments or ["visualize.dpi=50,60"])
        line = said.splitlines()[-1]
        assert code == 1
        assert line.startswith("sweep: ")
        return line

    return refuse


def test_what_workers_could_not_clone_is_refused(head: Clone, refusal: Callable[..., str]) -> None:
    head.set("seed", 1)
    assert "not committed: M params.yaml" in refusal()
    head.commit()
    assert re.search(r"commit [0-9a-f]{7} is not on origin: run git push", refusal())
    head.run("git", "remote", "set-url", "origin", "../nowhere.git")
    assert "'../nowhere.git' does not appear to be a git repo" in refusal()
    head.run("git", "remote", "remove", "origin")
    assert "No such remote 'origin'" in refusal()
    shutil.rmtree(head.root / ".git")
    assert "not a git repository" in refusal()


def test_a_remote_that_misses_outputs_or_cannot_be_asked_is_refused(
    head: Clone, refusal: Callable[..., str]
) -> None:
    refused = refusal("train.optimizer=adam,adamw")
    assert refused.startswith("sweep: params.yaml: train.optimizer: found 'adamw'; ")
    modify = "dvc", "remote", "modify", "--local", "storage", "url"
    head.run(*modify, "ssh://127.0.0.1:1/x")
    assert "The remote can't be asked: " in refusal()
    head.run(*modify, str(head.root.parent / "empty"))
    others = len(head.outputs()) - 3  # one is named; metrics.json and mistakes.csv are in git
    said = f"missing from the DVC remote: data/prepared/classes.txt and {others} more; run dvc push"
    assert said in refusal()
    head.run("dvc", "config", "--local", "core.remote", "")
    assert "no DVC remote" in refusal()


def below(process: int) -> list[psutil.Process]:
    """Return the processes that a process has started, and those that they have."""
    return list(psutil.Process(process).children(recursive=True))


def trains(process: psutil.Process) -> bool:
    try:
        return "stage.py train" in " ".join(process.cmdline())
    except psutil.Error:
        return False


def wait_for_a_training(process: int, sweep: subprocess.Popen[str]) -> None:
    while not any(map(trains, below(process))):
        assert sweep.poll() is None, sweep.communicate()
        time.sleep(0.1)


@contextmanager
def sweeping(clone: Clone, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Start a sweep in `clone`; in the end nothing is left of it."""
    sweep = subprocess.Popen(
        [sys.executable, "-m", "sweep", *arguments],
        cwd=clone.root,
        env=clone.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Where the tests run in the background, SIGINT is ignored, and so it would be here.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        yield sweep
    finally:
        if sweep.poll() is None:
            for process in [*below(sweep.pid), sweep]:
                process.kill()
            sweep.communicate()


@pytest.fixture
def scratch(head: Clone) -> Iterator[Path]:
    """Return where Ray and the trials keep their temporary files."""
    # Not in tmp_path: the path of Ray's sockets may have 107 characters.
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        head.env["TMPDIR"] = folder
        yield Path(folder)


@pytest.fixture
def ray_cluster(head: Clone, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A Ray cluster on loopback: its head has two CPUs, the smaller node one."""
    head.env["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # loopback, as for a sweep on one machine
    for name, value in head.env.items():
        monkeypatch.setenv(name, value)
    from ray.cluster_utils import Cluster

    cluster: Any = Cluster()
    local = {"node_ip_address": LOOPBACK, "include_dashboard": False}
    try:
        cluster.add_node(num_cpus=2, temp_dir=str(scratch / "ray"), **local)
        cluster.smaller = cluster.add_node(num_cpus=1, wait=False, **local)
        cluster.wait_for_nodes(timeout=120)
        yield cluster
    finally:
        cluster.shutdown()


def test_a_cluster_that_loses_a_node_ends_a_sweep_whose_trials_are_ordinary_experiments(
    ray_cluster: Any,
    head: Clone,
    enter: Callable[[Project], None],
    run_main: RunMain,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    on_cluster = "--address", ray_cluster.address, "--cpus", "1"
    with sweeping(head, "train.batch_size=64,512,128", *on_cluster) as sweep:
        raylet = ray_cluster.smaller.all_processes["raylet"][0].process.pid
        wait_for_a_training(raylet, sweep)
        running = below(raylet)
        ray_cluster.remove_node(ray_cluster.smaller, allow_graceful=False)
        for process in running:  # as a machine that loses power ends them
            with suppress(psutil.NoSuchProcess):
                process.kill()
        printed, errors = sweep.communicate()

    assert sweep.returncode == 1
    assert errors.splitlines()[-2:] == [
        "train.batch_size=512 failed: train: batches of 512 are too large",
        "sweep: 1 of 3 trials have no results",
    ]
    assert "best 0." in errors
    table = printed[printed.index("            experiment") :]
    rows = [line.split() for line in table.splitlines()[1:]]
    sizes = {row[0]: row[1] for row in rows}
    assert sorted(sizes.values(), key=int) == ["64", "128"]
    assert [row[2] for row in rows] == sorted((row[2] for row in rows), reverse=True)

    # Where nothing is missing, no cluster is needed.
    enter(head)
    monkeypatch.setattr(cluster, "connect", lambda *_: pytest.fail("started Ray"))
    code, said = run_main(command.main, ["train.batch_size=64,128"])
    assert code == 0
    assert "0 of 2 trials to run" in said
    assert said.endswith(table), "nothing on stderr"

    third = Clone(head.root.parent / "b", head.env)
    third.run("dvc", "exp", "pull", "origin", *sizes)
    shown = list(csv.DictReader(third.run("dvc", "exp", "show", "--csv").stdout.splitlines()))
    experiments = {row["Experiment"]: row for row in shown if row["Experiment"]}
    for name, size, *figures in rows:
        experiment = experiments[name]
        assert experiment["train.batch_size"] == size
        expected = [float(experiment[key]) for key in results.FIGURES]
        assert [float(figure) for figure in figures] == pytest.approx(expected, abs=1e-5)
    best = rows[0][0]
    third.run("dvc", "exp", "apply", best)
    applied = yaml.safe_load((third.root / "params.yaml").read_text())
    assert applied["train"]["batch_size"] == int(sizes[best])
    assert third.repro() == []


def test_an_interrupted_sweep_leaves_nothing_behind_and_never_listened_beyond_loopback(
    head: Clone, scratch: Path
) -> None:
    with sweeping(head, "train.batch_size=64,128", "--cpus", "1") as sweep:
        wait_for_a_training(sweep.pid, sweep)
        running = below(sweep.pid)
        listening = [
            (process.name(), connection.laddr.ip)
            for process in [*running, psutil.Process(sweep.pid)]
            for connection in process.net_connections()
            if connection.status == psutil.CONN_LISTEN
        ]
        sweep.send_signal(signal.SIGINT)
        _, errors = sweep.communicate()

    assert sweep.returncode == 130
    assert errors.splitlines()[-1] == "sweep: interrupted"
    assert "Traceback" not in errors
    assert {ip.removeprefix("::ffff:") for _, ip in listening} == {LOOPBACK}
    assert {"raylet", "gcs_server"} <= {name for name, _ in listening}
    assert not psutil.wait_procs(running, timeout=30)[1]
    assert not list(scratch.glob("sweep-*"))
