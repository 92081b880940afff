"""Figures, checked for what they show."""

from collections.abc import Iterator

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from stages.visualize import figures
from tests.builders import predictions


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """Leave no figure open: Matplotlib warns of the twenty-first, in whichever test that is."""
    yield
    plt.close("all")


def ticks_within(axis: Axes) -> list[float]:
    low, high = axis.get_xlim()
    return [tick for tick in axis.get_xticks() if low <= tick <= high]


def history(epochs: int) -> pd.DataFrame:
    values = np.linspace(0.9, 0.1, epochs)
    return pd.DataFrame(
        {
            "epoch": range(1, epochs + 1),
            "loss": values,
            "accuracy": 1 - values,
            "val_loss": values / 2,
            "val_accuracy": 1 - values / 2,
        }
    )


@pytest.mark.parametrize("epochs", [1, 2, 3, 10, 100])
@pytest.mark.parametrize("metric", ["loss", "accuracy"])
def test_history_shows_both_curves_of_a_metric_over_whole_epochs(epochs: int, metric: str) -> None:
    table = history(epochs)
    (axis,) = figures.draw_curves(table, metric).axes
    assert axis.get_title() == metric.capitalize()
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("Epoch", metric.capitalize())
    training, validation = axis.get_lines()[:2]
    np.testing.assert_array_equal(np.asarray(training.get_xdata()), table["epoch"])
    np.testing.assert_allclose(np.asarray(training.get_ydata()), table[metric])
    np.testing.assert_allclose(np.asarray(validation.get_ydata()), table[f"val_{metric}"])
    assert axis.get_legend_handles_labels()[1] == ["training", "validation"]
    assert all(float(tick).is_integer() for tick in ticks_within(axis))


def test_confusions_are_counted_actual_by_predicted() -> None:
    table = predictions([0, 0, 2, 2], [0, 2, 2, 2], [0.5] * 4)
    (axis,) = figures.draw_confusions(table, ["0", "1", "2", "3"]).axes
    counts = {text.get_position(): text.get_text() for text in axis.texts}
    assert counts == {(0, 0): "1", (2, 0): "1", (2, 2): "2"}, "by x and y"


def test_the_confusion_matrix_is_square_and_shows_the_counts_by_name() -> None:
    table = predictions([0] * 6 + [1] * 1234, [0] * 5 + [1] * 1235, [0.5] * 1240)
    (axis,) = figures.draw_confusions(table, ["cat", "dog"]).axes
    assert [text.get_text() for text in axis.texts] == ["5", "1", "1234"]
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("Predicted", "Actual")
    for ticks in axis.get_xticklabels(), axis.get_yticklabels():
        assert [tick.get_text() for tick in ticks] == ["cat", "dog"]
    assert axis.get_aspect() == 1
    (cells,) = axis.images
    colours = np.asarray(cells.get_array()).ravel()
    # Rounded, since the last bits of a logarithm depend on the CPU, and a colour on the rest.
    np.testing.assert_array_equal(colours, np.round(np.log([5 + 1, 1 + 1, 1, 1234 + 1]), 6))


def test_names_that_the_font_cannot_write_give_way_to_numbers() -> None:
    assert figures.label(["é", "ж"]) == ["é", "ж"]
    assert figures.label(["お", "き"]) == ["0", "1"]
    assert figures.label(["a" * 16, "b" * 10 + "c" * 7]) == ["a" * 16, "b" * 8 + "…" + "c" * 7]


@pytest.mark.parametrize(("n", "grid"), [(32, (4, 8)), (1, (1, 2)), (2, (1, 2)), (7, (2, 4))])
def test_every_kernel_has_its_place_in_the_grid(n: int, grid: tuple[int, int]) -> None:
    kernels = np.random.default_rng(0).normal(size=(3, 5, 1, n)).astype(np.float32)
    (axis,) = figures.draw_kernels(kernels).axes
    assert len(axis.images) == n
    for i, image in enumerate(axis.images):
        row, column = divmod(i, grid[1])
        left, right, bottom, top = image.get_extent()
        assert (right - left, bottom - top) == pytest.approx((5, 3)), "width and height"
        assert (left, top) == pytest.approx((column * 5.5, row * 3.3))
    assert axis.get_xlim() == pytest.approx((0, grid[1] * 5.5))
    assert axis.get_ylim() == pytest.approx((grid[0] * 3.3, 0))


