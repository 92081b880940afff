"""The figures: each function draws one, in the width of a phone, its text as large as a page's."""

import io
import math
from collections.abc import Sequence

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.ticker import MaxNLocator, PercentFormatter, StrMethodFormatter

WIDTH, HEIGHT = 3.7, 2.9  # inches: two stand side by side in the page's column
SMALLEST, MOST_TICKS = 4, 120  # a number's points, and the names along a side, that one can read
DARK = 0.48  # of the strongest shade of blue: what is darker has white numbers
STYLE = {
    "font.family": "DejaVu Sans",
    "text.parse_math": False,  # a class may be called $x$
    "axes.titley": 1.0,  # else Matplotlib asks each tick if a title touches it
    "figure.constrained_layout.use": True,
    "figure.figsize": (WIDTH, HEIGHT),
}


def use_style() -> None:
    """Draw without a screen, in one style, whatever a user's matplotlibrc says."""
    matplotlib.use("agg")
    matplotlib.rcdefaults()
    plt.style.use(["seaborn-v0_8-whitegrid", STYLE])


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


def draw_curves(history: pd.DataFrame, metric: str) -> Figure:
    """Draw a metric over epochs, on the training and on the validation images."""
    figure, axis = plt.subplots()
    columns, names = [metric, f"val_{metric}"], ["training", "validation"]
    history.plot(x="epoch", y=columns, label=names, marker="o", markersize=4, ax=axis)
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
    side = min(max(WIDTH, 0.46 * n), 14.0)
    figure, axis = plt.subplots(figsize=(side, side))
    # The diagonal is a thousand times the rest: colours follow the logarithm, counts are exact.
    # The logarithm's last bits depend on the CPU, and would decide a colour on an edge.
    shades = np.log1p(confusions).round(6)
    axis.imshow(shades, cmap="Blues", vmin=0)
    fontsize = min(10, 20 * side / n)
    for row, column in np.argwhere(confusions) if fontsize >= SMALLEST else ():
        colour = "white" if shades[row, column] > DARK * shades.max() else ".15"
        text = axis.text(column, row, str(confusions[row, column]), color=colour, fontsize=fontsize)
        # To ask each for its size would take most of the time.
        text.set(ha="center", va="center", in_layout=False)
    every = math.ceil(n / MOST_TICKS)
    ticks, shown = range(0, n, every), labels[::every]
    size = min(10, 55 * side * every / n)  # points
    axis.set_xticks(ticks, shown, fontsize=size, rotation=90 if max(map(len, labels)) > 3 else 0)
    axis.set_yticks(ticks, shown, fontsize=size)
    axis.set(xlabel="Predicted", ylabel="Actual")
    axis.grid(visible=False)
    return figure


def draw_trust(trust: pd.DataFrame) -> Figure:
    """Draw the accuracy of the answers given, by the share that is left to a person."""
    figure, axis = plt.subplots()
    trust = trust[trust["answered"] >= 0.5]  # fewer are of no use, and may be right by chance
    axis.plot(1 - trust["answered"], trust["accuracy"])
    axis.set(xlabel="Left to a person", xlim=(0, 0.5), ylabel="Accuracy of the answers")
    for side in axis.xaxis, axis.yaxis:
        side.set_major_formatter(PercentFormatter(1))
    return figure


def draw_calibration(bins: pd.DataFrame) -> Figure:
    """Draw the accuracy in each bin of confidence beside the diagonal."""
    figure, axis = plt.subplots()
    draw_bars(axis, bins["accuracy"].fillna(0))
    axis.plot([0, 1], [0, 1], "--", color="black", label="perfect")
    axis.set(ylabel="Accuracy", ylim=(0, 1))
    axis.yaxis.set_major_formatter(PercentFormatter(1))
    axis.legend()
    return figure


def draw_confidence(bins: pd.DataFrame) -> Figure:
    """Draw how many images each bin of confidence holds."""
    figure, axis = plt.subplots()
    draw_bars(axis, bins["count"])
    axis.set(ylabel="Images", yscale="symlog")  # most are in the last bin, some in none
    axis.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    return figure


def draw_bars(axis: Axes, heights: pd.Series) -> None:
    """Draw a bar for each of the bins that divide the range of confidence equally."""
    n = len(heights)
    axis.bar(np.arange(n) / n, heights, width=1 / n, align="edge", edgecolor="white")
    axis.set(xlabel="Confidence", xlim=(0, 1))
    axis.xaxis.set_major_formatter(PercentFormatter(1))


def draw_kernels(kernels: np.ndarray) -> Figure:
    """Draw the kernels of (height, width, channels, n) in a grid that is twice as wide as high.

    Three channels make a colour, which is grey where all weights are zero; of other numbers of
    them, the mean is shown, from red for the most negative through white to blue.
    """
    height, width, channels, n = kernels.shape
    columns = math.ceil(math.sqrt(2 * n)) or 1
    rows = math.ceil(n / columns) or 1
    size = WIDTH, WIDTH * rows * height / (columns * width)
    figure, axis = plt.subplots(figsize=size, facecolor="none")
    axis.set_axis_off()
    if not n:
        return figure
    shades = np.moveaxis(kernels / (2 * np.abs(kernels).max()) + 0.5, -1, 0)
    tiles = shades if channels == 3 else matplotlib.colormaps["RdBu"](shades.mean(axis=3))
    step = 1.1 * width, 1.1 * height
    for i, tile in enumerate(tiles):
        left, top = i % columns * step[0], i // columns * step[1]
        axis.imshow(tile, extent=(left, left + width, top + height, top))
    axis.set(xlim=(0, columns * step[0]), ylim=(rows * step[1], 0))
    return figure
