"""Labels that may be wrong: those that the model finds least likely."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from stages.common.errors import printable
from stages.evaluate.scores import tabulate

MOST = 1000  # more than anybody looks at


def contradict(
    probabilities: np.ndarray, labels: np.ndarray, parts: str | np.ndarray, files: Sequence[str]
) -> pd.DataFrame:
    """Return the images whose label is not the model's answer, one row each.

    `parts` names the part of all images, or of each; `files` their pictures, if they have any.
    `likelihood` is the probability of the label.
    """
    table = tabulate(probabilities, labels).assign(
        part=parts, likelihood=probabilities[np.arange(len(labels)), labels]
    )
    return add_files(table[table["actual"] != table["predicted"]], files)


def add_files(table: pd.DataFrame, files: Sequence[str]) -> pd.DataFrame:
    """Return `table` with a column `file` after its `index`: a row's picture, in printable text."""
    names = [printable(files[index]) if files else "" for index in table["index"]]
    named = table.copy()
    named.insert(table.columns.get_loc("index") + 1, "file", names)
    return named


def rank(contradictions: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return the most doubtful of all, the one with the least likely label first."""
    table = pd.concat(contradictions).sort_values("likelihood", kind="stable")
    return table.head(MOST)[["part", "index", "file", "actual", "predicted", "confidence"]]
