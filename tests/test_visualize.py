"""Figures, checked for what they show."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages import visualize


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
    figure = visualize.draw_history(table)
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
    predictions = pd.DataFrame({"actual": [0, 0, 2, 2], "predicted": [0, 2, 2, 2]})
    counts = visualize.count_confusions(predictions)
    assert counts.to_numpy().tolist() == [[1, 0, 1], [0, 0, 0], [0, 0, 2]]


def test_the_confusion_matrix_is_square_and_shows_the_counts() -> None:
    counts = pd.DataFrame([[5, 1], [0, 1234]])
    (axis,) = visualize.draw_confusions(counts).axes
    assert [text.get_text() for text in axis.texts] == ["5", "1", "0", "1234"]
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("Predicted", "Actual")
    assert axis.get_aspect() == 1


def titles(figure: Figure) -> list[str]:
    return [axis.get_title() for axis in figure.axes if axis.get_title()]


@pytest.mark.parametrize(
    ("n", "grid"), [(32, (4, 8)), (1, (1, 2)), (2, (1, 2)), (7, (2, 4)), (64, (6, 12))]
)
def test_every_kernel_has_its_place_in_the_grid(n: int, grid: tuple[int, int]) -> None:
    kernels = np.random.default_rng(0).normal(size=(3, 3, 1, n)).astype(np.float32)
    figure = visualize.draw_kernels(kernels)
    assert titles(figure) == [f"Kernel {i}" for i in range(n)]
    layout = figure.axes[0].get_gridspec()
    assert layout is not None
    assert (layout.nrows, layout.ncols) == grid
    for i in range(n):
        np.testing.assert_array_equal(figure.axes[i].images[0].get_array(), kernels[..., 0, i])
