"""Draw the training history, the confusion matrix and the first layer's kernels."""

import math
from pathlib import Path
from typing import Annotated

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from pydantic import Field

from stages import params
from stages.errors import run
from stages.files import load_array, load_table, replacing

HISTORY = Path("reports/history.csv")
PREDICTIONS = Path("reports/predictions.csv")
KERNELS = Path("reports/kernels.npy")
HISTORY_FIGURE = Path("reports/figures/history.png")
CONFUSION_FIGURE = Path("reports/figures/confusion_matrix.png")
KERNELS_FIGURE = Path("reports/figures/kernels.png")
INPUTS = (HISTORY, PREDICTIONS, KERNELS)
OUTPUTS = (HISTORY_FIGURE, CONFUSION_FIGURE, KERNELS_FIGURE)


class VisualizeParams(params.Section):
    dpi: Annotated[int, Field(ge=10, le=1000)]


def draw_history(history: pd.DataFrame) -> Figure:
    """Draw loss and accuracy over epochs, training and validation, side by side."""
    figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for axis, metric in zip(axes, ("loss", "accuracy"), strict=True):
        for column, label in (metric, "training"), (f"val_{metric}", "validation"):
            sns.lineplot(history, x="epoch", y=column, label=label, marker="o", ax=axis)
        axis.set(title=metric.capitalize(), xlabel="Epoch", ylabel=metric.capitalize())
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    return figure


def count_confusions(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return how often each actual class (rows) was predicted as each class (columns)."""
    classes = range(predictions[["actual", "predicted"]].to_numpy().max() + 1)
    counts = pd.crosstab(predictions["actual"], predictions["predicted"])
    return counts.reindex(index=classes, columns=classes, fill_value=0)


def draw_confusions(counts: pd.DataFrame) -> Figure:
    """Draw the confusion matrix as a square heat map with counts."""
    side = max(4.0, 0.7 * len(counts))
    figure, axis = plt.subplots(figsize=(side, side), layout="constrained")
    # The diagonal is a thousand times the rest: colours follow the logarithm, counts are exact.
    sns.heatmap(
        np.log1p(counts), annot=counts, fmt="d", cmap="Blues", square=True, cbar=False, ax=axis
    )
    axis.set(title="Confusion matrix", xlabel="Predicted", ylabel="Actual")
    return figure


def draw_kernels(kernels: np.ndarray) -> Figure:
    """Draw each kernel of (height, width, channels, n), averaged over channels, in a grid.

    The grid is twice as wide as high: 4 rows of 8 for 32 kernels.
    """
    n = kernels.shape[-1]
    columns = math.ceil(math.sqrt(2 * n))
    rows = math.ceil(n / columns)
    limit = np.abs(kernels).max()
    figure, axes = plt.subplots(
        rows, columns, figsize=(1.2 * columns, 1.4 * rows), squeeze=False, layout="constrained"
    )
    for axis in axes.flat:
        axis.set_axis_off()
    for i, axis in zip(range(n), axes.flat, strict=False):
        kernel = kernels[..., i].mean(axis=-1)
        axis.imshow(kernel, cmap="RdBu", vmin=-limit, vmax=limit)
        axis.set_title(f"Kernel {i}", fontsize="small")
    return figure


def main() -> None:
    dpi = params.load("visualize", VisualizeParams).dpi
    history = load_table(HISTORY, ["epoch", "loss", "accuracy", "val_loss", "val_accuracy"])
    predictions = load_table(PREDICTIONS, ["index", "actual", "predicted", "confidence"])
    kernels = load_array(KERNELS, np.float32, ndim=4)

    matplotlib.use("agg")
    matplotlib.rcdefaults()  # a user's matplotlibrc changes no picture
    sns.set_theme(style="whitegrid")
    figures = (
        draw_history(history),
        draw_confusions(count_confusions(predictions)),
        draw_kernels(kernels),
    )
    with replacing(*OUTPUTS) as paths:
        for figure, path in zip(figures, paths, strict=True):
            figure.savefig(path, dpi=dpi)


if __name__ == "__main__":
    run(main, INPUTS, OUTPUTS)
