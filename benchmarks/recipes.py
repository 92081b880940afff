"""Train the recipes for MNIST with ten seeds, and the defaults with five, and print a table.

All are also trained with all of the CPU's instructions, with two seeds, and fast in bfloat16, with
ten. They run in a clone of HEAD, for three quarters of an hour on two cores. Nothing else should
run meanwhile.
"""

import json
from pathlib import Path

import pandas as pd

from benchmarks.measuring import measure_run
from stages.common.paths import METRICS, PARAMS
from tools.clone import fresh_clone
from tools.dvc_internals import apply_overrides
from tools.results import over_seeds

FOR_MNIST = "accurate", "fast"
NATIVE = ["train.instructions=native"]
BFLOAT16 = [*NATIVE, "train.precision=mixed_bfloat16"]


def compare_recipes(runs: pd.DataFrame) -> str:
    """Return a row for each recipe: accuracy and calibration over the seeds, and time of `fit`."""
    table = over_seeds(runs, ["recipe"]).set_index("recipe")
    table["test ECE"] = runs.groupby("recipe")["test.ece"].mean()
    table["fit (s)"] = runs.groupby("recipe")["seconds"].median()
    table["vs. default"] = table["fit (s)"] / table["fit (s)"]["default"]
    accuracy = (".3%", ".3%", ".2%")
    return str(table.to_markdown(floatfmt=("", ".0f", *accuracy, *accuracy, ".4f", ".1f", ".3f")))


def overrides(name: str) -> list[str]:
    """Return what a recipe gives `dvc exp run` after each -S."""
    lines = Path("recipes", name).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def set_parameters(*changes: str) -> None:
    """Set the parameters of the current clone to those of HEAD, and then `changes`."""
    measure_run(f"git restore {PARAMS}")
    apply_overrides(PARAMS, list(changes))


if __name__ == "__main__":
    variants = {"default": (5, []), "default, native": (2, NATIVE)}  # numbers of seeds, parameters
    for name in FOR_MNIST:
        recipe = overrides(name)
        variants |= {name: (10, recipe), f"{name}, native": (2, recipe + NATIVE)}
    variants["fast, bfloat16"] = (10, overrides("fast") + BFLOAT16)
    trials = [(seed, name) for name, (n, _) in variants.items() for seed in range(1, n + 1)]
    runs = []
    with fresh_clone():
        for seed, name in sorted(trials):
            set_parameters(*variants[name][1], f"seed={seed}")
            run = measure_run("dvc repro evaluate")
            metrics = json.loads(METRICS.read_text())
            runs.append({"recipe": name, "seconds": sum(run.epochs)} | metrics)
            print(seed, runs[-1], flush=True)
    print(compare_recipes(pd.json_normalize(runs)))
