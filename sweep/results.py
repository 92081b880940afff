"""The results of many runs: a table of trials, and what is left of it when seeds are averaged."""

from collections.abc import Mapping, Sequence

import pandas as pd

from sweep.node import Trial
from sweep.origin import Metrics

FIGURES = ["validation.accuracy", "validation.loss", "test.accuracy", "test.loss"]
# Where one of these differs, the validation images do.
IMAGES = ["validation.images", "train.validation_split", "prepare.dataset"]


def over_seeds(runs: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Return one row per combination of the columns `by`, whose runs differ in their seeds.

    Of their validation and test accuracy it has the mean, the standard deviation (of a sample) and
    the worst, as `validation mean`, ..., `test worst`; `n` counts them.
    """
    groups = runs.groupby(list(by) or (lambda _: 0), sort=False)
    columns = {
        f"{part} {name}": (f"{part}.accuracy", function)
        for part in ("validation", "test")
        for name, function in (("mean", "mean"), ("std", "std"), ("worst", "min"))
    }
    table = groups.agg(n=("test.accuracy", "size"), **columns)
    return table.reset_index(drop=not by)


def table(results: Mapping[Trial, Metrics]) -> str:
    """Return the values and results of trials, the best validation accuracy first.

    If they differ in `seed`, a second table has a row for each combination of the other values.
    """
    pairs = [[override.lstrip("+").split("=", 1) for override in t.overrides] for t in results]
    values = pd.DataFrame(map(dict, pairs))
    runs = values.join(pd.json_normalize(list(results.values())))
    runs.insert(0, "experiment", [trial.name for trial in results])
    best_first = runs.sort_values("validation.accuracy", ascending=False)
    tables = [best_first[["experiment", *values, *FIGURES]]]
    if "seed" in values and values["seed"].nunique() > 1:
        seeds = over_seeds(runs, [key for key in values if key != "seed"])
        tables.append(seeds.sort_values("validation mean", ascending=False))
    parts = [part.to_string(index=False, float_format="{:.5f}".format) for part in tables]
    if any(runs[key].nunique() > 1 for key in IMAGES if key in runs):
        parts.append("Warning: not comparable, because they validated on different images")
    return "\n\n".join(parts)
