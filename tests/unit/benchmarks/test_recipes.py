"""The recipes are whole sets of parameters, those for MNIST of no larger network."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from dvc.utils.hydra import apply_overrides
from dvc.utils.serialize import load_yaml

from benchmarks import recipes
from benchmarks.recipes import overrides
from stages.common import params
from stages.train import model
from stages.train.schema import ModelParams, TrainParams
from tests.builders import ROOT, SHAPE, recipe, write_params

NAMES = sorted(path.name for path in (ROOT / "recipes").iterdir())


def keys(schema: type[params.Section], prefix: str) -> set[str]:
    """Return the dotted keys of all parameters of a section."""
    found = set()
    for name, field in schema.model_fields.items():
        inner: Any = field.annotation
        section = isinstance(inner, type) and issubclass(inner, params.Section)
        found |= keys(inner, f"{prefix}.{name}") if section else {f"{prefix}.{name}"}
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_sets_the_seed_and_every_parameter_of_network_and_training(name: str) -> None:
    expected = {"seed"} | keys(ModelParams, "model") | keys(TrainParams, "train")
    assert set(recipe(name)) == expected
    assert len(overrides(name)) == len(expected), "none twice"


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_opens_with_what_it_costs_and_gives_and_how_to_run_it(name: str) -> None:
    head = (ROOT / "recipes" / name).read_text().partition("\n\n")[0].splitlines()
    assert all(line.startswith("#") for line in head)
    assert {"# Cost: ", "# Score:"} <= {line[:8] for line in head}
    assert head[-1] == f"#     make recipe NAME={name}"


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_gives_the_same_parameters_whatever_was_set_before(
    name: str, tmp_path: Path
) -> None:
    write_params(tmp_path)
    path = tmp_path / "params.yaml"
    apply_overrides(path, overrides(name))
    alone = load_yaml(path)
    for other in NAMES:
        apply_overrides(path, overrides(other))
    apply_overrides(path, overrides(name))
    assert load_yaml(path) == alone
    assert alone["prepare"]["dataset"] == "mnist", "the data stay one's own"


@pytest.mark.parametrize("name", recipes.FOR_MNIST)
def test_a_recipe_for_mnist_trains_a_network_that_is_no_larger_than_the_default(
    name: str, tmp_path: Path
) -> None:
    write_params(tmp_path)
    path = tmp_path / "params.yaml"
    apply_overrides(path, overrides(name))
    document = load_yaml(path)
    params.check("train", document["train"], TrainParams)
    network = params.check("model", document["model"], ModelParams)
    assert model.build(network, SHAPE, 10).count_params() <= 70_378


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
