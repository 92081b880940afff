"""Two people share the project through git and a remote: a folder, S3 or SSH."""

import configparser
import json
import re
import subprocess
from pathlib import Path

import pytest
from dvc.config_schema import REMOTE_SCHEMAS
from ruamel.yaml import YAML

from tests.builders import ROOT
from tests.pages import follow
from tests.project import Clone, Project, share
from tests.remotes import Remote, started

FROM_TRAIN = ["train", "evaluate", "visualize", "export"]
RESULTS = ["dvc.lock", "reports/metrics.json", "reports/mistakes.csv"]
SLOWER = "train.learning_rate", 0.00005


@pytest.mark.parametrize("kind", ["folder", "s3", "ssh"])
def test_a_team_shares_runs_through_a_remote_and_survives_its_damage_and_its_loss(
    kind: str, stub: Project, tmp_path: Path
) -> None:
    with started(kind, tmp_path) as remote:
        a, b = share(stub.root.parent)
        for clone in a, b:
            remote.connect(clone)
        a.run("dvc", "push", "--all-branches")
        compare_before_a_pull(b)
        run_only_what_changed_after_a_pull(b)
        restore_a_run_that_was_never_committed(a, b)
        run_nothing_that_another_committed_and_pushed(a, b)
        name_a_damaged_object_and_lose_nothing(a, b, remote)
        say_why_it_cannot_be_reached_and_lose_nothing(a, b, remote)


def compare_before_a_pull(b: Clone) -> None:
    metrics = json.loads((b.root / "reports/metrics.json").read_text())
    assert not (b.root / "models").exists()
    shown = b.run("dvc", "metrics", "diff", "--json", "HEAD~1", "HEAD").stdout
    differences = json.loads(shown)["reports/metrics.json"]
    assert differences["test.accuracy"]["new"] == metrics["test"]["accuracy"]


def run_only_what_changed_after_a_pull(b: Clone) -> None:
    b.run("dvc", "pull")
    assert b.contents() == b.outputs()
    b.set("visualize.dpi", 50)
    assert b.repro() == ["visualize"]
    b.run("git", "restore", ".")


def restore_a_run_that_was_never_committed(a: Clone, b: Clone) -> None:
    a.set(*SLOWER)
    assert a.repro() == ["train", "evaluate", "visualize", "export"]
    # While the run is in the workspace: the run-cache has no outputs, only their md5.
    a.run("dvc", "push", "--run-cache")
    b.set(*SLOWER)
    # The metrics live in git and are never pushed, so evaluate runs.
    assert b.repro("--pull") == ["evaluate"]
    assert b.contents() == a.outputs()
    b.run("git", "restore", ".")


def run_nothing_that_another_committed_and_pushed(a: Clone, b: Clone) -> None:
    publish(a, "Another learning rate")
    b.run("git", "pull", "--quiet")
    b.run("dvc", "pull", "--force")
    assert b.contents() == a.outputs()
    assert b.repro() == []


def name_a_damaged_object_and_lose_nothing(a: Clone, b: Clone, remote: Remote) -> None:
    damaged = "reports/figures/kernels.png"
    before = b.contents()
    a.set("visualize.dpi", 50)
    a.repro()
    publish(a, "Coarser figures")
    remote.damage(a.outputs()[damaged])

    b.run("git", "pull", "--quiet")
    pull = b.run("dvc", "pull", check=False)
    assert pull.returncode
    assert f"Checkout failed for following targets:\n{damaged}\n" in pull.stderr
    # DVC has taken the old file out of the workspace, not out of the cache.
    assert not (b.root / damaged).exists()
    b.run("git", "checkout", "--quiet", "HEAD~1")
    b.run("dvc", "checkout")
    assert b.contents() == before
    b.run("git", "checkout", "--quiet", "main")


def say_why_it_cannot_be_reached_and_lose_nothing(a: Clone, b: Clone, remote: Remote) -> None:
    a.set("visualize.dpi", 60)
    assert a.repro() == ["visualize"]
    outputs = a.contents()

    def check(reason: str) -> None:
        for clone, command in (a, "push"), (b, "pull"):
            done = clone.run("dvc", command, check=False)
            assert done.returncode
            assert re.search(f"^ERROR: .*{reason}", done.stderr, re.MULTILINE)
        assert a.contents() == outputs == a.outputs()

    for clone in a, b:
        remote.refuse(clone)
    check(remote.refused)
    remote.stop()
    check(remote.stopped)


def publish(clone: Clone, message: str) -> None:
    clone.commit(message)
    clone.run("dvc", "push")
    clone.run("git", "push", "--quiet")


@pytest.mark.parametrize(
    ("how", "side", "key", "value", "stages", "conflicts"),
    [
        ("merge", "MERGE_HEAD", "visualize.dpi", 50, ["visualize"], ["dvc.lock"]),
        ("merge", "HEAD", "seed", 1, FROM_TRAIN, RESULTS),
        ("rebase", "REBASE_HEAD", "seed", 1, FROM_TRAIN, RESULTS),
    ],
)
def test_two_changed_parameters_meet_with_one_sides_results_and_rerun_what_differs(
    stub: Project,
    how: str,
    side: str,
    key: str,
    value: int,
    stages: list[str],
    conflicts: list[str],
) -> None:
    stub.run("git", "switch", "--quiet", "--create", "slower")
    stub.set(*SLOWER)
    stub.repro()
    stub.commit("Another learning rate")
    stub.run("git", "switch", "--quiet", "--create", "other", "main")
    stub.run("dvc", "checkout")
    stub.set(key, value)
    assert stub.repro() == stages
    stub.commit("Another value elsewhere")

    stopped = stub.run("git", how, "slower", check=False)
    assert sorted(re.findall(r"Merge conflict in (\S+)", stopped.stdout)) == conflicts

    stub.env["GIT_EDITOR"] = "true"  # the message is fine
    block, shown = (1, "REBASE_HEAD") if how == "rebase" else (0, "MERGE_HEAD")
    printed = follow(stub, "docs/sharing.md", "Merge conflicts", block, {shown: side})
    assert re.findall(r"Running stage '(\w+)'", printed) == stages

    assert "On branch other\n" in stub.run("git", "status").stdout
    assert stub.repro() == []
    assert stub.contents() == stub.outputs()
    assert stub.run("git", "status", "--porcelain").stdout == ""
    merged = YAML(typ="safe").load(stub.root / "params.yaml")
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


@pytest.mark.committed
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


def test_a_secret_of_a_clone_stays_out_of_git(stub: Project) -> None:
    modify = "dvc", "remote", "modify", "--local", "storage"
    stub.run(*modify, "url", "s3://team/mnist")
    stub.run(*modify, "secret_access_key", "a-secret")
    stub.run("git", "add", "--all")
    assert stub.run("git", "ls-files", ".dvc").stdout.split() == [
        ".dvc/.gitignore",
        ".dvc/config",
    ]
    assert stub.run("git", "status", "--porcelain").stdout == ""
