"""What the page shows first: the classes that are found least often, and the worst confusions."""

import pandas as pd

from stages.visualize.intervals import wilson


def rank_classes(scores: pd.DataFrame) -> pd.DataFrame:
    """Return `scores`, the lowest recall first, with `low` and `high`, its 95% interval's ends.

    Classes without an image come last.
    """
    found = (scores["recall"] * scores["support"]).fillna(0).round()
    ends = [wilson(int(k), n) for k, n in zip(found, scores["support"], strict=True)]
    low, high = zip(*ends, strict=True)
    return scores.assign(low=low, high=high).sort_values("recall", kind="stable")


def rank_confusions(predictions: pd.DataFrame, n: int) -> pd.Series:
    """Return how often the `n` most frequent pairs of an actual and a predicted class occur."""
    mistakes = predictions[predictions["actual"] != predictions["predicted"]]
    return mistakes.groupby(["actual", "predicted"]).size().nlargest(n)
