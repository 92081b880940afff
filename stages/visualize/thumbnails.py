"""Small pictures for the page: an image as it is, and where the network looked in it."""

import io
from typing import Any

import numpy as np
from PIL import Image

from stages.visualize.page import embed

LARGEST = 96  # pixels a side: what the page shows them in
AMBER = np.array([1.0, 0.72, 0.16])


def thumbnail(image: np.ndarray) -> dict[str, Any]:
    """Return what shows an image (height, width, 1 or 3) in [0, 1] on a page; reduce large ones."""
    pixels = (image * 255).round().astype(np.uint8)
    small = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    small.thumbnail((LARGEST, LARGEST))
    buffer = io.BytesIO()
    small.save(buffer, "png")
    return embed(buffer.getvalue())


def light_up(image: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Return an image in dark grey, (height, width, 3) in [0, 1], amber where the network looked.

    `where` is a map (height, width) of [0, 1]: how much of the confidence goes with a patch there.
    """
    grey, share = image.mean(axis=2, keepdims=True), where[..., None]
    lit: np.ndarray = 0.45 * grey * (1 - share) + AMBER * (0.4 + 0.6 * grey) * share
    return lit
