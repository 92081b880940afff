"""Random changes of the training images, drawn anew in each epoch."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def translate(images: np.ndarray, fraction: float, rng: np.random.Generator) -> np.ndarray:
    """Shift each of `images` (n, height, width, channels) by whole pixels; return as many.

    What is uncovered repeats the image's edge. Vertical and horizontal shifts are independent and
    uniform, up to `fraction` of each side.
    """
    # Keras's RandomTranslation interpolates, and takes ten times as long.
    n, height, width, _ = images.shape
    down, right = round(fraction * height), round(fraction * width)
    padded = np.pad(images, ((0, 0), (down, down), (right, right), (0, 0)), "edge")
    windows = sliding_window_view(padded, (height, width), axis=(1, 2))
    tops, lefts = rng.integers(2 * down + 1, size=n), rng.integers(2 * right + 1, size=n)
    return np.moveaxis(windows[np.arange(n), tops, lefts], 1, -1)


def flip(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Mirror each of `images` (n, height, width, channels) left to right, or not, as likely."""
    mirrored = rng.random(len(images)) < 0.5
    return np.where(mirrored[:, None, None, None], images[:, :, ::-1], images)
