"""What a node does for a sweep. It needs no checkout of the project.

This module travels there, with the two functions that it imports: Ray pickles both modules by
value (see cluster.connect).
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from pathlib import Path
from typing import Any, NamedTuple

from tools.dvc_internals import configure, open_remote

# A line that may be the reason, unlike these, with which git and DVC end.
REASON = (
    r"^(?!ERROR: failed to repro|fatal: Could not read|Please make|and the repo|Stopping at).*\S"
)


class Source(NamedTuple):
    """What a clone is made of. Credentials in `dvc` travel in Ray's messages, never in git."""

    url: str
    commit: str
    user: dict[str, str]  # name and email, for the experiments' commits
    dvc: dict[str, Any]  # the sections core and remote of DVC's configuration


class Trial(NamedTuple):
    name: str
    overrides: tuple[str, ...]
    cpus: int


def call(*command: str, cwd: str | None = None) -> str:
    """Return what a command prints; raise ChildProcessError with the reason if it fails."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # of `python` and `dvc`
    env = os.environ | {"PATH": path, "GIT_TERMINAL_PROMPT": "0"}  # nobody can type a password
    # Not pipes: ssh may leave a process in the background (ControlPersist) that keeps them open.
    with tempfile.TemporaryFile("w+") as printed, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(  # noqa: S603
            command, cwd=cwd, env=env, stdout=printed, stderr=errors, start_new_session=True
        )
        try:
            process.wait(inf)  # polls: Ray's cancel can't interrupt a system call that waits
        finally:
            if process.poll() is None:  # interrupted
                os.killpg(process.pid, signal.SIGKILL)
        printed.seek(0)
        errors.seek(0)
        if process.returncode:
            said = errors.read().strip() or "no reason given"
            raise ChildProcessError((re.findall(REASON, said, re.M) or said.splitlines())[-1])
        return printed.read().strip()


@contextmanager
def cloned(source: Source) -> Iterator[str]:
    """Yield a temporary clone of the commit that has the sweep's DVC remote and git user."""
    with tempfile.TemporaryDirectory(prefix="sweep-", ignore_cleanup_errors=True) as root:
        user = [f"--config=user.{key}={value}" for key, value in source.user.items()]
        call("git", "clone", "--quiet", *user, source.url, root)
        call("git", "checkout", "--quiet", "--detach", source.commit, cwd=root)
        # Elsewhere DVC would keep an index of every clone there ever was.
        index = {"site_cache_dir": f"{root}/.dvc/tmp/site-cache"}
        configure(root, source.dvc | {"core": source.dvc["core"] | index})
        yield root


def probe(source: Source, id_: str) -> None:
    """Clone, try a push, and write to the DVC remote; raise what prevents it.

    Leaves an empty object `probe-ID` in the DVC remote, for the head to see and to remove.
    """
    with cloned(source) as root:
        call("python", "-c", "import stages.train", cwd=root)  # demands the locked packages
        call("git", "push", "--dry-run", "origin", "HEAD:refs/exps/probe", cwd=root)
        fs, folder = open_remote(root)
        fs.makedirs(folder)
        fs.pipe_file(fs.join(folder, f"probe-{id_}"), b"")


def publish(source: Source, trial: Trial) -> None:
    """Run a trial and publish it as an experiment; raise ChildProcessError if that fails."""
    with cloned(source) as root:
        set_params = [f"--set-param={override}" for override in trial.overrides]
        options = "--pull", "--allow-missing", "--name", trial.name
        call("dvc", "exp", "run", *options, *set_params, cwd=root)
        call("dvc", "push", "--run-cache", cwd=root)
        # Last, when all outputs are pushed; by force, since a node that died may have done it too.
        call("dvc", "exp", "push", "--no-cache", "--force", "origin", trial.name, cwd=root)
