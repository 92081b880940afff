"""Run the whole pipeline of HEAD from its raw data alone, and compare its outputs with dvc.lock.

Exits with 1 if one differs, except where train itself says, of the committed run or of this one,
that other machines give other bytes: there, it is enough that the metrics agree.
"""

import platform
import sys
from pathlib import Path

import pandas as pd

from stages.backend import cpu
from stages.common.errors import InputError, in_one_line
from tools.clone import fresh_clone, run
from tools.compare import load
from tools.results import Results


def report(committed: Results, rebuilt: Results) -> str:
    """Say that all is identical, or close enough; raise InputError that says what differs."""
    differing = sorted({path for path, _ in committed.outputs.items() ^ rebuilt.outputs.items()})
    if not differing:
        return f"identical: all {len(rebuilt.outputs)} outputs have the md5 in dvc.lock"
    sides = pd.DataFrame({"committed": committed.metrics, "rebuilt": rebuilt.metrics})
    said = f"different from dvc.lock: {', '.join(differing)}\n{sides.to_string()}"
    promises = (run.metrics.get("train.portable", "shown") for run in (committed, rebuilt))
    excuses = [promise for promise in promises if promise not in cpu.PORTABLE]
    # Two runs that differ in rounding alone differ by chance: on MNIST's 10,000 test images by up
    # to 0.3 points, of which two images of a small test set are more.
    tolerance = {"test.accuracy": max(0.003, 2 / committed.metrics["test.images"])}
    tolerance["test.loss"] = max(0.01, committed.metrics["test.loss"] / 5)
    close = all(
        abs(rebuilt.metrics[name] - committed.metrics[name]) <= most
        for name, most in tolerance.items()
    )
    if excuses and close:
        return f"{said}\nThey agree within {tolerance}, which is enough, because {excuses[0]}"
    raise InputError(said)


def main() -> None:
    with in_one_line("rebuild"), fresh_clone():
        system = f"{platform.platform()}, Python {platform.python_version()}"
        print(f"{cpu.model_name()}, {system}", flush=True)
        committed = load("HEAD")
        Path("dvc.lock").unlink()  # so that every stage runs
        run("dvc", "repro", "--pull", "--no-run-cache")
        rebuilt = load(None)
        try:
            print(report(committed, rebuilt))
        except InputError as different:  # a table, where others are one line
            sys.exit(f"rebuild: {different}")


if __name__ == "__main__":
    main()
