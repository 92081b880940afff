"""Make 60 of 6,000 of MNIST's training labels wrong, and count how many of them evaluate finds.

That is, how many are among the first lines of reports/doubts.csv, with the default parameters and
with each recipe, or with the recipes whose names are given. Takes a minute or two each, on two
cores, in a clone of HEAD.
"""

import struct
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.measuring import measure_run
from benchmarks.recipes import overrides, set_parameters
from stages.common.paths import DOUBTS, RAW
from stages.prepare import idx
from tools.clone import fresh_clone

NAME = "doubts"  # of the data set
WRONG = 60
FIRST = 60, 80  # lines of the table


def make_wrong(labels: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Make `n` of `labels`, uint8 (rows,), another of the ten digits; return which rows."""
    rows = rng.choice(len(labels), n, replace=False)
    labels[rows] = (labels[rows] + rng.integers(1, 10, n)) % 10
    return rows


def write_data_set(source: Path, folder: Path) -> np.ndarray:
    """Write a tenth of MNIST with wrong training labels; return the rows of these."""
    folder.mkdir(parents=True)
    for part, n in ("train", 6000), ("t10k", 1000):
        images = idx.read_array(source / f"{part}-images-idx3-ubyte.gz", 3)[:n]
        labels = idx.read_array(source / f"{part}-labels-idx1-ubyte.gz", 1)[:n].copy()
        if part == "train":
            rows = make_wrong(labels, WRONG, np.random.default_rng(0))
        for kind, array in ("images-idx3", images), ("labels-idx1", labels):
            header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
            (folder / f"{part}-{kind}-ubyte").write_bytes(header + array.tobytes())
    return rows


def count(doubts: pd.DataFrame, rows: np.ndarray, first: int) -> int:
    """Return how many training images, `rows`, are in so many lines of doubts.csv."""
    lines = doubts.head(first)
    return int(((lines["part"] != "test") & lines["index"].isin(rows)).sum())


if __name__ == "__main__":
    names = sys.argv[1:] or ["default", *sorted(path.name for path in Path("recipes").iterdir())]
    found = []
    with fresh_clone():
        rows = write_data_set(RAW / "mnist", RAW / NAME)
        for name in names:
            changes = [] if name == "default" else overrides(name)
            set_parameters(*changes, f"prepare.dataset={NAME}")
            measure_run("dvc repro evaluate")
            doubts = pd.read_csv(DOUBTS)
            found.append([name, *(count(doubts, rows, first) for first in FIRST)])
            print(*found[-1], flush=True)
    columns = ["recipe", *(f"among the first {first}" for first in FIRST)]
    print(pd.DataFrame(found, columns=columns).to_markdown(index=False))
