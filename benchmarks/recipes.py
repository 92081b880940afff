"""Train the defaults and each recipe with five seeds in a clone of HEAD, and print a table.

Nothing else should run meanwhile. Takes about twenty minutes on two cores.
"""

import json
import subprocess
from pathlib import Path

import pandas as pd

from benchmarks.pipeline import clone, measure

RECIPES = Path("recipes")
SEEDS = range(1, 6)


def overrides(recipe: Path) -> list[str]:
    """Return the arguments that a recipe's file holds, for `dvc exp run`."""
    return recipe.read_text().split()


def tabulate(runs: pd.DataFrame) -> str:
    """Return a row a recipe: accuracy over the seeds in %, time of `fit` against the first's."""
    recipes = runs.groupby("recipe", sort=False)
    accuracy = recipes["accuracy"]
    table = pd.DataFrame({"mean": accuracy.mean(), "std": accuracy.std(), "worst": accuracy.min()})
    seconds = recipes["seconds"].median()
    lines = [
        f"| {recipe} | {row['mean']:.3%} | {row['std']:.3%} | {row['worst']:.2%} "
        f"| {seconds[recipe]:.0f} s | {seconds[recipe] / seconds.iloc[0]:.2f} |"
        for recipe, row in table.iterrows()
    ]
    header = "| recipe | mean | std | worst | fit | of the default's |\n|---|---|---|---|---|---|"
    return "\n".join([header, *lines])


def main() -> None:
    recipes: dict[str, list[str]] = {"default": []} | {
        path.name: overrides(path) for path in sorted(RECIPES.iterdir())
    }
    rows = []
    with clone() as folder:
        for seed in SEEDS:
            for name, options in recipes.items():
                subprocess.run(["git", "reset", "--quiet", "--hard"], cwd=folder, check=True)  # noqa: S607
                run = measure(folder, "dvc", "exp", "run", *options, "-S", f"seed={seed}")
                test = json.loads((folder / "reports/metrics.json").read_text())["test"]
                rows.append((name, seed, test["accuracy"], test["loss"], sum(run.epochs)))
                print(*rows[-1], flush=True)
    columns = ["recipe", "seed", "accuracy", "loss", "seconds"]
    print(tabulate(pd.DataFrame(rows, columns=columns)))


if __name__ == "__main__":
    main()
