"""Run the whole pipeline of HEAD from its raw data alone, and compare its outputs with dvc.lock.

Exits with 1 if one differs, except where the lock's settings promise its bytes on one type of CPU
only: there, it is enough that the metrics agree.
"""

import platform
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import yaml

from stages.backend import cpu
from stages.common.errors import InputError, in_one_line
from tools.compare import Results, load

TOLERANCE = {"test.accuracy": 0.003, "test.loss": 0.01}


def run(*command: str) -> None:
    if subprocess.run(command, check=False).returncode:  # noqa: S603
        raise InputError(f"{' '.join(command)} failed in a clone of HEAD")


@contextmanager
def fresh_clone() -> Iterator[None]:
    """Run the block in a temporary clone of HEAD with empty DVC caches.

    Raises InputError if HEAD can't be cloned.
    """
    with TemporaryDirectory() as folder:
        run("git", "clone", "--quiet", ".", folder)
        if Path(".dvc/config.local").exists():  # it may have the credentials of the remote
            shutil.copy(".dvc/config.local", f"{folder}/.dvc")
        with chdir(folder):
            run("dvc", "config", "--local", "cache.dir", ".dvc/cache")
            run("dvc", "config", "--local", "core.site_cache_dir", f"{folder}/.dvc/tmp/site")
            yield


def report(committed: Results, rebuilt: Results, precision: str) -> str:
    """Say that all is identical, or close enough; raise InputError that says what differs."""
    differing = sorted({path for path, _ in committed.outputs.items() ^ rebuilt.outputs.items()})
    if not differing:
        return f"identical: all {len(rebuilt.outputs)} outputs have the md5 that dvc.lock says"
    metrics = pd.DataFrame({"committed": committed.metrics, "rebuilt": rebuilt.metrics})
    said = f"different from dvc.lock: {', '.join(differing)}\n{metrics.to_string()}"
    difference = (metrics["rebuilt"] - metrics["committed"]).abs()
    close = all(difference[name] <= most for name, most in TOLERANCE.items())
    if precision == "mixed_bfloat16" and close:
        return f"{said}\nwithin the tolerance of mixed_bfloat16 on other CPUs: {TOLERANCE}"
    raise InputError(said)


if __name__ == "__main__":
    with in_one_line("rebuild"), fresh_clone():
        system = f"{platform.platform()}, Python {platform.python_version()}"
        print(f"{cpu.model_name()}, {system}", flush=True)
        committed, lock = load("HEAD"), Path("dvc.lock")
        train = yaml.safe_load(lock.read_text())["stages"]["train"]
        precision = train["params"]["params.yaml"]["train"]["precision"]
        lock.unlink()  # so that every stage runs
        run("dvc", "repro", "--pull", "--no-run-cache")
        print(report(committed, load(None), precision))
