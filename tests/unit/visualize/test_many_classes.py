"""Many classes and many mistakes: drawn in seconds, with no more than one can read."""

import time
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from stages.visualize import figures
from tests import builders


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


def test_of_many_classes_and_mistakes_the_page_shows_the_worst_and_folds_the_rest(
    tmp_path: Path,
) -> None:
    # Each class has an image that is found and 50 that are not; of class 7, 100 more are not.
    actual = [*range(40)] + [*range(40)] * 50 + [7] * 100
    predicted = [*range(40)] + [i % 40 for i in range(1, 41)] * 50 + [9] * 100
    table = builders.predictions(actual, predicted, [0.9] * len(actual))
    builders.write_results(tmp_path, [f"class {i}" for i in range(40)], table)
    page = builders.draw(tmp_path)
    shown, matrix, worst, mistakes, _, _ = page.split("<details")
    shown = shown.partition("<tbody>")[2]
    assert shown.count('scope="row"') == 10, "confusions"
    assert shown.index("class 7</th><td>class 9</td><td>100</td>") < shown.index("<td>50</td>")
    assert 'alt="Confusion matrix' not in shown
    assert "Confusion matrix of all 40 classes" in matrix
    assert 'alt="Confusion matrix' in matrix
    assert "The 12 classes with the lowest recall" in matrix
    table_of_classes = matrix.partition("<caption>")[2]
    assert table_of_classes.index("class 7</th>") < table_of_classes.index("class 0</th>")
    assert table_of_classes.count('scope="row"') == 12
    assert "The other 28 classes" in worst
    assert worst.count('scope="row"') == 28
    assert worst.count("Where the network looked") == 24
    assert "The next 1,000 mistakes; all are in reports/mistakes.csv" in mistakes
    assert mistakes.partition("</table>")[0].count('scope="row"') == 1000
    assert len(page.encode()) < 2_000_000
