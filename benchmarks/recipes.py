"""Train the defaults and each recipe with five seeds in a clone of HEAD, and print a table.

Nothing else should run meanwhile. Takes about twenty minutes on two cores.
"""

import json
from itertools import product
from pathlib import Path

import pandas as pd

from benchmarks.measuring import fresh_clone, measure_run
from stages.common.paths import METRICS
from sweep.results import over_seeds


def compare_recipes(runs: pd.DataFrame) -> str:
    """Return a row for each recipe: its accuracy over the seeds, and the median time of `fit`."""
    table = over_seeds(runs, ["recipe"]).set_index("recipe")
    table["fit (s)"] = runs.groupby("recipe")["seconds"].median()
    table["vs. default"] = table["fit (s)"] / table["fit (s)"]["default"]
    accuracy = (".3%", ".3%", ".2%")
    return str(table.to_markdown(floatfmt=("", ".0f", *accuracy, *accuracy, ".0f", ".2f")))


if __name__ == "__main__":
    recipes = {path.name: path.read_text() for path in sorted(Path("recipes").iterdir())}
    runs = []
    with fresh_clone() as folder:
        for seed, (name, options) in product(range(1, 6), [("default", ""), *recipes.items()]):
            measure_run(folder, "git reset --quiet --hard")
            run = measure_run(folder, f"dvc exp run -S seed={seed} {options}")
            metrics = json.loads((folder / METRICS).read_text())
            runs.append({"recipe": name, "seconds": sum(run.epochs)} | metrics)
            print(seed, runs[-1], flush=True)
    print(compare_recipes(pd.json_normalize(runs)))