def tiles(kernels: np.ndarray) -> list[np.ndarray]:
    (axis,) = figures.draw_kernels(kernels).axes
    return [np.asarray(image.get_array()) for image in axis.images]


def test_kernels_of_colours_are_drawn_in_colour() -> None:
    kernels = np.zeros((3, 3, 3, 2), np.float32)
    kernels[0, 1, :, 1] = 2, 0, -1  # red, and less blue than grey
    pixels = tiles(kernels)[1]
    np.testing.assert_array_equal(pixels[0, 1], [1, 0.5, 0.25])
    np.testing.assert_array_equal(pixels[2, 2], [0.5, 0.5, 0.5])


def test_kernels_share_a_scale_from_red_through_white_at_zero_to_blue() -> None:
    kernels = np.array([-4, 0, 4, 2], np.float32).reshape(2, 1, 1, 2)  # [-4, 4] and [0, 2]
    (minus, plus), (zero, half) = (tile[:, 0, :3] for tile in tiles(kernels))
    assert minus[0] > minus[2], "red more than blue"
    assert plus[0] < plus[2]
    assert zero.min() > 0.9
    # As strong as each other: light mode and dark mode show them as they are.
    lightness = np.array([0.2126, 0.7152, 0.0722])
    assert abs(minus @ lightness - plus @ lightness) < 0.1
    assert plus @ lightness < half @ lightness < zero @ lightness


def test_a_network_without_a_convolution_has_an_empty_figure() -> None:
    (axis,) = figures.draw_kernels(np.zeros((1, 1, 1, 0), np.float32)).axes
    assert not axis.images


def test_a_users_matplotlibrc_changes_no_picture() -> None:
    def draw() -> bytes:
        figures.use_style()
        return figures.encode(figures.draw_curves(history(2), "loss"), dpi=50)

    plain = draw()
    with matplotlib.rc_context({"savefig.bbox": "tight", "lines.linestyle": "--"}):
        assert draw() == plain


def test_bars_of_calibration_are_accuracies_beside_the_diagonal_and_counts() -> None:
    bins = pd.DataFrame({"count": [0, 6], "confidence": [np.nan, 0.9], "accuracy": [np.nan, 0.5]})
    (reliability,) = figures.draw_calibration(bins).axes
    (histogram,) = figures.draw_confidence(bins).axes
    for axis, heights in (reliability, [0, 0.5]), (histogram, [0, 6]):
        bars = [patch for patch in axis.patches if isinstance(patch, Rectangle)]
        assert [(bar.get_x(), bar.get_width(), bar.get_height()) for bar in bars] == [
            (0, 0.5, heights[0]),
            (0.5, 0.5, heights[1]),
        ]
        assert axis.get_xlabel() == "Confidence"
    (diagonal,) = reliability.get_lines()
    assert np.asarray(diagonal.get_xydata()).tolist() == [[0, 0], [1, 1]]
    assert (reliability.get_ylabel(), histogram.get_ylabel()) == ("Accuracy", "Images")


def test_accuracy_is_shown_by_the_share_that_is_left_to_a_person() -> None:
    trust = pd.DataFrame({"answered": [0.25, 0.75, 1.0], "accuracy": [1.0, 0.9, 0.8]})
    (axis,) = figures.draw_trust(trust).axes
    (curve,) = axis.get_lines()
    points = np.asarray(curve.get_xydata()).tolist()
    assert points == [[0.25, 0.9], [0, 0.8]], "a person who answers more needs no network"
    assert axis.get_xlabel() == "Left to a person"
