"""A sweep: which trials, what is refused, a real cluster that loses a node, an interrupted one."""

import csv
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import yaml

from stages.common.errors import InputError
from sweep import __main__ as sweep
from sweep import cluster, node
from tests.builders import ROOT
from tests.project import Project
from tests.remotes import LOOPBACK, Clone
from tests.test_remotes import share

COMMIT = "c" * 40
SOURCE = node.Source("nowhere", COMMIT, ("Tester", "tester@example.org"), {})


def overrides(*arguments: str) -> list[tuple[str, ...]]:
    return [trial.overrides for trial in sweep.grid(COMMIT, arguments)]


@pytest.fixture(autouse=True)
def in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def test_values_separated_by_commas_make_a_grid() -> None:
    assert overrides("train.learning_rate=0.0005,0.002", "model.dropout=0.3,0.4", "seed=7") == [
        ("train.learning_rate=0.0005", "model.dropout=0.3", "seed=7"),
        ("train.learning_rate=0.0005", "model.dropout=0.4", "seed=7"),
        ("train.learning_rate=0.002", "model.dropout=0.3", "seed=7"),
        ("train.learning_rate=0.002", "model.dropout=0.4", "seed=7"),
    ]


def test_a_list_is_one_value() -> None:
    assert overrides("model.filters=[8,16],[4]") == [
        ("model.filters=[8,16]",),
        ("model.filters=[4]",),
    ]


def test_a_combination_is_tried_once_however_it_is_written() -> None:
    assert len(overrides("seed=1,2,1")) == 2
    one, two = (
        sweep.grid(COMMIT, arguments)[0].name
        for arguments in (["seed=7", "visualize.dpi=50"], ["visualize.dpi=50", "seed=7"])
    )
    assert one == two


def test_a_name_tells_commits_and_parameters_apart() -> None:
    names = {
        sweep.grid(commit, arguments)[0].name
        for commit in (COMMIT, "d" * 40)
        for arguments in (["seed=1"], ["seed=2"], ["train.epochs=1"])
    }
    assert len(names) == 6
    assert all(re.fullmatch(r"sweep-[0-9a-f]{8}", name) for name in names)


def test_a_trial_gets_the_cpus_it_trains_with_or_those_it_is_given() -> None:
    arguments = ["train.threads=1,3"]
    assert [trial.cpus for trial in sweep.grid(COMMIT, arguments)] == [1, 3]
    assert [trial.cpus for trial in sweep.grid(COMMIT, arguments, cpus=2)] == [2, 2]


def test_the_seed_draws_a_sample_that_a_larger_one_contains() -> None:
    trials = sweep.grid(COMMIT, ["visualize.dpi=50,60,70,80,90,110", "seed=1,2"])
    drawn = sweep.sample(trials, 5, seed=42)
    assert drawn == sweep.sample(trials, 5, seed=42)
    assert drawn != sweep.sample(trials, 5, seed=43)
    assert len(set(drawn)) == 5
    assert set(drawn) < set(sweep.sample(trials, 8, seed=42)) < set(trials)
    assert set(sweep.sample(trials, 99, seed=42)) == set(trials)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("train.lerning_rate=1,2", "params.yaml: Could not override 'train.lerning_rate'."),
        ("rate=1", "params.yaml: Could not override 'rate'."),
        ("train.epochs", "train.epochs: Error parsing override 'train.epochs'"),
        ("train.epochs=1,", "train.epochs=1,: mismatched input"),
        ("train.epochs=glob(*)", "Glob override 'train.epochs=glob(*)' is not supported."),
    ],
)
def test_what_is_no_parameter_is_refused(override: str, said: str) -> None:
    with pytest.raises(InputError, match=re.escape(said)):
        sweep.grid(COMMIT, [override])


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
            "ERROR: failed to reproduce 'train': exited with -9",
            "ERROR: failed to reproduce 'train': exited with -9",
        ),
        ("", "no reason given"),
    ],
)
def test_the_line_that_says_why_is_found(stderr: str, reason: str) -> None:
    assert node.last_error(stderr) == reason


