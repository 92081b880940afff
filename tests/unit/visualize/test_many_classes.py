"""The confusion matrix of many classes: drawn in seconds, with no more text than one can read."""

import time
from functools import cache

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from stages.visualize import figures


@cache
def draw(classes: int) -> tuple[Figure, float]:
    """Draw 10,000 predictions, a tenth of them wrong; return the CPU's seconds as well."""
    random = np.random.default_rng(classes)
    actual = random.integers(classes, size=10_000)
    wrong = random.random(10_000) < 0.1
    table = pd.DataFrame(
        {"actual": actual, "predicted": np.where(wrong, random.integers(classes), actual)}
    )
    figures.use_style()
    started = time.process_time()
    figure = figures.draw_confusions(table, [f"class {i}" for i in range(classes)])
    figures.encode(figure, dpi=100)
    return figure, time.process_time() - started


@pytest.mark.slow
def test_three_hundred_classes_take_at_most_three_seconds_more_than_ten() -> None:
    draw(2)  # loads fonts
    assert draw(300)[1] < draw(10)[1] + 3


@pytest.mark.parametrize(("classes", "numbers", "names"), [(70, True, 70), (300, False, 100)])
def test_there_is_no_number_or_name_that_nobody_can_read(
    classes: int, numbers: bool, names: int
) -> None:
    (axis,) = draw(classes)[0].axes
    assert bool(axis.texts) == numbers
    assert all(float(text.get_fontsize()) >= 4 for text in axis.texts), "points"
    for ticks in axis.get_xticklabels(), axis.get_yticklabels():
        assert len(ticks) == names
        assert {ticks[1].get_text()} == {f"class {classes // names}"}
        assert all(float(tick.get_fontsize()) > 6 for tick in ticks), "points"
