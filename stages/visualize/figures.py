"""The figures: each function draws one, its text as large as the text of a page on a screen."""

import io
import math
from collections.abc import Sequence

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.ticker import MaxNLocator, PercentFormatter, StrMethodFormatter

WIDTH = 7.6  # inches, the column of a page
SHEET = "#14161a"  # the images are light on dark, and so is the sheet they lie on
SMALLEST, MOST_TICKS = 4, 120  # a number's points, and the names along a side, that one can read
DARK = 0.48  # of the strongest shade of blue: what is darker has white numbers
STYLE = {
    "text.parse_math": False,  # a class may be called $x$
    "axes.titley": 1.0,  # else Matplotlib asks each tick if a title touches it: a second
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.1,  # inches
}


def use_style() -> None:
    """Draw without a screen, in one style, whatever a user's matplotlibrc says."""
    matplotlib.use("agg")
    matplotlib.rcdefaults()
    sns.set_theme(style="whitegrid", font="DejaVu Sans", rc=STYLE)


def encode(figure: Figure, dpi: int) -> bytes:
    """Return the figure as a PNG file, and forget it."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    plt.close(figure)
    return buffer.getvalue()


def label(names: Sequence[str]) -> list[str]:
    """Return the names, long ones without their middle; or numbers, if the font lacks a letter."""
    font = get_font(findfont("DejaVu Sans"))
    if not all(font.get_char_index(ord(character)) for name in names for character in name):
        return [str(number) for number in range(len(names))]
    return [name if len(name) <= 16 else f"{name[:8]}…{name[-7:]}" for name in names]


def draw_history(history: pd.DataFrame) -> Figure:
    """Draw loss and accuracy over epochs, training and validation, side by side."""
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.4))
    for axis, metric in zip(axes, ("loss", "accuracy"), strict=True):
        for column, name in (metric, "training"), (f"val_{metric}", "validation"):
            sns.lineplot(history, x="epoch", y=column, label=name, marker="o", ax=axis)
        axis.set(title=metric.capitalize(), xlabel="Epoch", ylabel=metric.capitalize())
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    return figure


def draw_confusions(predictions: pd.DataFrame, labels: Sequence[str]) -> Figure:
    """Draw how often each actual class (rows) was predicted as each; empty cells are zero.

    Of many classes, only some names stand at the sides, and only the shades say how often.
    """
    n = len(labels)
    pairs = predictions["actual"] * n + predictions["predicted"]
    confusions = np.bincount(pairs, minlength=n**2).reshape(n, n)
    side = min(max(4.0, 0.76 * n), 14.0)
    figure, axis = plt.subplots(figsize=(side, side))
    # The diagonal is a thousand times the rest: colours follow the logarithm, counts are exact.
    # The logarithm's last bits depend on the CPU, and would decide a colour on an edge.
    shades = np.log1p(confusions).round(6)
    every = math.ceil(n / MOST_TICKS)
    sns.heatmap(
        pd.DataFrame(shades, labels, labels),
        vmin=0,
        cmap="Blues",
        square=True,
        cbar=False,
        xticklabels=every,
        yticklabels=every,
        ax=axis,
    )
    fontsize = min(12, 20 * side / n)
    for row, column in np.argwhere(confusions) if fontsize >= SMALLEST else ():
        colour = "white" if shades[row, column] > DARK * shades.max() else ".15"
        place = column + 0.5, row + 0.5
        text = axis.text(*place, str(confusions[row, column]), color=colour, fontsize=fontsize)
        # To ask each for its size would take most of the time.
        text.set(ha="center", va="center", in_layout=False)
    axis.set(title="Confusion matrix", xlabel="Predicted", ylabel="Actual")
    axis.tick_params("x", rotation=90 if max(map(len, labels)) > 3 else 0)
    axis.tick_params("y", rotation=0)
    axis.tick_params(labelsize=min(11, 55 * side * every / n))  # points
    return figure


def draw_mistakes(images: np.ndarray, mistakes: pd.DataFrame, labels: Sequence[str]) -> Figure:
    """Draw images (n, height, width, channels) in [0, 1], six per row, or four if labels are long.

    Above each: its actual class, an arrow, the predicted one, and how confident that was.
    """
    short = max(map(len, labels)) <= 3
    columns, arrow = (6, " → ") if short else (4, "\n→ ")
    rows = max(1, math.ceil(len(images) / columns))
    size = (WIDTH, rows * (1.9 if short else 2.7))
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, facecolor=SHEET)
    for axis in axes.flat:
        axis.set_axis_off()
    if mistakes.empty:
        figure.text(0.5, 0.5, "No mistakes", color="white", ha="center", va="center")
    for axis, image, mistake in zip(axes.flat, images, mistakes.itertuples(), strict=False):
        axis.imshow(image, cmap="gray", vmin=0, vmax=1)
        title = f"{labels[mistake.actual]}{arrow}{labels[mistake.predicted]}"
        axis.set_title(f"{title}\n{mistake.confidence:.1%}", color="white", fontsize=13)
    return figure


def draw_calibration(bins: pd.DataFrame, error: float) -> Figure:
    """Draw the accuracy in each bin of confidence beside the diagonal, and how many each holds."""
    figure, (reliability, histogram) = plt.subplots(1, 2, figsize=(WIDTH, 3.6))
    figure.suptitle(f"Expected calibration error {error:.2%}")
    edges = np.arange(len(bins)) / len(bins)
    bars = {"width": 1 / len(bins), "align": "edge", "edgecolor": "white"}
    reliability.bar(edges, bins["accuracy"].fillna(0), **bars)
    reliability.plot([0, 1], [0, 1], "--", color="black", label="perfect")
    reliability.set(ylabel="Accuracy", ylim=(0, 1))
    reliability.yaxis.set_major_formatter(PercentFormatter(1))
    reliability.legend()
    histogram.bar(edges, bins["count"], **bars)
    histogram.set(ylabel="Images", yscale="symlog")  # most are in the last bin, some in none
    histogram.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    for axis in reliability, histogram:
        axis.set(xlabel="Confidence", xlim=(0, 1))
        axis.xaxis.set_major_formatter(PercentFormatter(1))
    return figure


def draw_kernels(kernels: np.ndarray) -> Figure:
    """Draw each kernel of (height, width, channels, n) in a grid that is twice as wide as high.

    Three channels make a colour, which is grey where all weights are zero; of other numbers of
    them, the mean is shown.
    """
    *_, channels, n = kernels.shape
    if channels not in (1, 3):
        kernels = kernels.mean(axis=2, keepdims=True)
    if not n:
        figure = plt.figure(figsize=(WIDTH, 1))
        figure.text(0.5, 0.5, "The network has no convolution", ha="center", va="center")
        return figure
    columns = math.ceil(math.sqrt(2 * n))
    rows = math.ceil(n / columns)
    shades = kernels / (2 * np.abs(kernels).max()) + 0.5
    figure, axes = plt.subplots(rows, columns, figsize=(0.95 * columns, 1.15 * rows), squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for i, axis in zip(range(n), axes.flat, strict=False):
        axis.imshow(shades[..., i], cmap="RdBu", vmin=0, vmax=1)
        axis.set_title(f"Kernel {i}", fontsize="small")
    return figure
