"""Where a model looked: how much of its confidence goes when a part of the image is covered."""

from collections.abc import Iterator

import numpy as np

from stages.backend import inference
from stages.backend.runtime import keras

PATCH = 1 / 4  # of a side: a stroke of a digit, an ear of a cat
STEPS = 12  # places along a side: a fixed number, so that large images take no more passes


def draw_maps(model: keras.Model, images: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """Return a map for each of `images`, float32 (n, height, width), in [0, 1].

    A pixel holds the mean, over all patches that cover it, of the share of the confidence in the
    image's answer, of (n,), that goes when the patch is covered; 0 where it rather grows.
    From Zeiler and Fergus, Visualizing and understanding convolutional networks, arXiv 1311.2901.
    """
    maps = np.zeros(images.shape[:3], np.float32)
    row = 0
    for batch in inference.batches(images):
        rows = slice(row, row := row + len(batch))
        maps[rows] = cover(model, batch, answers[rows])
    return maps


def cover(model: keras.Model, images: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """Return what `draw_maps` does, of images that the network takes at once."""

    def confidence(images: np.ndarray) -> np.ndarray:
        probabilities: np.ndarray = model.predict_on_batch(images)
        return probabilities[np.arange(len(images)), answers]

    before, background = confidence(images), backgrounds(images)
    gone, patches = (np.zeros(images.shape[:3], np.float32) for _ in range(2))
    for rows in places(images.shape[1]):
        for columns in places(images.shape[2]):
            covered = images.copy()
            covered[:, rows, columns] = background
            share = np.maximum(0, 1 - confidence(covered) / before)
            gone[:, rows, columns] += share[:, None, None]
            patches[:, rows, columns] += 1
    return gone / patches


def backgrounds(images: np.ndarray) -> np.ndarray:
    """Return what to cover each image with, (n, 1, 1, channels): the median of its edge.

    A patch of it vanishes on black and on white paper alike, where a grey one would be a thing to
    look at; a photograph has no such colour, and this one is as likely as any.
    """
    top, bottom, left, right = images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]
    edge = np.concatenate([top, bottom, left, right], axis=1)
    return np.median(edge, axis=1)[:, None, None]


def places(side: int) -> Iterator[slice]:
    """Yield where along a side of so many pixels a patch is laid, from end to end."""
    size = max(1, round(side * PATCH))
    starts = {i * (side - size) // max(1, STEPS - 1) for i in range(STEPS)}
    return (slice(start, start + size) for start in sorted(starts))
