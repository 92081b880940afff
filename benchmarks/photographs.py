"""Train the defaults and the recipe for photographs with five seeds each, and print a table.

    python -m benchmarks.photographs data/raw/NAME [--splits]

The pictures of the data set are copied into a clone of HEAD, and resized to 64 by 64 pixels. With
--splits, each seed has another test part: for sets with too few pictures to test on. Nothing else
should run meanwhile.
"""

import argparse
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.measuring import measure_run
from benchmarks.recipes import overrides, set_parameters
from stages.common.paths import CLASS_SCORES, METRICS, RAW
from tools.clone import fresh_clone

SEEDS = range(1, 6)
T = 2.776  # Student's, of a 95% interval with as many seeds
# A batch of the default size would be a twelfth of the photographs in a set of 1,500.
PARAMETERS = {"default": ["train.batch_size=16"], "photographs": overrides("photographs")}


def copy_pictures(source: Path, prefix: str = "") -> str:
    """Copy the classes' folders, with `prefix` before each name; return the data set's name.

    Pictures are divided by the hashes of their names, so that another prefix gives another test
    part.
    """
    name = f"{source.name}{prefix}"
    for picture in filter(Path.is_file, source.rglob("*")):
        path = RAW / name / picture.relative_to(source).with_name(prefix + picture.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(picture, path)
    return name


def run_all(source: Path, splits: bool) -> Iterator[dict[str, Any]]:
    """Train and evaluate each seed with each set of parameters, in the current clone."""
    for seed in SEEDS:
        dataset = copy_pictures(source, f"split{seed}-" if splits else "")
        for name, changes in PARAMETERS.items():
            data = f"prepare.dataset={dataset}", "prepare.image_size=[64,64]"
            set_parameters(*changes, *data, f"seed={seed}")
            run = measure_run("dvc repro evaluate")
            test = json.loads(METRICS.read_text())["test"]
            smallest = pd.read_csv(CLASS_SCORES).sort_values("support").iloc[0]
            found = {"found": smallest["recall"] * smallest["support"], "of": smallest["support"]}
            yield {"parameters": name, "seconds": run.stages["train"]} | test | found


def tabulate(runs: pd.DataFrame) -> str:
    """Return a row for each set of parameters: means over its runs, and their 95% intervals.

    The recall of the smallest class is that of all its test images in all runs.
    """
    groups = runs.groupby("parameters", sort=False)
    means, half = groups.mean(), T * groups.sem()
    table = {
        "accuracy": means["accuracy"],
        "±": half["accuracy"],
        "macro F1": means["macro_f1"],
        "± ": half["macro_f1"],
        "recall of the smallest class": means["found"] / means["of"],
        "train (s)": means["seconds"],
    }
    formats = "", ".2%", ".2%", ".3f", ".3f", ".3f", ".0f"
    return str(pd.DataFrame(table).to_markdown(floatfmt=formats))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("dataset", type=Path, help="a folder of folders of pictures")
    parser.add_argument("--splits", action="store_true", help="another test part for each seed")
    arguments = parser.parse_args()
    source = arguments.dataset.resolve()
    with fresh_clone():
        runs = []
        for run in run_all(source, arguments.splits):
            runs.append(run)
            print(run, flush=True)
    print(tabulate(pd.DataFrame(runs)))
