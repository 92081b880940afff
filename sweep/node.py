"""What a node does for a sweep: check that it can work, and run a trial in a clone of its own.

This module travels with each task: a node needs the environment, but no checkout of the project.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from dvc.config import Config
from dvc.repo import Repo

# What git and DVC say after the line with the reason.
NOISE = r"\s*$|ERROR: failed to repro|fatal: Could not read|Please make|and the repo|Stopping at"


class Source(NamedTuple):
    """What a clone is made of. Credentials in `dvc` travel in Ray's messages, never in git."""

    url: str
    commit: str
    user: dict[str, str]  # name and email, for the experiments' commits
    dvc: dict[str, Any]  # the sections core and remote of DVC's configuration

    def reference(self, name: str) -> str:
        """Return where Git keeps the experiment with this name."""
        return f"refs/exps/{self.commit[:2]}/{self.commit[2:]}/{name}"


class Trial(NamedTuple):
    name: str
    overrides: tuple[str, ...]
    cpus: int


def call(*command: str, cwd: Path | None = None) -> str:
    """Return what a command prints; raise ChildProcessError with the reason if it fails."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # of `python` and `dvc`
    env = os.environ | {"PATH": path, "GIT_TERMINAL_PROMPT": "0"}  # nobody can type a password
    # Not pipes: ssh may leave a process in the background (ControlPersist) that keeps them open.
    with tempfile.TemporaryFile("w+") as printed, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(  # noqa: S603
            command, cwd=cwd, env=env, stdout=printed, stderr=errors, start_new_session=True
        )
        try:
            while process.poll() is None:
                time.sleep(0.02)  # Ray's cancel interrupts Python, but no system call that waits
        except BaseException:
            with suppress(OSError):  # it has just ended
                os.killpg(process.pid, signal.SIGKILL)
            raise
        printed.seek(0)
        errors.seek(0)
        if process.returncode:
            raise ChildProcessError(last_error(errors.read()))
        return printed.read().strip()


def last_error(stderr: str) -> str:
    """Return the line that says why a command failed."""
    lines = stderr.strip().splitlines() or ["no reason given"]
    return next((line for line in reversed(lines) if not re.match(NOISE, line)), lines[-1])


@contextmanager
def cloned(source: Source) -> Iterator[Path]:
    """Yield a temporary clone of the commit that has the sweep's DVC remote and git user."""
    with tempfile.TemporaryDirectory(prefix="sweep-", ignore_cleanup_errors=True) as folder:
        root = Path(folder, "clone")
        user = [f"--config=user.{key}={value}" for key, value in source.user.items()]
        call("git", "clone", "--quiet", *user, source.url, str(root))
        call("git", "checkout", "--quiet", "--detach", source.commit, cwd=root)
        with Config(str(root / ".dvc")).edit("local") as local:
            local.update(source.dvc)
            # Elsewhere DVC would keep an index of every clone there ever was.
            local["core"]["site_cache_dir"] = str(Path(folder, "site-cache"))
        yield root


def probe(source: Source, id_: str) -> None:
    """Clone, and write to both remotes; raise an error with the reason if that fails.

    Leaves an empty object `probe-ID` in the DVC remote, for the head to see and to remove.
    """
    with cloned(source) as root, Repo(root) as repo:
        call("python", "-c", "import stages.train", cwd=root)  # demands the locked packages
        experiment = f"HEAD:{source.reference('probe')}"
        call("git", "push", "--dry-run", "origin", experiment, cwd=root)
        storage = repo.cloud.get_remote_odb()
        storage.fs.makedirs(storage.path)
        storage.fs.pipe_file(storage.fs.join(storage.path, f"probe-{id_}"), b"")


def publish(source: Source, trial: Trial) -> None:
    """Run a trial and publish it as an experiment; raise ChildProcessError if that fails.

    The Git remote gets the experiment last, when the DVC remote has all its outputs.
    """
    with cloned(source) as root:
        set_params = [f"--set-param={override}" for override in trial.overrides]
        options = "--pull", "--allow-missing", "--name", trial.name
        call("dvc", "exp", "run", *options, *set_params, cwd=root)
        call("dvc", "push", "--run-cache", cwd=root)
        # By force: a node that died, or seemed to, may have published the same before.
        call("dvc", "exp", "push", "--no-cache", "--force", "origin", trial.name, cwd=root)
