"""Find test images that are nearly a training image, as another size or JPEG quality makes them."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from stages.common.paths import COPIES
from stages.prepare.dataset import Split

BLOCKS = 4  # each way: their means tell images apart, and hardly change with noise or resizing
LIMIT = 6  # levels of 255, root mean square: noisy copies have 3, MNIST's nearest images above 7
PAIRS = 3_000_000  # of images that are compared at a time, in 12 MB


def outline(images: np.ndarray) -> np.ndarray:
    """Return the mean of each of 4x4 blocks of uint8 `images` (n, height, width, channels).

    They are whole levels of 255, rounded down, as float32 (n, at most 16 x channels).
    """
    n, *sides, _ = images.shape
    edges = [np.arange(min(BLOCKS, side)) * side // min(BLOCKS, side) for side in sides]
    sums = np.add.reduceat(images, edges[0], axis=1, dtype=np.uint32)
    sums = np.add.reduceat(sums, edges[1], axis=2)
    heights, widths = (
        np.diff(start, append=side) for start, side in zip(edges, sides, strict=True)
    )
    means = sums // np.outer(heights, widths)[..., np.newaxis]
    return means.reshape(n, -1).astype(np.float32)


def nearest(outlines: np.ndarray, others: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield each row of `outlines` with the first nearest of `others`, if they may be copies."""
    # One product gives all |a - b|^2. These are sums of 48 whole numbers below 2^18 at most, so
    # that float32 is exact: no CPU and no number of threads finds another one.
    squares, one = (others**2).sum(axis=1), np.ones((len(outlines), 1), np.float32)
    right = np.vstack([-2 * others.T, squares, np.ones_like(squares)])
    left = np.hstack([outlines, one, (outlines**2).sum(axis=1, keepdims=True)])
    limit = (LIMIT + 1) ** 2 * outlines.shape[1]  # the means were rounded down
    for part in np.array_split(np.arange(len(left)), math.ceil(len(left) * len(others) / PAIRS)):
        distances = left[part] @ right
        closest = distances.argmin(axis=1)
        near = distances[np.arange(len(part)), closest] < limit
        yield from zip(part[near].tolist(), closest[near].tolist(), strict=True)


def distance(image: np.ndarray, other: np.ndarray) -> float:
    """Return the root mean square difference of two images in [0, 1], in levels of 255."""
    levels = np.rint(255 * image) - np.rint(255 * other)
    return math.sqrt(np.square(levels, dtype=np.float64).mean())  # sums of whole numbers are exact


def find(
    train: np.ndarray, test: np.ndarray, train_outlines: np.ndarray, test_outlines: np.ndarray
) -> pd.DataFrame:
    """Return a row for each image in `test` that is nearly one in `train`, the likeliest one.

    `train` and `test` are float32 (n, height, width, channels) in [0, 1], and may be memory-mapped.
    Columns: `train` and `test`, the rows there, and `distance`, below 6 levels of 255.
    """
    pairs = nearest(test_outlines, train_outlines)
    rows = [(j, i, round(distance(train[j], test[i]), 2)) for i, j in pairs]
    table = pd.DataFrame(rows, columns=["train", "test", "distance"])
    return table[table["distance"] < LIMIT]


def describe(copies: pd.DataFrame, folder: Path, train: Split, test: Split) -> str:
    """Say in one line which is the first of `copies`, and how many there are."""
    tested, trained = (
        str(folder / split.files[row]) if split.files else f"{part} image {row}"
        for part, split, row in (
            ("test", test, copies["test"].iloc[0]),
            ("training", train, copies["train"].iloc[0]),
        )
    )
    return (
        f"{tested} is nearly the same as {trained}; test images with such a copy in the training "
        f"set: {len(copies):,} of {len(test.labels):,}, listed in {COPIES}"
    )
