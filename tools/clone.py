"""A fresh clone, in which what git and the DVC remote do not have is missing."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from stages.common.errors import InputError
from tools.commands import call


def run(*command: str) -> None:
    """Run a command in the current folder; raise InputError if it fails."""
    if subprocess.run(command, check=False).returncode:  # noqa: S603
        raise InputError(f"{' '.join(command)} failed in a clone of HEAD")


@contextmanager
def fresh_clone() -> Iterator[None]:
    """Run the block in the project, in a temporary clone of HEAD with empty DVC caches.

    Raises InputError if HEAD can't be cloned.
    """
    repository = call("git", "rev-parse", "--show-toplevel")
    with TemporaryDirectory() as folder:
        run("git", "clone", "--quiet", repository, folder)
        project = Path(folder, call("git", "rev-parse", "--show-prefix"))
        if Path(".dvc/config.local").exists():  # it may have the credentials of the remote
            shutil.copy(".dvc/config.local", project / ".dvc")
        with chdir(project):
            run("dvc", "config", "--local", "cache.dir", ".dvc/cache")
            run("dvc", "config", "--local", "core.site_cache_dir", f"{project}/.dvc/tmp/site")
            yield
