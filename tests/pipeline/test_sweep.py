"""A sweep: which trials, what is refused, a real cluster that loses a node, an interrupted one."""

import csv
import json
import os
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
from statistics import mean, stdev
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import yaml
from ray import cloudpickle, exceptions

from stages.common.errors import InputError
from sweep import __main__ as sweep
from sweep import cluster, node, plan, results
from sweep.node import Source, Trial
from tests.builders import ROOT
from tests.project import Clone, Project, share
from tests.remotes import LOOPBACK

COMMIT = "c" * 40
TESTER = {"name": "Tester", "email": "tester@example.org"}
SOURCE = Source("nowhere", COMMIT, TESTER, {})


def choose(*arguments: str, samples: int | None = None, **options: Any) -> list[Trial]:
    defaults = {"commit": COMMIT, "cpus": None}
    return plan.choose_trials(arguments=arguments, samples=samples, **defaults | options)


def overrides(*arguments: str) -> list[tuple[str, ...]]:
    return [trial.overrides for trial in choose(*arguments)]


@pytest.fixture(autouse=True)
def beside_parameters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each test run in a folder with a params.yaml that no team changes."""
    shutil.copy(ROOT / "tests/defaults.yaml", tmp_path / "params.yaml")
    monkeypatch.chdir(tmp_path)


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
    assert len(overrides("seed=1,2,1", "model.dropout=0,0.0")) == 2
    one, two = choose("seed=7", "visualize.dpi=50"), choose("visualize.dpi=50", "seed=7")
    assert one[0].name == two[0].name


def test_a_name_tells_commits_and_parameters_apart() -> None:
    names = {
        choose(argument, commit=commit)[0].name
        for commit in (COMMIT, "d" * 40)
        for argument in ("seed=1", "seed=2", "train.epochs=1")
    }
    assert len(names) == 6
    assert all(re.fullmatch(r"sweep-[0-9a-f]{8}", name) for name in names)


def test_a_trial_gets_the_cpus_it_trains_with_or_those_it_is_given() -> None:
    assert [trial.cpus for trial in choose("train.threads=1,3")] == [1, 3]
    assert [trial.cpus for trial in choose("train.threads=1,3", cpus=2)] == [2, 2]


def test_the_seed_draws_a_sample_that_a_larger_one_contains(tmp_path: Path) -> None:
    arguments = "visualize.dpi=50,60,70,80,90,110", "seed=1,2"
    drawn = choose(*arguments, samples=5)
    assert drawn == choose(*arguments, samples=5)
    assert len(set(drawn)) == 5
    everything = choose(*arguments)
    assert drawn != everything[:5]
    assert set(drawn) < set(choose(*arguments, samples=8)) < set(everything)
    assert set(choose(*arguments, samples=99)) == set(everything)
    assert len(everything) == 12
    params = tmp_path / "params.yaml"
    params.write_text(params.read_text().replace("seed: 42", "seed: 43"))
    assert drawn != choose(*arguments, samples=5)


def test_a_few_of_many_combinations_are_drawn_and_checked_at_once() -> None:
    digits = ",".join(map(str, range(1, 11)))
    keys = "seed", "train.epochs", "model.dense_units", "visualize.mistakes", "train.threads"
    started = time.process_time()
    drawn = choose(*(f"{key}={digits}" for key in keys), samples=20)  # of 100,000
    assert len({trial.name for trial in drawn}) == 20
    assert time.process_time() - started < 20


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("train.lerning_rate=1,2", "params.yaml: Could not override 'train.lerning_rate'."),
        ("rate=1", "params.yaml: Could not override 'rate'."),
        ("train.epochs.more=1", "params.yaml: Could not override 'train.epochs.more'."),
        ("+train.rate=1", "params.yaml: train.rate: unknown key; expected epochs, "),
        ("train.epochs", "train.epochs: Error parsing override 'train.epochs'"),
        ("train.epochs=1,", "train.epochs=1,: mismatched input"),
        ("train.epochs=glob(*)", "Glob override 'train.epochs=glob(*)' is not supported."),
        ("seed=interval(1,3)", "seed=interval(1,3): BasicSweeper does not support sweep type"),
        ("seed=${nothing}", "params.yaml: Interpolation key 'nothing' not found"),
        ("seed=???", "params.yaml: Missing mandatory value: seed"),
    ],
)
def test_what_is_no_parameter_is_refused(override: str, said: str) -> None:
    with pytest.raises(InputError, match=re.escape(said)) as refused:
        choose(override)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("seed=1,-1", "seed: found -1; "),
        ("prepare.dataset=../mnist", "prepare.dataset: found '../mnist'; "),
        ("model.filters=[8,16],[8,0]", "model.filters.1: found 0; "),
        ("train.optimizer=adam,adamw", "train.optimizer: found 'adamw'; "),
        ("train.threads=two", "train.threads: found 'two'; "),
        ("train.augmentation=0.1", "train.augmentation: found 0.1; "),
        ("visualize.dpi=1e9", "visualize.dpi: found 1000000000.0; "),
        ("~train.epochs", "train.epochs: missing"),
    ],
)
def test_a_value_that_its_stage_would_refuse_is_refused_before_anything_starts(
    override: str, said: str
) -> None:
    with pytest.raises(InputError, match=re.escape(f"params.yaml: {said}")) as refused:
        choose(override)
    assert "\n" not in str(refused.value)


def ended(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    """Return the line with which the command ends."""
    monkeypatch.setattr(sys, "argv", ["sweep", *arguments])
    with pytest.raises(SystemExit) as exit_:
        sweep.main()
    assert isinstance(exit_.value.code, str), "is printed, and makes the exit code 1"
    assert "\n" not in exit_.value.code
    return exit_.value.code


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--samples", "-3", "at least 1"),
        ("--samples", "0", "at least 1"),
        ("--cpus", "0", "at least 1"),
        ("--gpus", "-1", "at least 0"),
        ("--gpus", "nan", "at least 0"),
        ("--gpus", "inf", "a fraction of one or a whole number"),
        ("--gpus", "1.5", "a fraction of one or a whole number"),
    ],
)
def test_a_number_out_of_range_is_refused(
    option: str, value: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = ended(monkeypatch, "seed=1,2", option, value)
    assert line == f"sweep: {option} {value}: expected {expected}"


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
        node.call(sys.executable, "-c", f"import sys; print('noise'); sys.exit({stderr!r})")
    assert str(failed.value) == reason


def test_a_command_is_over_when_it_ends_though_it_leaves_a_process_behind(tmp_path: Path) -> None:
    left = node.call("sh", "-c", "sleep 100 & echo $!")  # it holds stdout and stderr
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
        node.call("sh", "-c", "sleep 100 & echo $! >pid; wait", cwd=str(tmp_path))
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
        node.call("sleep", "0.1")


def measured(validation: float, test: float, images: int = 30) -> results.Metrics:
    """Return the metrics of a run with these accuracies."""
    return {
        "validation": {"loss": 0.25, "accuracy": validation, "images": images},
        "test": {"loss": 0.5, "accuracy": test, "errors": 1},
    }


def tabulated(*runs: tuple[str, results.Metrics]) -> list[list[str]]:
    """Return the lines of each part of the table of these overrides and metrics."""
    trials = [
        (Trial(f"sweep-{i}", tuple(overrides.split()), 1), metrics)
        for i, (overrides, metrics) in enumerate(runs)
    ]
    parts = results.table(dict(trials)).split("\n\n")
    return [[" ".join(line.split()) for line in part.splitlines()] for part in parts]


def test_the_table_is_sorted_by_validation_accuracy_and_shows_the_test_figures_last() -> None:
    a, b, c = (f"model.dropout={d}" for d in (0.1, 0.2, 0.3))
    runs = (a, measured(0.97, 0.99)), (b, measured(0.98, 0.96)), (c, measured(0.9, 0.95))
    figures = "validation.accuracy validation.loss test.accuracy test.loss"
    assert tabulated(*runs) == [
        [
            f"experiment model.dropout {figures}",
            "sweep-1 0.2 0.98000 0.25000 0.96000 0.50000",
            "sweep-0 0.1 0.97000 0.25000 0.99000 0.50000",
            "sweep-2 0.3 0.90000 0.25000 0.95000 0.50000",
        ]
    ]


@pytest.mark.parametrize(
    ("overrides", "images", "warned"),
    [
        (("train.validation_split=0.1", "train.validation_split=0.2"), (30, 60), True),
        (("prepare.dataset=mnist", "prepare.dataset=fashion"), (30, 30), True),
        (("model.dropout=0.1", "model.dropout=0.2"), (30, 20), True),
        (("train.epochs=1", "train.epochs=2"), (30, 30), False),
    ],
)
def test_a_table_of_different_validation_images_has_a_warning(
    overrides: tuple[str, str], images: tuple[int, int], warned: bool
) -> None:
    metrics = [measured(0.9, 0.9, n) for n in images]
    _, *rest = tabulated(*zip(overrides, metrics, strict=True))
    warning = "Warning: not comparable, because they validated on different images"
    assert rest == ([[warning]] if warned else [])


def test_seeds_are_repetitions_of_each_combination_of_the_other_values() -> None:
    accuracies = {"0.1": [0.97, 0.99, 0.98], "0.2": [0.985, 0.995, 0.99]}
    runs = [
        (f"seed={seed} model.dropout={dropout}", measured(accuracy, accuracy - 0.01 * seed))
        for dropout, repeated in accuracies.items()
        for seed, accuracy in enumerate(repeated, start=1)
    ]
    trials, (header, *rows) = tabulated(*runs)
    assert len(trials) == 7
    figures = "validation mean validation std validation worst test mean test std test worst"
    assert header == f"model.dropout n {figures}"
    assert [row.split()[:2] for row in rows] == [["0.2", "3"], ["0.1", "3"]]
    for dropout, _, *row in map(str.split, rows):
        validation = accuracies[dropout]
        test = [accuracy - 0.01 * seed for seed, accuracy in enumerate(validation, start=1)]
        expected = [f(x) for x in (validation, test) for f in (mean, stdev, min)]
        assert [float(value) for value in row] == pytest.approx(expected, abs=1e-5)


def test_where_only_the_seed_differs_one_row_is_left() -> None:
    runs = [(f"++seed={seed}", measured(0.9 + seed / 100, 0.9)) for seed in (1, 2)]
    _, (header, row) = tabulated(*runs)
    assert header.startswith("n validation mean")
    assert row.startswith("2 0.91500")


class Origin:
    """A commit in a clone of its own, and experiments with it in the bare repository behind it."""

    def __init__(self, folder: Path) -> None:
        self.clone = folder / "clone"
        self.git("init", "--quiet", "--bare", str(folder / "origin.git"), cwd=folder)
        self.git("clone", "--quiet", "origin.git", "clone", cwd=folder)
        self.git("commit", "--quiet", "--allow-empty", "--message", "Start")
        self.git("push", "--quiet", "origin", "HEAD")
        self.source = Source("", self.git("rev-parse", "HEAD"), TESTER, {})

    def git(self, *arguments: str, cwd: Path | None = None) -> str:
        user = "-c", "user.name=Tester", "-c", "user.email=tester@example.org"
        command = ["git", *user, *arguments]
        done = subprocess.run(
            command, cwd=cwd or self.clone, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def push(self, settings: dict[str, Any]) -> Source:
        """Commit and push everything; return what a node clones, with these settings of DVC."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "Work")
        self.git("push", "--quiet", "origin", "HEAD")
        url = str(self.clone.parent / "origin.git")
        commit = self.git("rev-parse", "HEAD")
        return Source(url, commit, TESTER, settings)

    def publish(self, trial: Trial, metrics: dict[str, Any]) -> None:
        """Publish a trial as DVC does, from a clone that is not the sweep's."""
        path = self.clone / "reports/metrics.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(metrics))
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", trial.name)
        baseline = self.source.commit
        reference = f"refs/exps/{baseline[:2]}/{baseline[2:]}/{trial.name}"
        self.git("push", "--quiet", "origin", f"HEAD:{reference}")
        self.git("reset", "--quiet", "--hard", baseline)


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Origin:
    created = Origin(tmp_path)
    monkeypatch.chdir(created.clone)
    return created