@pytest.fixture
def head(reproduced: Project) -> Clone:
    """A clone of which all is pushed; `b` beside it is another, of `origin.git`."""
    a, _ = share(reproduced.root.parent)
    a.run("dvc", "push")
    a.env["PYTHONPATH"] = str(ROOT)
    return a


def refusal(clone: Clone, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    """Return the line with which a sweep ends before it starts anything."""
    monkeypatch.chdir(clone.root)
    for name, value in clone.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["sweep", *(arguments or ["visualize.dpi=50,60"])])
    monkeypatch.setattr(cluster, "check_nodes", lambda *_: pytest.fail("started Ray"))
    with pytest.raises(SystemExit) as exit_:
        sweep.main()
    assert isinstance(exit_.value.code, str), "is printed, and makes the exit code 1"
    assert "\n" not in exit_.value.code
    return exit_.value.code


@pytest.mark.slow
def test_what_workers_could_not_clone_is_refused(
    head: Clone, monkeypatch: pytest.MonkeyPatch
) -> None:
    head.set("seed", 1)
    assert "not committed: M params.yaml" in refusal(head, monkeypatch)
    head.commit()
    assert re.search(r"commit [0-9a-f]{7} is not on origin: git push", refusal(head, monkeypatch))
    head.run("git", "remote", "set-url", "origin", "../nowhere.git")
    assert "'../nowhere.git' does not appear to be a git repo" in refusal(head, monkeypatch)
    head.run("git", "remote", "remove", "origin")
    assert "'origin' does not appear to be a git repo" in refusal(head, monkeypatch)
    shutil.rmtree(head.root / ".git")
    assert "not a git repository" in refusal(head, monkeypatch)


