"""Two people share the project through git and a remote: a folder, S3 or SSH."""

import configparser
import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import md5
from pathlib import Path

import pytest
from dvc.config_schema import REMOTE_SCHEMAS
from ruamel.yaml import YAML

from tests.builders import ROOT
from tests.project import Clone, Project, share
from tests.remotes import Remote, started


@dataclass
class Team:
    """A pushed the project and its outputs; B has cloned it, and pulled nothing yet."""

    a: Clone
    b: Clone
    remote: Remote


@pytest.fixture(params=["folder", "s3", "ssh"])
def remote(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Remote]:
    with started(request.param, tmp_path) as running:
        yield running


@pytest.fixture
def team(reproduced: Project, remote: Remote) -> Team:
    a, b = share(reproduced.root.parent)
    for clone in a, b:
        remote.connect(clone)
    a.run("dvc", "push")
    return Team(a, b, remote)


def contents(project: Project) -> dict[str, str]:
    """Return the md5 of each output of the lock that is there, as its bytes say."""
    files = {name: project.root / name for name in project.outputs()}
    return {
        name: md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        for name, path in files.items()
        if path.exists()
    }


@pytest.mark.slow
def test_a_clone_compares_before_a_pull_and_runs_nothing_that_another_ran_and_pushed(
    tried: Project, remote: Remote
) -> None:
    runs, pulls = share(tried.root.parent)
    for clone in runs, pulls:
        remote.connect(clone)
    runs.run("dvc", "push", "--all-branches")

    metrics = json.loads((pulls.root / "reports/metrics.json").read_text())
    shown = pulls.run("dvc", "metrics", "diff", "--json", "HEAD~1", "HEAD").stdout
    differences = json.loads(shown)["reports/metrics.json"]
    assert differences["test.accuracy"]["new"] == metrics["test"]["accuracy"]

    pulls.run("dvc", "pull")
    assert contents(pulls) == pulls.outputs()
    pulls.set("visualize.dpi", 50)
    assert pulls.repro() == ["visualize"]
    pulls.run("git", "restore", ".")

    runs.commit("Another learning rate")
    runs.run("dvc", "push")
    runs.run("git", "push", "--quiet")
    pulls.run("git", "pull", "--quiet")
    pulls.run("dvc", "pull")
    assert contents(pulls) == runs.outputs()
    assert pulls.repro() == []


@pytest.mark.slow
def test_a_training_that_was_never_committed_is_restored_elsewhere(
    tried: Project, remote: Remote
) -> None:
    a, b = share(tried.root.parent)
    for clone in a, b:
        remote.connect(clone)
    # While the experiment is in the workspace: the run-cache has no outputs, only their md5.
    a.run("dvc", "push", "--run-cache")

    b.set("train.learning_rate", 0.00005)
    # The metrics live in git and are never pushed, so evaluate runs.
    assert b.repro("--pull") == ["evaluate"]
    assert contents(b) == tried.outputs()


@pytest.mark.slow
def test_a_damaged_object_is_refused_and_named_and_nothing_is_lost(team: Team) -> None:
    damaged = "reports/figures/kernels.png"
    team.b.run("dvc", "pull")
    before = contents(team.b)
    team.a.set("visualize.dpi", 50)
    team.a.repro()
    team.a.commit()
    team.a.run("dvc", "push")
    team.a.run("git", "push", "--quiet")
    team.remote.damage(team.a.outputs()[damaged])

    team.b.run("git", "pull", "--quiet")
    pull = team.b.run("dvc", "pull", check=False)
    assert pull.returncode
    assert f"Checkout failed for following targets:\n{damaged}\n" in pull.stderr
    # DVC has taken the old file out of the workspace, not out of the cache.
    assert not (team.b.root / damaged).exists()
    team.b.run("git", "checkout", "--quiet", "HEAD~1")
    team.b.run("dvc", "checkout")
    assert contents(team.b) == before


