"""The recipes are overrides that `dvc exp run` takes, of the same network."""

from pathlib import Path

import pandas as pd
import pytest

from benchmarks import recipes
from stages.backend import archive
from tests.builders import ROOT
from tests.project import Project

RECIPES = sorted((ROOT / "recipes").iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.name)
def test_a_recipe_trains_the_same_network(recipe: Path, reproduced: Project) -> None:
    overrides = [*recipe.read_text().split(), "-S", "train.batch_size=32"]  # of a small data set
    reproduced.run("dvc", "exp", "run", *overrides)
    model = archive.load(reproduced.root / "models/model.keras")
    assert model.count_params() == 70_378
    # Everything that is overridden reached params.yaml.
    text = (reproduced.root / "params.yaml").read_text()
    for key, value in dict(override.split("=") for override in overrides[1::2]).items():
        assert f"{key.split('.')[-1]}: {value}" in text


def test_the_table_has_mean_spread_worst_and_time_against_the_default() -> None:
    runs = pd.DataFrame(
        [
            ("fast", 0.96, 0.97, 0.02, 20.0),
            ("default", 0.97, 0.98, 0.001, 100.0),
            ("fast", 0.98, 0.99, 0.01, 22.0),
            ("default", 0.99, 0.99, 0.002, 110.0),
        ],
        columns=["recipe", "validation.accuracy", "test.accuracy", "test.ece", "seconds"],
    )
    rows = [line.replace(" ", "") for line in recipes.compare_recipes(runs).splitlines()]
    validation, test = (f"{part}mean|{part}std|{part}worst" for part in ("validation", "test"))
    assert rows[0] == f"|recipe|n|{validation}|{test}|testECE|fit(s)|vs.default|"
    assert rows[2:] == [
        "|fast|2|97.000%|1.414%|96.00%|98.000%|1.414%|97.00%|0.0150|21.0|0.200|",
        "|default|2|98.000%|1.414%|97.00%|98.500%|0.707%|98.00%|0.0015|105.0|1.000|",
    ]
