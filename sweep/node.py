"""What a node does for a sweep. It needs no checkout of the project.

This module travels there, with the functions that it imports: Ray pickles these modules by value
(see cluster.connect).
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tools.commands import call
from tools.dvc_internals import configure, open_remote


class Source(NamedTuple):
    """What a clone is made of. Credentials in `dvc` travel in Ray's messages, never in git."""

    url: str
    commit: str
    user: dict[str, str]  # name and email, for the experiments' commits
    dvc: dict[str, Any]  # the sections core and remote of DVC's configuration
    folder: str = ""  # of the project in its repository


class Trial(NamedTuple):
    name: str
    overrides: tuple[str, ...]
    cpus: int


@contextmanager
def cloned(source: Source) -> Iterator[str]:
    """Yield the project in a temporary clone that has the sweep's DVC remote and git user."""
    with tempfile.TemporaryDirectory(prefix="sweep-", ignore_cleanup_errors=True) as root:
        user = [f"--config=user.{key}={value}" for key, value in source.user.items()]
        call("git", "clone", "--quiet", *user, source.url, root)
        call("git", "checkout", "--quiet", "--detach", source.commit, cwd=root)
        # Elsewhere DVC would keep an index of every clone there ever was.
        project = str(Path(root, source.folder))
        index = {"site_cache_dir": f"{project}/.dvc/tmp/site-cache"}
        configure(project, source.dvc | {"core": source.dvc["core"] | index})
        yield project


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
