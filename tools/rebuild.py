"""Run the whole pipeline of HEAD from its raw data alone, and compare its outputs with dvc.lock.

Exits with 1 if one differs, except where the lock's settings promise its bytes on one type of CPU
only: there, it is enough that the metrics agree.
"""

import json
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import yaml

from stages.backend import cpu
from stages.common.errors import InputError, in_one_line
from stages.common.paths import METRICS

TOLERANCE = {"test.accuracy": 0.003, "test.loss": 0.01}


class Results(NamedTuple):
    precision: str
    outputs: dict[str, str]  # the md5 of each
    metrics: "pd.Series[Any]"


def read(folder: Path) -> Results:
    stages = yaml.safe_load((folder / "dvc.lock").read_text())["stages"]
    outputs = {out["path"]: out["md5"] for stage in stages.values() for out in stage["outs"]}
    precision = stages["train"]["params"]["params.yaml"]["train"]["precision"]
    metrics = pd.json_normalize(json.loads((folder / METRICS).read_text())).iloc[0]
    return Results(precision, outputs, metrics)


def run(folder: Path, *command: str) -> None:
    if subprocess.run(command, cwd=folder, check=False).returncode:  # noqa: S603
        raise InputError(f"{' '.join(command)} failed in a clone of HEAD")


def rebuild(folder: Path) -> tuple[Results, Results]:
    """Clone HEAD into `folder` and run every stage there; return what is committed, and rebuilt."""
    run(Path.cwd(), "git", "clone", "--quiet", ".", str(folder))
    committed = read(folder)
    if Path(".dvc/config.local").exists():  # it may have the credentials of the remote
        shutil.copy(".dvc/config.local", folder / ".dvc")
    run(folder, "dvc", "config", "--local", "cache.dir", "cache")
    run(folder, "dvc", "config", "--local", "core.site_cache_dir", str(folder / ".dvc/tmp/site"))
    if sources := [str(path) for path in folder.rglob("*.dvc") if path.is_file()]:
        run(folder, "dvc", "pull", *sources)
    (folder / "dvc.lock").unlink()  # so that every stage runs
    run(folder, "dvc", "repro")
    return committed, read(folder)


def report(committed: Results, rebuilt: Results) -> str:
    """Say that all is identical, or close enough; raise InputError that says what differs."""
    differing = sorted({path for path, _ in committed.outputs.items() ^ rebuilt.outputs.items()})
    if not differing:
        return f"identical: all {len(rebuilt.outputs)} outputs have the md5 that dvc.lock says"
    metrics = pd.DataFrame({"committed": committed.metrics, "rebuilt": rebuilt.metrics})
    said = f"different from dvc.lock: {', '.join(differing)}\n{metrics.to_string()}"
    difference = metrics["rebuilt"] - metrics["committed"]
    close = all(abs(difference[name]) <= most for name, most in TOLERANCE.items())
    if committed.precision == "mixed_bfloat16" and close:
        return f"{said}\nwithin the tolerance of mixed_bfloat16 on other CPUs: {TOLERANCE}"
    raise InputError(said)


if __name__ == "__main__":
    with in_one_line("rebuild"), tempfile.TemporaryDirectory() as folder:
        system = f"{platform.platform()}, Python {platform.python_version()}"
        print(f"{cpu.model_name()}, {system}", flush=True)
        print(report(*rebuild(Path(folder))))