@pytest.mark.slow
def test_a_remote_that_refuses_or_is_out_of_reach_is_an_error_and_a_clone_works_without(
    team: Team,
) -> None:
    team.a.set("visualize.dpi", 50)
    assert team.a.repro() == ["visualize"]
    outputs = contents(team.a)

    def check(reason: str) -> None:
        """Push and pull end in a line that says why, and outputs stay."""
        for clone, command in (team.a, "push"), (team.b, "pull"):
            done = clone.run("dvc", command, check=False)
            assert done.returncode
            assert re.search(f"^ERROR: .*{reason}", done.stderr, re.MULTILINE)
        assert contents(team.a) == outputs == team.a.outputs()

    for clone in team.a, team.b:
        team.remote.refuse(clone)
    check(team.remote.refused)
    team.remote.stop()
    check(team.remote.stopped)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("key", "value", "stages", "conflicts", "side"),
    [
        ("visualize.dpi", 50, ["visualize"], ["dvc.lock"], "MERGE_HEAD"),
        (
            "seed",
            1,
            ["train", "evaluate", "visualize"],
            ["dvc.lock", "reports/metrics.json", "reports/mistakes.csv"],
            "HEAD",
        ),
    ],
)
def test_a_merge_of_two_changed_parameters_takes_one_sides_results_and_reruns_what_differs(
    tried: Project, key: str, value: int, stages: list[str], conflicts: list[str], side: str
) -> None:
    tried.run("git", "switch", "--quiet", "--create", "slower")
    tried.commit("Another learning rate")
    tried.run("git", "switch", "--quiet", "--create", "other", "main")
    tried.run("dvc", "checkout")
    tried.set(key, value)
    assert tried.repro() == stages
    tried.commit("Another value elsewhere")

    merge = tried.run("git", "merge", "slower", check=False)
    assert sorted(re.findall(r"Merge conflict in (\S+)", merge.stdout)) == conflicts

    tried.run("git", "checkout", side, "--", "dvc.lock", "reports")
    tried.run("dvc", "checkout", "--force")
    assert tried.repro() == stages
    tried.run("git", "commit", "--quiet", "--all", "--no-edit")

    assert tried.repro() == []
    assert contents(tried) == tried.outputs()
    assert tried.run("git", "status", "--porcelain").stdout == ""
    merged = YAML(typ="safe").load(tried.root / "params.yaml")
    assert merged["train"]["learning_rate"] == 0.00005
    assert value in (merged["visualize"]["dpi"], merged["seed"])


# Options of DVC whose value is a secret. Names of keys, paths of files and commands are none.
SECRETS = {
    *("password", "passphrase", "token", "custom_auth_header"),
    *("secret_access_key", "session_token", "sse_customer_key"),
    *("account_key", "connection_string", "sas_token", "client_secret"),
    *("gdrive_client_secret", "oss_key_secret"),
}


def secrets(text: str) -> list[str]:
    """Return the options of a DVC configuration that hold a secret, and the URLs that do."""
    config = configparser.ConfigParser(interpolation=None)
    config.read_string(text)
    options = [option for section in config.values() for option in section.items()]
    return [key for key, value in options if key in SECRETS or re.search("://[^/@]*:.*@", value)]


def test_no_secret_is_in_what_git_tracks_of_dvc() -> None:
    tracked = subprocess.run(
        ["git", "ls-files", ".dvc"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split()
    assert ".dvc/config" in tracked
    assert ".dvc/config.local" not in tracked
    for path in tracked:
        if path.startswith(".dvc/config"):
            assert secrets((ROOT / path).read_text()) == []


def test_a_secret_would_be_seen() -> None:
    known = {str(option) for schema in REMOTE_SCHEMAS.values() for option in schema}
    assert known >= SECRETS, "each is spelt as DVC spells it"
    harmless = "['remote \"a\"']\nurl = ssh://me@host/folder\nkeyfile = ~/.ssh/id\nverify = true\n"
    assert secrets(harmless) == []
    for line in "password = x", "sas_token=x", "url = https://me:secret@host/folder":
        assert secrets(f"{harmless}['remote \"b\"']\n{line}\n") == [re.split(" ?=", line)[0]]


def test_a_secret_of_a_clone_stays_out_of_git(project: Project) -> None:
    modify = "dvc", "remote", "modify", "--local", "storage"
    project.run(*modify, "url", "s3://team/mnist")
    project.run(*modify, "secret_access_key", "a-secret")
    project.run("git", "add", "--all")
    assert project.run("git", "ls-files", ".dvc").stdout.split() == [
        ".dvc/.gitignore",
        ".dvc/config",
    ]
    assert project.run("git", "status", "--porcelain").stdout == ""
