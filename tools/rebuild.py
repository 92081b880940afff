"""Run the whole pipeline of HEAD from its raw data alone, and compare its outputs with dvc.lock.

Exits with 1 if one differs, except where the lock's settings promise its bytes on one type of CPU
only: there, it is enough that the metrics agree.
"""

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import yaml

from stages.backend import cpu
from stages.common.errors import InputError, in_one_line
from stages.common.paths import METRICS

LOCK = "dvc.lock"
TOLERANCE = {"test.accuracy": 0.003, "test.loss": 0.01}


class Results(NamedTuple):
    precision: str
    outputs: dict[str, str]  # the md5 of each
    metrics: "pd.Series[Any]"


def read(folder: Path) -> Results:
    lock = yaml.safe_load((folder / LOCK).read_text())
    outs = [out for stage in lock["stages"].values() for out in stage["outs"]]
    precision = lock["stages"]["train"]["params"]["params.yaml"]["train"]["precision"]
    metrics = pd.json_normalize(json.loads((folder / METRICS).read_text())).iloc[0]
    return Results(precision, {out["path"]: out["md5"] for out in outs}, metrics)


def run(folder: Path, *command: str) -> None:
    """Run a command in `folder` with the packages of this interpreter, and no other cache."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = os.environ | {"PATH": path, "DVC_SITE_CACHE_DIR": str(folder / ".dvc/tmp/site-cache")}
    if subprocess.run(command, cwd=folder, env=env, check=False).returncode:  # noqa: S603
        raise InputError(f"{' '.join(command)} failed in a clone of HEAD")


def rebuild(folder: Path) -> tuple[Results, Results]:
    """Clone HEAD into `folder` and run every stage there; return what is committed, and rebuilt."""
    run(Path.cwd(), "git", "clone", "--quiet", ".", str(folder))
    committed = read(folder)
    if Path(".dvc/config.local").exists():  # it may have the credentials of the remote
        shutil.copy(".dvc/config.local", folder / ".dvc")
    run(folder, "dvc", "config", "--local", "cache.dir", "cache")
    if sources := [str(path) for path in folder.rglob("*.dvc") if path.is_file()]:
        run(folder, "dvc", "pull", *sources)
    (folder / LOCK).unlink()  # so that every stage runs
    run(folder, "dvc", "repro")
    return committed, read(folder)


def report(committed: Results, rebuilt: Results) -> str:
    """Say that all is identical, or close enough; raise InputError that says what differs."""
    differing = sorted({path for path, _ in committed.outputs.items() ^ rebuilt.outputs.items()})
    if not differing:
        return f"identical: all {len(rebuilt.outputs)} outputs have the md5 that dvc.lock says"
    metrics = pd.DataFrame({"committed": committed.metrics, "rebuilt": rebuilt.metrics})
    said = f"different from dvc.lock: {', '.join(differing)}\n{metrics.to_string()}"
    difference = (rebuilt.metrics - committed.metrics).abs()
    if committed.precision != "mixed_bfloat16" or any(
        not difference[name] <= most for name, most in TOLERANCE.items()
    ):
        raise InputError(said)
    return (
        f"{said}\nmixed_bfloat16 promises these bytes on one type of CPU only; elsewhere, metrics "
        f"within the tolerance pass, as these do: {TOLERANCE}"
    )


if __name__ == "__main__":
    with in_one_line("rebuild"), tempfile.TemporaryDirectory() as folder:
        system = f"{platform.platform()}, Python {platform.python_version()}"
        print(f"{cpu.model_name()}, {system}", flush=True)
        print(report(*rebuild(Path(folder))))
