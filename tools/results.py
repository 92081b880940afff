"""What git keeps of a run, for comparing runs: metrics.json and dvc.lock."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from ruamel.yaml import YAML

from stages.common.errors import InputError
from stages.common.paths import X_TEST, X_TRAIN, Y_TEST, Y_TRAIN


class Results(NamedTuple):
    name: str  # of the revision or the experiment
    metrics: dict[str, Any]  # all of metrics.json by their names in DVC, such as test.accuracy
    outputs: dict[str, str]  # the md5 of each, by its path
    mistakes: Mapping[int, int] = {}  # what test images were mistaken for, where that was read

    @property
    def test_set(self) -> dict[str, Any]:
        """What decides the test images; two runs with equal values were measured on the same."""
        return {str(path): self.outputs.get(str(path)) for path in (X_TEST, Y_TEST)}

    @property
    def validation_set(self) -> dict[str, Any]:
        """What decides the validation images: so many, the last of these training arrays."""
        arrays = {str(path): self.outputs.get(str(path)) for path in (X_TRAIN, Y_TRAIN)}
        return {"validation.images": self.metrics.get("validation.images")} | arrays


def parse(name: str, metrics: str, lock: str) -> Results:
    """Return the results that are in the texts of metrics.json and dvc.lock, without mistakes.

    Raises KeyError, TypeError, ValueError or YAMLError if they are not such texts, and InputError
    if an earlier stage has run since evaluate: then they are not the results of what the lock has.
    """
    (flat,) = pd.json_normalize(json.loads(metrics)).to_dict("records")
    document = YAML(typ="safe").load(lock)
    if not isinstance(document, dict) or "stages" not in document:
        raise ValueError("dvc.lock has no stages")
    stages = document["stages"]
    outputs = {out["path"]: out["md5"] for stage in stages.values() for out in stage["outs"]}
    for read in stages["evaluate"]["deps"]:
        if (path := read["path"]) in outputs and outputs[path] != read["md5"]:
            raise InputError(f"{name}: evaluate has not run on this {path}; run dvc repro")
    return Results(name, {str(key): value for key, value in flat.items()}, outputs)


def warn_of_validation(runs: Iterable[Results]) -> str:
    """Return a warning that names how the validation images of `runs` differ; else an empty one."""
    values = pd.DataFrame([run.validation_set for run in runs])
    differ = [str(name) for name in values if values[name].nunique(dropna=False) > 1]
    if not differ:
        return ""
    return (
        "Warning: the validation accuracies are of different images and can't be compared; "
        f"these differ: {', '.join(differ)}"
    )


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
    one_group = np.zeros(len(runs))  # pandas does not group by no column
    groups = runs.groupby(list(by) if by else one_group, sort=False)
    return groups.agg(n=("test.accuracy", "size"), **columns).reset_index(drop=not by)
