"""Which mistakes are shown: evaluate and visualize must agree on them, and on their order."""

import pandas as pd


def most_confident(predictions: pd.DataFrame, n: int) -> pd.DataFrame:
    """Return the first `n` mistakes among `predictions`, the most confident first.

    Equally confident ones stay in the order of the test set.
    """
    mistakes = predictions[predictions["actual"] != predictions["predicted"]]
    return mistakes.nlargest(n, "confidence")
