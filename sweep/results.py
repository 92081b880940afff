"""The results of trials: fetched from the Git remote, and in a table, also averaged over seeds."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd
from dvc.repo.experiments.refs import ExpRefInfo

from stages.common.paths import METRICS
from sweep.node import Trial, call

Metrics = dict[str, dict[str, float]]  # metrics.json: validation and test figures

FIGURES = ["validation.accuracy", "validation.loss", "test.accuracy", "test.loss"]
# Where one of these differs, the validation images do.
IMAGES = ["validation.images", "train.validation_split", "prepare.dataset"]


def fetch_metrics(commit: str, trials: Iterable[Trial]) -> dict[Trial, Metrics]:
    """Return the metrics of those trials that are published, all in one `git fetch`."""
    listed = call("git", "ls-remote", "origin", str(ExpRefInfo(commit, "*")))
    published = {name: id_ for id_, name in re.findall(r"(\w+)\t.+/(.+)", listed)}
    found = {trial: published[trial.name] for trial in trials if trial.name in published}
    if found:
        call("git", "fetch", "--quiet", "origin", *found.values())
    return {t: json.loads(call("git", "show", f"{id_}:{METRICS}")) for t, id_ in found.items()}


def over_seeds(runs: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Return one row per combination of the columns `by`, whose runs differ in their seeds.

    Of their validation and test accuracy it has the mean, the standard deviation (of a sample) and
    the worst, as `validation mean`, ..., `test worst`; `n` counts them.
    """
    columns = {
        f"{part} {name}": (f"{part}.accuracy", function)
        for part in ("validation", "test")
        for name, function in (("mean", "mean"), ("std", "std"), ("worst", "min"))
    }
    groups = runs.groupby(list(by) or (lambda _: 0), sort=False)
    return groups.agg(n=("test.accuracy", "size"), **columns).reset_index(drop=not by)


def table(results: Mapping[Trial, Metrics]) -> str:
    """Return trials and their results, the best first, and a table over seeds if they differ."""
    values = pd.DataFrame(dict(o.lstrip("+").split("=", 1) for o in t.overrides) for t in results)
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
