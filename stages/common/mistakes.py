"""Which mistakes are shown, in one order for evaluate and visualize, and of which pictures."""

from collections.abc import Sequence
from typing import Annotated

import pandas as pd
from pydantic import Field

from stages.common.errors import printable
from stages.common.params import Section


class ShownParams(Section, extra="ignore"):
    """What both stages need to know of the section `visualize`."""

    mistakes: Annotated[int, Field(ge=1, le=100)]


def most_confident(predictions: pd.DataFrame, n: int) -> pd.DataFrame:
    """Return the first `n` mistakes among `predictions`, the most confident first.

    Equally confident ones stay in the order of the test set.
    """
    mistakes = predictions[predictions["actual"] != predictions["predicted"]]
    return mistakes.nlargest(n, "confidence")


def add_files(table: pd.DataFrame, files: Sequence[str]) -> pd.DataFrame:
    """Return `table` with a column `file` after its `index`: a row's picture, in printable text."""
    names = [printable(files[index]) if files else "" for index in table["index"]]
    named = table.copy()
    named.insert(table.columns.get_loc("index") + 1, "file", names)
    return named
