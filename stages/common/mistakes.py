"""Which mistakes are shown: evaluate maps those that visualize draws, in the same order."""

from typing import Annotated

import pandas as pd
from pydantic import Field

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
