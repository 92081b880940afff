"""The results of a sweep's trials, in a table."""

from collections.abc import Mapping

import pandas as pd

from sweep.node import Trial
from sweep.origin import Metrics


def table(results: Mapping[Trial, Metrics]) -> str:
    """Return the values and the test metrics of trials, the best first."""
    rows = [
        {
            "experiment": trial.name,
            **dict(override.split("=", 1) for override in trial.overrides),
            "accuracy": measured["accuracy"],
            "loss": measured["loss"],
        }
        for trial, measured in results.items()
    ]
    best_first = pd.DataFrame(rows).sort_values("accuracy", ascending=False)
    return str(best_first.to_string(index=False, float_format="{:.4f}".format))
