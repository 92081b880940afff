"""Where a model looked: how much of its confidence goes when a part of the image is covered."""

from collections.abc import Iterator

import numpy as np

from stages.backend import inference
from stages.backend.runtime import keras

PATCH = 1 / 4  # of a side: it covers a digit's stroke, and leaves the digit
PLACES = 16  # along a side: 256 passes for an image of any size, each moved by 2 of 28 pixels


def draw_maps(
    model: keras.Model, images: np.ndarray, rows: np.ndarray, answers: np.ndarray
) -> np.ndarray:
    """Return where `model` looked in the `rows` of `images`, float32 (rows, height, width).

    A pixel holds the share, in [0, 1], of the confidence in the image's answer, of (rows,), that
    goes when a patch there is covered: the mean of all patches that cover the pixel. A patch under
    which the confidence grows counts as 0.
    From Zeiler and Fergus, Visualizing and understanding convolutional networks, arXiv 1311.2901.
    """
    maps = np.zeros((len(rows), *images.shape[1:3]), np.float32)
    n = inference.batch_size(images)
    for start in range(0, len(rows), n):
        batch = slice(start, start + n)
        maps[batch] = draw_batch(model, images[rows[batch]], answers[batch])
    return maps


def draw_batch(model: keras.Model, images: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """Return the maps of images (n, height, width, channels), all of which are computed at once."""

    def confidence(images: np.ndarray) -> np.ndarray:
        probabilities: np.ndarray = model.predict_on_batch(images)[np.arange(len(images)), answers]
        return probabilities

    before, backgrounds = confidence(images), find_backgrounds(images)
    gone, patches = np.zeros(images.shape[:3], np.float32), np.zeros(images.shape[1:3], np.float32)
    for rows in places(images.shape[1]):
        for columns in places(images.shape[2]):
            covered = images.copy()
            covered[:, rows, columns] = backgrounds
            share = np.maximum(0, 1 - confidence(covered) / before)
            gone[:, rows, columns] += share[:, None, None]
            patches[rows, columns] += 1
    mean: np.ndarray = gone / patches
    return mean


def find_backgrounds(images: np.ndarray) -> np.ndarray:
    """Return the colour to cover each image with, (n, 1, 1, channels): the median of its edge.

    On black or on white paper, such a patch adds nothing to see, as a grey one would. Of a
    photograph, the edge is more likely to be background than the middle.
    """
    top, bottom, left, right = images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]
    edge = np.concatenate([top, bottom, left, right], axis=1)
    colours: np.ndarray = np.median(edge, axis=1)[:, None, None]
    return colours


def places(side: int) -> Iterator[slice]:
    """Yield which pixels of a side each patch covers.

    The first and the last cover a single pixel: without them, a patch far into the image alone
    would decide what stands at its edge.
    """
    size = max(1, round(side * PATCH))
    starts = {1 - size + i * (side + size - 2) // (PLACES - 1) for i in range(PLACES)}
    return (slice(max(0, start), start + size) for start in sorted(starts))