def test_the_results_of_all_published_trials_take_one_fetch(
    published: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = [Trial(f"sweep-{i}", (f"seed={i}",), 1) for i in range(4)]
    expected = {trial: measured(0.9 + i / 100, 0.8) for i, trial in enumerate(trials[:3])}
    for trial, metrics in expected.items():
        published.publish(trial, metrics)
    shutil.rmtree(published.clone)
    published.git("clone", "--quiet", "origin.git", "clone", cwd=published.clone.parent)
    monkeypatch.chdir(published.clone)
    commands = []

    def call(*command: str) -> str:
        commands.append(command[1])
        return node.call(*command)

    monkeypatch.setattr(results, "call", call)
    assert results.fetch_metrics(published.source.commit, trials) == expected
    assert [command for command in commands if command != "show"] == ["ls-remote", "fetch"]
    assert results.fetch_metrics(published.source.commit, trials[3:]) == {}


@pytest.mark.parametrize(
    "url",
    [
        "https://ghp_secret@127.0.0.1:1/x.git",
        "https://user:ghp_secret@127.0.0.1:1/x.git",
        "https://user:ghp_se@cret@127.0.0.1:1/x.git",
        "http://user:ghp_secret@127.0.0.1:1/x.git",
        "ssh://git:ghp_secret@127.0.0.1:1/x.git",
    ],
)
def test_credentials_in_the_address_of_origin_are_refused_and_not_shown(
    url: str, published: Origin
) -> None:
    published.git("remote", "set-url", "origin", url)
    with pytest.raises(InputError, match="use SSH or a Git credential helper") as refused:
        plan.find_source()
    assert "ghp_se" not in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["ssh://git@127.0.0.1:1/x.git", "https://127.0.0.1:1/x@y.git", "../x:y@z.git"]
)
def test_an_address_without_credentials_is_asked(url: str, published: Origin) -> None:
    published.git("remote", "set-url", "origin", url)
    with pytest.raises(ChildProcessError, match=r"port 1[: ]|does not appear to be a git"):
        plan.find_source()


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
    monkeypatch.setattr(cluster, "check_nodes", lambda *_: pytest.fail("started Ray"))
    return ended(monkeypatch, *(arguments or ["visualize.dpi=50,60"]))


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
    assert "No such remote 'origin'" in refusal(head, monkeypatch)
    shutil.rmtree(head.root / ".git")
    assert "not a git repository" in refusal(head, monkeypatch)


