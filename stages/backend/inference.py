"""Probabilities of many images, in memory that doesn't grow with them."""

import math
from collections.abc import Iterator

import numpy as np

from stages.backend.runtime import keras

PIXELS = 1000 * 28 * 28  # of a batch; a network of 32 filters needs some 200 MB for them


def batches(images: np.ndarray) -> Iterator[np.ndarray]:
    """Yield `images` (n, height, width, channels) in order, some of them at a time.

    There are so many in a batch that its memory grows neither with their number nor with their
    size, if the images are memory-mapped.
    """
    n = max(1, PIXELS // math.prod(images.shape[1:3]))
    return (images[start : start + n] for start in range(0, len(images), n))


def predict(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Return class probabilities, float32 (n, classes), of `images`, computed in `batches`."""
    # Not `model.predict`, which first copies all images.
    return np.concatenate([model.predict_on_batch(batch) for batch in batches(images)])
