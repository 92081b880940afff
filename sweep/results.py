"""The results of trials: fetched from the Git remote, and in a table, also averaged over seeds."""

import re
from collections.abc import Iterable, Mapping

import pandas as pd

from stages.common.paths import METRICS
from sweep.node import Trial
from tools.commands import call
from tools.dvc_internals import experiment_ref
from tools.results import Results, over_seeds, parse, warn_of_validation
from tools.revisions import read_texts

FIGURES = ["validation.accuracy", "validation.loss", "test.accuracy", "test.loss"]


def fetch(commit: str, trials: Iterable[Trial]) -> dict[Trial, Results]:
    """Return the results of those trials that are published, all in one `git fetch`."""
    listed = call("git", "ls-remote", "origin", experiment_ref(commit, "*"))
    published = {name: id_ for id_, name in re.findall(r"(\w+)\t.+/(.+)", listed)}
    found = {trial: published[trial.name] for trial in trials if trial.name in published}
    if found:
        call("git", "fetch", "--quiet", "origin", *found.values())
    return {
        trial: parse(trial.name, *read_texts(id_, METRICS, "dvc.lock"))
        for trial, id_ in found.items()
    }


def table(results: Mapping[Trial, Results]) -> str:
    """Return trials and their results, the best first, and a table over seeds if they differ."""
    values = pd.DataFrame(dict(o.lstrip("+").split("=", 1) for o in t.overrides) for t in results)
    runs = values.join(pd.DataFrame([run.metrics for run in results.values()]))
    runs.insert(0, "experiment", [trial.name for trial in results])
    best_first = runs.sort_values("validation.accuracy", ascending=False)
    tables = [best_first[["experiment", *values, *FIGURES]]]
    if "seed" in values and values["seed"].nunique() > 1:
        seeds = over_seeds(runs, [key for key in values if key != "seed"])
        tables.append(seeds.sort_values("validation mean", ascending=False))
    parts = [part.to_string(index=False, float_format="{:.5f}".format) for part in tables]
    if warning := warn_of_validation(results.values()):
        parts.append(warning)
    return "\n\n".join(parts)
