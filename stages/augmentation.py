"""Random translations of the training images, so that no epoch sees the same ones again."""

from typing import Annotated

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from pydantic import Field

from stages.params import Section


class AugmentationParams(Section):
    translation: Annotated[float, Field(ge=0, lt=1)]


def translate(images: np.ndarray, fraction: float, rng: np.random.Generator) -> np.ndarray:
    """Move each of `images` (n, height, width, channels) by whole pixels; what moves in is 0.

    How far is drawn evenly, down and right apart, up to `fraction` of the height and width.
    Keras's RandomTranslation, which interpolates, takes ten times as long.
    """
    n, height, width, _ = images.shape
    down, right = round(fraction * height), round(fraction * width)
    padded = np.pad(images, ((0, 0), (down, down), (right, right), (0, 0)))
    windows = sliding_window_view(padded, (height, width), axis=(1, 2))
    tops, lefts = rng.integers(2 * down + 1, size=n), rng.integers(2 * right + 1, size=n)
    return np.moveaxis(windows[np.arange(n), tops, lefts], 1, -1)
