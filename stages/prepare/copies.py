"""Find test images that are nearly a training image, as another size or JPEG quality makes them."""

import hashlib
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from stages.common.paths import COPIES
from stages.prepare.dataset import Split

BLOCKS = 4  # each way: their means tell images apart, and hardly change with noise or resizing
LIMIT = 6  # levels of 255, root mean square: noisy copies have 3, MNIST's nearest images above 7
FAINT = 0.5  # of an image's contrast: faint pictures' copies have 0.2 to 0.6, others 0.8 and more
NEAREST = 20  # training images whose pixels are compared with those of a test image
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


def nearest(outlines: np.ndarray, others: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield each row of `outlines` that may have copies in `others`, with the rows of these.

    They are the 20 nearest in ascending order; of several equally near ones, the first.
    """
    # One product gives all |a - b|^2. These are sums of 48 whole numbers below 2^18 at most, so
    # that float32 is exact: no CPU and no number of threads finds another one.
    squares, one = (others**2).sum(axis=1), np.ones((len(outlines), 1), np.float32)
    right = np.vstack([-2 * others.T, squares, np.ones_like(squares)])
    left = np.hstack([outlines, one, (outlines**2).sum(axis=1, keepdims=True)])
    limit = (LIMIT + 1) ** 2 * outlines.shape[1]  # the means were rounded down
    for part in np.array_split(np.arange(len(left)), math.ceil(len(left) * len(others) / PAIRS)):
        distances = left[part] @ right
        for row in np.flatnonzero(distances.min(axis=1) < limit):
            near = np.flatnonzero(distances[row] < limit)
            # Below the limit they fit 16 bits, which NumPy sorts in linear time.
            order = distances[row, near].astype(np.uint16).argsort(kind="stable")
            yield int(part[row]), np.sort(near[order[:NEAREST]])


def equal(
    train: np.ndarray, test: np.ndarray, train_outlines: np.ndarray, test_outlines: np.ndarray
) -> dict[int, int]:
    """Return the first row of `train` that equals each row of `test`, for rows that have one.

    However many outlines are equal, each image is read once at most.
    """
    known = {outline.tobytes() for outline in test_outlines}
    first: dict[bytes, int] = {}
    for j, outline in enumerate(train_outlines):
        if outline.tobytes() in known:
            first.setdefault(hashlib.sha256(train[j].tobytes()).digest(), j)
    if not first:
        return {}
    digests = [hashlib.sha256(image.tobytes()).digest() for image in test]
    return {i: first[digest] for i, digest in enumerate(digests) if digest in first}


def differences(images: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the root mean square difference of each of `images` from `other`, in levels of 255.

    Both are float32 in [0, 1], (n, height, width, channels) and (height, width, channels).
    """
    levels = np.rint(255 * images) - np.rint(255 * other)
    squares = np.square(levels, out=levels).mean(axis=(1, 2, 3), dtype=np.float64)
    roots: np.ndarray = np.sqrt(squares)  # sums of whole numbers are exact
    return roots


def contrast(image: np.ndarray) -> float:
    """Return the standard deviation of an image in [0, 1] within each channel, in levels of 255."""
    variances = np.rint(255 * image).var(axis=(0, 1), dtype=np.float64)
    return math.sqrt(variances.mean())


def find(
    train: np.ndarray, test: np.ndarray, train_outlines: np.ndarray, test_outlines: np.ndarray
) -> pd.DataFrame:
    """Return a row for each image in `test` that is nearly one in `train`, the likeliest one.

    `train` and `test` are float32 (n, height, width, channels) in [0, 1], and may be memory-mapped.
    Columns: `train` and `test`, the rows there, and `distance`: 0, or below 6 levels of 255 and
    below half the contrast of the test image, since faint images of different things are also near.
    """
    exact = equal(train, test, train_outlines, test_outlines)
    rows = [(j, i, 0.0) for i, j in exact.items()]
    for i, near in nearest(test_outlines, train_outlines):
        if i not in exact:
            found = differences(train[near], test[i])
            least = round(float(found.min()), 2)
            if least < min(LIMIT, FAINT * contrast(test[i])):
                rows.append((int(near[found.argmin()]), i, least))
    table = pd.DataFrame(rows, columns=["train", "test", "distance"])
    return table.sort_values("test", ignore_index=True)


def describe(copies: pd.DataFrame, folder: Path, train: Split, test: Split) -> str:
    """Say in one line which is the first of `copies`, and how many there are."""
    tested, trained = (
        str(folder / split.files[row]) if split.files else f"{part} image {row}"
        for part, split, row in (
            ("test", test, copies["test"].iloc[0]),
            ("training or validation", train, copies["train"].iloc[0]),
        )
    )
    return (
        f"{tested} is nearly the same as {trained}; test images with such a near copy: "
        f"{len(copies):,} of {len(test.labels):,}, listed in {COPIES}"
    )
