"""Run the whole pipeline of HEAD from its raw data alone, and compare its outputs with dvc.lock.

Exits with 1 if one differs, except where the lock's settings promise its bytes on one type of CPU
only: there, it is enough that the metrics agree.
"""

import platform
from pathlib import Path

import pandas as pd
import yaml

from stages.backend import cpu
from stages.common.errors import InputError, in_one_line
from tools.clone import fresh_clone, run
from tools.compare import load
from tools.results import Results

TOLERANCE = {"test.accuracy": 0.003, "test.loss": 0.01}


def report(committed: Results, rebuilt: Results, precision: str) -> str:
    """Say that all is identical, or close enough; raise InputError that says what differs."""
    differing = sorted({path for path, _ in committed.outputs.items() ^ rebuilt.outputs.items()})
    if not differing:
        return f"identical: all {len(rebuilt.outputs)} outputs have the md5 that dvc.lock says"
    sides = {"committed": committed.metrics, "rebuilt": rebuilt.metrics}
    said = f"different from dvc.lock: {', '.join(differing)}\n{pd.DataFrame(sides).to_string()}"
    close = all(
        abs(rebuilt.metrics[name] - committed.metrics[name]) <= most
        for name, most in TOLERANCE.items()
    )
    if precision == "mixed_bfloat16" and close:
        return f"{said}\nwithin the tolerance of mixed_bfloat16 on other CPUs: {TOLERANCE}"
    raise InputError(said)


def main() -> None:
    with in_one_line("rebuild"), fresh_clone():
        system = f"{platform.platform()}, Python {platform.python_version()}"
        print(f"{cpu.model_name()}, {system}", flush=True)
        committed, lock = load("HEAD"), Path("dvc.lock")
        train = yaml.safe_load(lock.read_text())["stages"]["train"]
        precision = train["params"]["params.yaml"]["train"]["precision"]
        lock.unlink()  # so that every stage runs
        run("dvc", "repro", "--pull", "--no-run-cache")
        print(report(committed, load(None), precision))


if __name__ == "__main__":
    main()
