"""Measure the pipeline against the same work in one script, on this machine, and print tables.

Each round clones HEAD into a fresh folder and runs the script and the pipeline in turn. Nothing
else should run meanwhile. Takes about a quarter of an hour on two cores.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.measuring import Measured, fresh_clone, measure_run

ROUNDS = 2
SCALES = (1, 2, 4, 8)
REPRO = "dvc", "repro"
MODULE = sys.executable, "-m"

# Stages run by hand come last: they write their outputs anew, and `dvc repro` would hash them.
QUICK = [("no-op", REPRO), ("dvc version", ("dvc", "version"))] * 3 + [
    ("prepare", (*MODULE, "stages.prepare")),
    ("visualize", (*MODULE, "stages.visualize")),
    ("import tensorflow", (sys.executable, "-c", "import tensorflow")),
] * 3
ROWS = [
    ("everything, cold (s)", "script", "cold"),
    ("again with another dpi (s)", "script", "dpi"),
    ("again with one epoch (s)", "short script", "short"),
    ("again with nothing changed (s)", "script", "no-op"),
    ("nothing to do, against `dvc version` (s)", "dvc version", "no-op"),
    ("prepare, against `import tensorflow` (s)", "import tensorflow", "prepare"),
    ("visualize, against `import tensorflow` (s)", "import tensorflow", "visualize"),
]


def change(folder: Path, old: str, new: str) -> None:
    path = folder / "params.yaml"
    before, found, after = path.read_text().partition(old)
    if not found:
        sys.exit(f"params.yaml: {old!r} not found; expected the defaults")
    path.write_text(f"{before}{new}{after}")


def run_round() -> Iterator[tuple[str, Measured]]:
    """Run the script, the pipeline, both after a change, and the quick commands, in a clone."""
    script = (*MODULE, "benchmarks.baseline")
    with fresh_clone() as folder:
        yield "script", measure_run(folder, *script, "10")
        yield "cold", measure_run(folder, *REPRO)
        change(folder, "dpi: 100", "dpi: 120")
        yield "dpi", measure_run(folder, *REPRO)
        change(folder, "epochs: 10", "epochs: 1")
        yield "short script", measure_run(folder, *script, "1")
        yield "short", measure_run(folder, *REPRO)
        for name, command in QUICK:
            yield name, measure_run(folder, *command)


def compare_costs(runs: list[tuple[str, Measured]]) -> str:
    """Return a table of what runs cost; the reference is the script, or what the row names."""
    names, measured = zip(*runs, strict=True)
    table = pd.DataFrame(measured, names)
    seconds = table["seconds"].groupby(level=0).median()
    epoch = table["epochs"].explode().astype(float).groupby(level=0).median()
    peaks = pd.concat(table["memory"].to_list()).groupby(level=0).max()
    rows = [("fit, one epoch (s)", epoch["script"], epoch["cold"])]
    rows += [(what, seconds[reference], seconds[name]) for what, reference, name in ROWS]
    rows += [
        (f"peak {kind} memory, {module} (MB)", peaks[kind]["benchmarks.baseline"], peak)
        for (kind, module), peak in peaks.filter(like="stages.", axis=0).unstack().items()
    ]
    costs = pd.DataFrame(rows, columns=["", "reference", "pipeline"])
    costs["ratio"] = costs["pipeline"] / costs["reference"]
    return str(costs.to_markdown(index=False, floatfmt=("", ".1f", ".1f", ".2f")))


def grow_data() -> str:
    """Return a table of how an epoch and the memory of train grow with the data, which is tiled."""
    rows = []
    with fresh_clone() as folder:
        change(folder, "epochs: 10", "epochs: 1")
        measure_run(folder, *MODULE, "stages.prepare")
        arrays = {path: np.load(path) for path in folder.glob("data/prepared/*_train.npy")}
        for scale in SCALES:
            for path, array in arrays.items():
                np.save(path, np.concatenate([array] * scale))
            run = measure_run(folder, *MODULE, "stages.train")
            rows.append((scale * len(array), run.epochs[0], *run.memory.loc["stages.train"]))
    columns = ["images", "one epoch (s)", "private memory (MB)", "resident memory (MB)"]
    table = pd.DataFrame(rows, columns=columns)
    return str(table.to_markdown(index=False, floatfmt=(",.0f", ".1f", ".0f", ".0f")))


if __name__ == "__main__":
    runs = [run for _ in range(ROUNDS) for run in run_round()]
    print(compare_costs(runs), end="\n\n", flush=True)
    print(grow_data())
