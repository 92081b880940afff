"""Train the defaults and each recipe with five seeds in a clone of HEAD, and print a table.

Nothing else should run meanwhile. Takes about twenty minutes on two cores.
"""

import json
from pathlib import Path

import pandas as pd

from benchmarks.measuring import fresh_clone, measure_run


def compare_recipes(runs: pd.DataFrame) -> str:
    """Return a row for each recipe: accuracy over the seeds, seconds of `fit`, and their ratio."""
    recipes = runs.groupby("recipe", sort=False)
    table = recipes["accuracy"].agg(mean="mean", std="std", worst="min")
    table["fit (s)"] = recipes["seconds"].median()
    table["vs. default"] = table["fit (s)"] / table["fit (s)"].iloc[0]
    return str(table.to_markdown(floatfmt=("", ".3%", ".3%", ".2%", ".0f", ".2f")))


if __name__ == "__main__":
    options: dict[str, list[str]] = {"default": []}
    options |= {path.name: path.read_text().split() for path in sorted(Path("recipes").iterdir())}
    runs = []
    with fresh_clone() as folder:
        for seed in range(1, 6):
            for name in options:
                measure_run(folder, "git", "reset", "--quiet", "--hard")
                run = measure_run(folder, "dvc", "exp", "run", *options[name], "-S", f"seed={seed}")
                test = json.loads((folder / "reports/metrics.json").read_text())["test"]
                runs.append({"recipe": name, "seed": seed, "seconds": sum(run.epochs)} | test)
                print(*runs[-1].values(), flush=True)
    print(compare_recipes(pd.DataFrame(runs)))
