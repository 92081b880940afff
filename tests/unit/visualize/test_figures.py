"""Figures, checked for what they show."""

from collections.abc import Iterator

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
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
def test_history_shows_both_curves_of_both_metrics_over_whole_epochs(epochs: int) -> None:
    table = history(epochs)
    figure = figures.draw_history(table)
    for axis, metric in zip(figure.axes, ("loss", "accuracy"), strict=True):
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
    assert counts == {(0.5, 0.5): "1", (2.5, 0.5): "1", (2.5, 2.5): "2"}, "by x and y"


def test_the_confusion_matrix_is_square_and_shows_the_counts_by_name() -> None:
    table = predictions([0] * 6 + [1] * 1234, [0] * 5 + [1] * 1235, [0.5] * 1240)
    (axis,) = figures.draw_confusions(table, ["cat", "dog"]).axes
    assert [text.get_text() for text in axis.texts] == ["5", "1", "1234"]
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("Predicted", "Actual")
    for ticks in axis.get_xticklabels(), axis.get_yticklabels():
        assert [tick.get_text() for tick in ticks] == ["cat", "dog"]
    assert axis.get_aspect() == 1
    (cells,) = axis.collections
    colours = np.asarray(cells.get_array()).ravel()
    # Rounded, since the last bits of a logarithm depend on the CPU, and a colour on the rest.
    np.testing.assert_array_equal(colours, np.round(np.log([5 + 1, 1 + 1, 1, 1234 + 1]), 6))


def test_names_that_the_font_cannot_write_give_way_to_numbers() -> None:
    assert figures.label(["é", "ж"]) == ["é", "ж"]
    assert figures.label(["お", "き"]) == ["0", "1"]
    assert figures.label(["a" * 16, "b" * 10 + "c" * 7]) == ["a" * 16, "b" * 8 + "…" + "c" * 7]


def titles(figure: Figure) -> list[str]:
    return [axis.get_title() for axis in figure.axes if axis.get_title()]


@pytest.mark.parametrize(("n", "grid"), [(32, (4, 8)), (1, (1, 2)), (2, (1, 2)), (7, (2, 4))])
def test_every_kernel_has_its_place_in_the_grid(n: int, grid: tuple[int, int]) -> None:
    kernels = np.random.default_rng(0).normal(size=(3, 3, 1, n)).astype(np.float32)
    figure = figures.draw_kernels(kernels)
    assert titles(figure) == [f"Kernel {i}" for i in range(n)]
    layout = figure.axes[0].get_gridspec()
    assert layout is not None
    assert (layout.nrows, layout.ncols) == grid
    for i in range(n):
        shown = figure.axes[i].images[0]
        assert shown.get_clim() == (0, 1)
        values = (np.asarray(shown.get_array()) - 0.5) * 2 * np.abs(kernels).max()
        np.testing.assert_allclose(values, kernels[..., 0, i], atol=1e-6)


def test_what_has_colours_is_drawn_in_colour() -> None:
    images = np.random.default_rng(0).random((2, 5, 4, 3), np.float32)
    drawn = figures.draw_mistakes(images, mistakes(2), ["4", "9"])
    np.testing.assert_array_equal(drawn.axes[1].images[0].get_array(), images[1])
    kernels = np.zeros((3, 3, 3, 2), np.float32)
    kernels[0, 1, :, 1] = 2, 0, -1  # red, and less blue than grey
    pixels = np.asarray(figures.draw_kernels(kernels).axes[1].images[0].get_array())
    np.testing.assert_array_equal(pixels[0, 1], [1, 0.5, 0.25])
    np.testing.assert_array_equal(pixels[2, 2], [0.5, 0.5, 0.5])


def test_kernels_share_a_scale_from_red_through_white_at_zero_to_blue() -> None:
    kernels = np.array([-1, 0.5, 4, 2], np.float32).reshape(2, 1, 1, 2)  # [-1, 4] and [0.5, 2]
    axes = figures.draw_kernels(kernels).axes
    for axis, values in zip(axes, ([0.375, 1], [0.5625, 0.75]), strict=True):
        (image,) = axis.images
        np.testing.assert_array_equal(np.asarray(image.get_array()).ravel(), values)
        minus, zero, plus = image.to_rgba(np.array([0.25, 0.5, 0.75]))
        assert minus[0] > minus[2], "red more than blue"
        assert plus[0] < plus[2]
        assert zero.min() > 0.9


def test_a_users_matplotlibrc_changes_no_picture() -> None:
    def draw() -> bytes:
        figures.use_style()
        return figures.encode(figures.draw_history(history(2)), dpi=50)

    plain = draw()
    with matplotlib.rc_context({"savefig.bbox": "tight", "lines.linestyle": "--"}):
        assert draw() == plain


def mistakes(n: int) -> pd.DataFrame:
    return predictions([1] * n, [0] * n, [0.987] * n)


@pytest.mark.parametrize(
    ("names", "grid", "title"),
    [(["4", "9"], (2, 6), "9 → 4\n98.7%"), (["Bag", "Boot"], (2, 4), "Boot\n→ Bag\n98.7%")],
)
def test_a_mistake_is_shown_as_it_is_under_both_classes_and_its_confidence(
    names: list[str], grid: tuple[int, int], title: str
) -> None:
    images = np.random.default_rng(0).random((7, 5, 4, 1), np.float32)
    figure = figures.draw_mistakes(images, mistakes(7), names)
    assert titles(figure) == [title] * 7
    layout = figure.axes[0].get_gridspec()
    assert layout is not None
    assert (layout.nrows, layout.ncols) == grid
    for axis, image in zip(figure.axes, images, strict=False):
        (drawn,) = axis.images
        np.testing.assert_array_equal(drawn.get_array(), image[..., 0])
        assert (drawn.get_clim(), drawn.get_cmap().name) == ((0, 1), "gray")


def test_a_model_without_mistakes_is_told_so() -> None:
    figure = figures.draw_mistakes(np.zeros((0, 5, 4, 1)), mistakes(0), ["4", "9"])
    assert [text.get_text() for text in figure.texts] == ["No mistakes"]


def test_bars_of_calibration_are_accuracies_and_counts_beside_the_diagonal() -> None:
    bins = pd.DataFrame({"count": [0, 6], "confidence": [np.nan, 0.9], "accuracy": [np.nan, 0.5]})
    figure = figures.draw_calibration(bins, 0.4)
    reliability, histogram = figure.axes
    assert "40.00%" in figure.get_suptitle()
    for axis, heights in (reliability, [0, 0.5]), (histogram, [0, 6]):
        bars = [patch for patch in axis.patches if isinstance(patch, Rectangle)]
        assert [(bar.get_x(), bar.get_width(), bar.get_height()) for bar in bars] == [
            (0, 0.5, heights[0]),
            (0.5, 0.5, heights[1]),
        ]
    (diagonal,) = reliability.get_lines()
    assert np.asarray(diagonal.get_xydata()).tolist() == [[0, 0], [1, 1]]
    assert (reliability.get_ylabel(), histogram.get_ylabel()) == ("Accuracy", "Images")
    assert {axis.get_xlabel() for axis in figure.axes} == {"Confidence"}
