"""What the Git remote has for a sweep: the commit to clone, and the trials published before."""

import json
import re
from collections.abc import Iterable
from pathlib import Path

from dvc.config import Config

from stages.common.errors import InputError
from stages.common.paths import METRICS
from sweep.node import Source, Trial, call
from tools import check_remote

Metrics = dict[str, dict[str, float]]  # metrics.json: validation and test figures


def find_source() -> Source:
    """Return what a clone of this commit needs; raise InputError unless nodes can get it all."""
    if changed := call("git", "status", "--porcelain").splitlines():
        raise InputError(f"not committed: {changed[0]}; git commit and git push, or git stash")
    url = call("git", "remote", "get-url", "origin")
    if re.match(r"https?://[^/]*@|[^/]+://[^/]*:[^/]*@", url):
        hint = "git remote set-url origin URL, and use SSH or a Git credential helper on each node"
        raise InputError(f"origin's URL has credentials, which would go to every node: {hint}")
    call("git", "fetch", "--quiet", "origin")
    commit = call("git", "rev-parse", "HEAD")
    if not call("git", "branch", "--remotes", "--contains", commit, "--list", "origin/*"):
        raise InputError(f"commit {commit[:7]} is not on origin: git push")
    if Path(url).exists():
        url = str(Path(url).resolve())  # a relative path leads elsewhere from a clone
    name, email, _ = re.split(" ?[<>]", call("git", "var", "GIT_COMMITTER_IDENT"))
    config = Config.from_cwd()
    if not (remote := config["core"].get("remote")):
        raise InputError("no DVC remote: dvc remote add --default NAME URL")
    if lacks := check_remote.missing():
        raise InputError(f"the DVC remote lacks {lacks[0]} and {len(lacks) - 1} more: dvc push")
    settings = {key: str(value) for key, value in config["remote"][remote].items()}
    dvc = {"core": {"remote": remote}, "remote": {remote: settings}}
    return Source(url, commit, {"name": name, "email": email}, dvc)


def fetch_metrics(source: Source, trials: Iterable[Trial]) -> dict[Trial, Metrics]:
    """Return the metrics of those trials that are published, all in one `git fetch`."""
    listed = call("git", "ls-remote", "origin", source.reference("*")).split()
    commits = dict(zip(listed[1::2], listed[::2], strict=True))
    found = {t: ref for t in trials if (ref := source.reference(t.name)) in commits}
    if found:
        call("git", "fetch", "--quiet", "origin", *found.values())
    return {
        trial: json.loads(call("git", "show", f"{commits[reference]}:{METRICS}"))
        for trial, reference in found.items()
    }