@pytest.mark.slow
def test_a_remote_that_lacks_outputs_or_cannot_be_asked_is_refused(
    head: Clone, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Could not override 'train.rate'" in refusal(head, monkeypatch, "train.rate=1")
    modify = "dvc", "remote", "modify", "--local", "storage", "url"
    head.run(*modify, "ssh://127.0.0.1:1/x")
    assert "The remote can't be asked: " in refusal(head, monkeypatch)
    head.run(*modify, str(head.root.parent / "empty"))
    others = len(head.outputs()) - 2  # one is named, and metrics.json is in git
    said = f"lacks data/prepared/classes.txt and {others} more: dvc push"
    assert said in refusal(head, monkeypatch)
    head.run("dvc", "config", "--local", "core.remote", "")
    assert "no DVC remote" in refusal(head, monkeypatch)


@pytest.mark.slow
def test_without_ray_a_sweep_names_the_command_that_installs_it(
    head: Clone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert "pip install --require-hashes -r requirements/sweep.txt" in refusal(head, monkeypatch)


def imitation(nodes: list[dict[str, Any]]) -> Any:
    """Return as much of Ray as is needed to check nodes, where tasks run at once, and here."""

    def remote(**_: Any) -> Any:
        return lambda task: SimpleNamespace(options=lambda **_: SimpleNamespace(remote=task))

    return SimpleNamespace(
        nodes=lambda: nodes,
        remote=remote,
        get=list,
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


@pytest.mark.parametrize("problem", ["", "refused"])
def test_a_node_that_cannot_work_or_sees_another_remote_is_named(
    project: Project, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.root)
    for name, value in project.env.items():
        monkeypatch.setenv(name, value)
    # A node with a home of its own has written to the folder of that name there.
    monkeypatch.setattr(node, "check", lambda *_: problem)
    said = f"node 10.0.0.9: {problem or 'what it writes to .* is not seen from here'}"
    with pytest.raises(InputError, match=said):
        cluster.check_nodes(imitation([a_node(2), a_node(1)]), SOURCE, cpus=2, gpus=0)


def test_a_node_with_other_packages_or_without_a_way_to_git_says_so(tmp_path: Path) -> None:
    assert "expected {'keras': '1.0'}" in node.check(SOURCE, "probe", {"keras": "1.0"})
    assert "'nowhere' does not exist" in node.check(SOURCE, "probe", node.versions())


def test_a_task_needs_no_checkout_of_the_project_on_its_node(tmp_path: Path) -> None:
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(node)  # type: ignore[no-untyped-call]
    task = cloudpickle.dumps((node.check, SOURCE))  # type: ignore[no-untyped-call]
    (tmp_path / "task").write_bytes(task)
    program = "import pickle; f, x = pickle.load(open('task', 'rb')); print(f(x, 'probe', {}))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True
    )
    assert "expected {}" in done.stdout, done.stderr


def below(process: int) -> list[psutil.Process]:
    """Return the processes that a process has started, and those that they have."""
    return list(psutil.Process(process).children(recursive=True))


def trains(process: psutil.Process) -> bool:
    try:
        return "stages.train" in process.cmdline()
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
    """A Ray cluster on loopback whose head takes no trials; it has nodes with 1 and 2 CPUs."""
    head.env["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # loopback, as for a sweep on one machine
    for name, value in head.env.items():
        monkeypatch.setenv(name, value)
    from ray.cluster_utils import Cluster

    cluster: Any = Cluster()
    local = {"node_ip_address": LOOPBACK, "include_dashboard": False}
    try:
        cluster.add_node(num_cpus=0, temp_dir=str(scratch / "ray"), **local)
        cluster.smaller = cluster.add_node(num_cpus=1, wait=False, **local)
        cluster.add_node(num_cpus=2, wait=False, **local)
        cluster.wait_for_nodes(timeout=120)
        yield cluster
    finally:
        cluster.shutdown()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_cluster_that_loses_a_node_ends_a_sweep_whose_trials_are_ordinary_experiments(
    ray_cluster: Any, head: Clone
) -> None:
    on_cluster = "--address", ray_cluster.address, "--cpus", "1"
    with sweeping(head, "train.batch_size=64,128,256,512,32", *on_cluster) as sweep:
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
        "train.batch_size=512 failed: train: params.yaml: train.batch_size is 512; expected at "
        "most 270, the number of training images",
        "sweep: 1 of 5 trials failed",
    ]
    assert "best 0." in errors
    table = printed[printed.index("    experiment") :]
    rows = [line.split() for line in table.splitlines()[1:]]
    sizes = {row[0]: row[1] for row in rows}
    assert sorted(sizes.values(), key=int) == ["32", "64", "128", "256"]
    assert [row[2] for row in rows] == sorted((row[2] for row in rows), reverse=True)

    # Where nothing is missing, no cluster is needed.
    with sweeping(head, "train.batch_size=32,64,128,256") as again:
        printed, errors = again.communicate()
    assert (again.returncode, errors) == (0, "")
    assert "0 of 4 trials to run" in printed
    assert printed.endswith(table)

    third = Clone(head.root.parent / "b", head.env)
    third.run("dvc", "exp", "pull", "origin", *sizes)
    shown = list(csv.DictReader(third.run("dvc", "exp", "show", "--csv").stdout.splitlines()))
    experiments = {row["Experiment"]: row for row in shown if row["Experiment"]}
    for name, size, accuracy, _ in rows:
        assert experiments[name]["train.batch_size"] == size
        assert float(experiments[name]["test.accuracy"]) == pytest.approx(float(accuracy), abs=1e-4)
    best = rows[0][0]
    third.run("dvc", "exp", "apply", best)
    applied = yaml.safe_load((third.root / "params.yaml").read_text())
    assert applied["train"]["batch_size"] == int(sizes[best])
    assert third.repro() == []


@pytest.mark.slow
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
    assert errors.splitlines()[-1].startswith("sweep: interrupted")
    assert "Traceback" not in errors
    assert {ip.removeprefix("::ffff:") for _, ip in listening} == {LOOPBACK}
    assert {"raylet", "gcs_server"} <= {name for name, _ in listening}
    assert not psutil.wait_procs(running, timeout=30)[1]
    assert not list(scratch.glob("sweep-*"))
