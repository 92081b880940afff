"""What the page shows first."""

import math

import pandas as pd

from stages.visualize.rankings import rank_classes, rank_confusions
from tests.builders import predictions


def test_the_class_with_the_lowest_recall_is_first_and_one_without_an_image_last() -> None:
    scores = pd.DataFrame({"recall": [0.9, math.nan, 0.5, 0.9], "support": [10, 0, 2, 10]})
    ranked = rank_classes(scores)
    assert ranked.index.tolist() == [2, 0, 3, 1]
    assert ranked["low"].round(3).tolist() == [0.095, 0.596, 0.596, 0]
    assert ranked["high"].round(3).tolist() == [0.905, 0.982, 0.982, 1]


def test_the_most_frequent_confusions_are_first() -> None:
    table = predictions([0, 1, 1, 2, 2, 2, 0], [0, 2, 2, 1, 1, 1, 1], [0.5] * 7)
    assert rank_confusions(table, 2).to_dict() == {(2, 1): 3, (1, 2): 2}
    assert rank_confusions(table[:1], 2).empty
