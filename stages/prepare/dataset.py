"""What the readers of data sets return: images and labels, to train on and to test on."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np


class Split(NamedTuple):
    """The labels (n,) of images, and parts, uint8 (k, height, width, channels), of these images."""

    labels: np.ndarray
    images: Iterator[np.ndarray]
    files: Sequence[str] = ()  # of n pictures, by their paths in the data set; of IDX files, none


class DataSet(NamedTuple):
    train: Split
    test: Split
    names: list[str]  # of the classes
    shape: tuple[int, int, int]  # height, width and channels of each image
    validation: int = 0  # how many of the last training images are a validation part of its own


def scale(images: np.ndarray) -> np.ndarray:
    """Turn uint8 images into float32 of the same shape, in [0, 1]."""
    scaled: np.ndarray = np.divide(images, 255, dtype=np.float32)
    return scaled