@pytest.mark.slow
def test_a_remote_that_lacks_outputs_or_cannot_be_asked_is_refused(
    head: Clone, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = refusal(head, monkeypatch, "train.optimizer=adam,adamw")
    assert refused.startswith("sweep: params.yaml: train.optimizer: found 'adamw'; ")
    modify = "dvc", "remote", "modify", "--local", "storage", "url"
    head.run(*modify, "ssh://127.0.0.1:1/x")
    assert "The remote can't be asked: " in refusal(head, monkeypatch)
    head.run(*modify, str(head.root.parent / "empty"))
    others = len(head.outputs()) - 3  # one is named; metrics.json and mistakes.csv are in git
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


def test_a_node_without_a_way_to_git_says_so(tmp_path: Path) -> None:
    with pytest.raises(ChildProcessError, match="'nowhere' does not exist"):
        node.probe(SOURCE, "id")


def test_a_node_writes_to_the_remote_and_needs_the_packages_that_the_commit_demands(
    published: Origin, tmp_path: Path
) -> None:
    for name, text in (".dvc/config", ""), ("stages/train/__init__.py", ""):
        (published.clone / name).parent.mkdir(parents=True)
        (published.clone / name).write_text(text)
    settings = {"core": {"remote": "x"}, "remote": {"x": {"url": str(tmp_path / "storage")}}}
    node.probe(published.push(settings), "id")
    assert [path.name for path in (tmp_path / "storage/files/md5").iterdir()] == ["probe-id"]
    assert "probe" not in published.git("ls-remote", "origin")

    demand = "import sys; sys.exit('train: keras 3.0; requirements.txt expects 3.15')"
    (published.clone / "stages/train/__init__.py").write_text(demand)
    with pytest.raises(ChildProcessError, match=r"^train: keras 3\.0; requirements"):
        node.probe(published.push(settings), "id")


def test_a_task_needs_no_checkout_of_the_project_on_its_node(tmp_path: Path) -> None:
    cloudpickle.register_pickle_by_value(node)  # type: ignore[no-untyped-call]
    task = cloudpickle.dumps((node.probe, SOURCE))  # type: ignore[no-untyped-call]
    (tmp_path / "task").write_bytes(task)
    program = "import pickle; f, x = pickle.load(open('task', 'rb')); f(x, 'id')"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True
    )
    last = done.stderr.splitlines()[-1]
    assert last == "ChildProcessError: fatal: repository 'nowhere' does not exist"


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
        "most 270 images",
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
    assert errors.splitlines()[-1] == "sweep: interrupted"
    assert "Traceback" not in errors
    assert {ip.removeprefix("::ffff:") for _, ip in listening} == {LOOPBACK}
    assert {"raylet", "gcs_server"} <= {name for name, _ in listening}
    assert not psutil.wait_procs(running, timeout=30)[1]
    assert not list(scratch.glob("sweep-*"))
