"""Probabilities of many images, in memory that doesn't grow with them."""

import math
from collections.abc import Iterator

import numpy as np

from stages.backend.runtime import keras

PIXELS = 1000 * 28 * 28  # of a batch; a network of 32 filters needs some 200 MB for them


def batch_size(images: np.ndarray) -> int:
    """Return how many `images`, (n, height, width, channels), a network takes at once.

    The memory of a batch grows neither with their number nor with their size.
    """
    return max(1, PIXELS // math.prod(images.shape[1:3]))


def batches(images: np.ndarray) -> Iterator[np.ndarray]:
    """Yield `images` in order, a batch at a time; they may be memory-mapped."""
    n = batch_size(images)
    return (images[start : start + n] for start in range(0, len(images), n))


def predict(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Return class probabilities, float32 (n, classes), of `images`, computed in `batches`."""
    # Not `model.predict`, which first copies all images.
    return np.concatenate([model.predict_on_batch(batch) for batch in batches(images)])
