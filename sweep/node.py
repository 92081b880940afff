"""What a node does for a sweep: check that it can work, and run a trial in a clone of its own.

The code travels with the task: a node needs the environment, and no checkout of the project.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
from dvc.config import Config
from dvc.repo import Repo

# What git and DVC say after the line with the reason.
NOISE = (
    "ERROR: failed to reproduce",
    "fatal: Could not read from remote repository.",
    "Please make sure you have the correct access rights",
    "and the repository exists.",
)


@dataclass(frozen=True)
class Source:
    """What a clone is made of. Credentials in `dvc` travel in Ray's messages, never in git."""

    url: str
    commit: str
    user: tuple[str, str]  # name and e-mail address, for the experiments' commits
    dvc: dict[str, Any]  # the sections core and remote of DVC's configuration

    def reference(self, name: str = "*") -> str:
        """Return where DVC keeps an experiment of this commit in git, or a pattern for all."""
        return f"refs/exps/{self.commit[:2]}/{self.commit[2:]}/{name}"


@dataclass(frozen=True)
class Trial:
    name: str
    overrides: tuple[str, ...]
    cpus: int


def run(*command: str, cwd: Path | None = None) -> str:
    """Return what a command prints; raise CalledProcessError if it fails."""
    environment = Path(sys.executable).parent  # with `python` and `dvc`
    env = os.environ | {
        "PATH": f"{environment}{os.pathsep}{os.environ['PATH']}",
        "GIT_TERMINAL_PROMPT": "0",  # nobody is there to type a password
    }
    env.pop("OMP_NUM_THREADS", None)  # Ray's; the pipeline pins its threads itself
    with subprocess.Popen(  # noqa: S603
        command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        while process.returncode is None:
            try:
                # Ray's cancel interrupts Python, not a system call that waits.
                printed, errors = process.communicate(timeout=1)
            except subprocess.TimeoutExpired:
                pass
            except BaseException:
                for child in psutil.Process(process.pid).children(recursive=True):
                    child.kill()
                process.kill()
                raise
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, printed, errors)
    return printed.strip()


def last_error(stderr: str) -> str:
    """Return the line that says why a command failed."""
    lines = [line for line in stderr.splitlines() if line.strip()] or ["no reason given"]
    return next((line for line in reversed(lines) if not line.startswith(NOISE)), lines[-1])


def versions() -> dict[str, str]:
    """Return the versions that decide most about a trial's bytes."""
    return {name: version(name) for name in ("dvc", "keras", "numpy", "tensorflow")}


@contextmanager
def clone(source: Source) -> Iterator[Path]:
    """Yield a temporary clone of the commit that has the sweep's DVC remote and git user."""
    with tempfile.TemporaryDirectory(prefix="sweep-", ignore_cleanup_errors=True) as folder:
        root = Path(folder, "clone")
        name, email = source.user
        user = f"--config=user.name={name}", f"--config=user.email={email}"
        run("git", "clone", "--quiet", *user, source.url, str(root))
        run("git", "checkout", "--quiet", "--detach", source.commit, cwd=root)
        with Config(str(root / ".dvc")).edit("local") as local:
            local.update(source.dvc)
            # Elsewhere DVC would keep an index of every clone there ever was.
            local["core"]["site_cache_dir"] = str(Path(folder, "site-cache"))
        yield root


def check(source: Source, probe: str, expected: Mapping[str, str]) -> str:
    """Clone, and try to write to both remotes; return what is wrong, if anything is.

    Leaves an empty object `probe` in the DVC remote, for the head to see and to remove.
    """
    try:
        if versions() != expected:
            return f"it has {versions()}; expected {expected}"
        with clone(source) as root, Repo(root) as repo:
            reference = source.reference(probe)
            run("git", "push", "--quiet", "--dry-run", "origin", f"HEAD:{reference}", cwd=root)
            storage = repo.cloud.get_remote_odb()
            storage.fs.makedirs(storage.path)
            storage.fs.pipe_file(storage.fs.join(storage.path, probe), b"")
    except subprocess.CalledProcessError as error:
        return last_error(error.stderr)
    except Exception as error:  # each kind of remote has its own
        return str(error)
    return ""


def publish(source: Source, trial: Trial) -> str:
    """Run a trial and publish it as an experiment; return why that failed, if it did.

    The Git remote gets the experiment last, when the DVC remote has all its outputs.
    """
    try:
        with clone(source) as root:
            if run("git", "ls-remote", "origin", source.reference(trial.name), cwd=root):
                return ""  # by the node that had this trial before, and died after that
            set_params = [f"--set-param={override}" for override in trial.overrides]
            options = "--pull", "--allow-missing", "--name", trial.name
            run("dvc", "exp", "run", *options, *set_params, cwd=root)
            run("dvc", "push", "--run-cache", cwd=root)
            # By force: a node that only seemed dead may have published the same meanwhile.
            run("dvc", "exp", "push", "--no-cache", "--force", "origin", trial.name, cwd=root)
    except subprocess.CalledProcessError as error:
        return last_error(error.stderr)
    return ""
