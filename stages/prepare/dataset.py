"""A data set of four IDX files: images and labels, to train on and to test on."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from stages.common.errors import InputError
from stages.common.files import load_names
from stages.prepare import idx
from stages.prepare.schema import PrepareParams

PART = 1000  # images that are scaled at a time: with 28x28 pixels, 3 MB


class Split(NamedTuple):
    """The labels (n,) of images, and parts, uint8 (k, height, width, channels), of these images."""

    labels: np.ndarray
    images: Iterator[np.ndarray]


class DataSet(NamedTuple):
    train: Split
    test: Split
    names: list[str]  # of the classes
    shape: tuple[int, int, int]  # height, width and channels of each image


def read_split(folder: Path, prefix: str) -> tuple[Split, tuple[int, int, int]]:
    """Open the two IDX files of `train` or `t10k`; raise InputError unless they go together."""
    images_path = idx.find(folder, f"{prefix}-images-idx3-ubyte")
    labels_path = idx.find(folder, f"{prefix}-labels-idx1-ubyte")
    images, labels = idx.read(images_path, ndim=3), idx.read(labels_path, ndim=1)
    if not images.size:
        raise InputError(f"{images_path}: no images, shape {images.shape}; expected at least one")
    n, height, width = images.shape
    if len(labels) != n:
        raise InputError(f"{labels_path}: {len(labels)} labels for the {n} images")
    parts = np.array_split(images[..., np.newaxis], n // PART + 1)
    return Split(labels, iter(parts)), (height, width, 1)


def read(folder: Path, settings: PrepareParams) -> DataSet:
    """Open the data set in `folder`, its classes named by its classes.txt, or else 0, 1, ...

    Raises InputError, naming the file, if anything is missing, damaged or contradictory.
    """
    (train, size), (test, other) = read_split(folder, "train"), read_split(folder, "t10k")
    if size != other:
        raise InputError(
            f"{folder}: training images are {size[:2]}, test images {other[:2]}; expected one size"
        )
    if settings.image_size:
        raise InputError(
            f"params.yaml: prepare.image_size is {settings.image_size}; expected null, because "
            f"{folder} has IDX files, whose images have a size"
        )
    classes = np.unique(train.labels).tolist()
    if len(classes) < 2 or classes != list(range(len(classes))):
        raise InputError(
            f"{folder}: training labels are {classes!s:.60}; expected each class from 0 on, "
            "and at least two"
        )
    if test.labels.max() > classes[-1]:
        raise InputError(
            f"{folder}: a test label is {test.labels.max()}; expected at most {classes[-1]}"
        )
    path = folder / "classes.txt"
    names = load_names(path) if path.exists() else list(map(str, classes))
    if len(names) != len(classes):
        raise InputError(f"{path}: {len(names)} names; expected {len(classes)}, one for each class")
    return DataSet(train, test, names, size)


def scale(images: np.ndarray) -> np.ndarray:
    """Turn uint8 images into float32 of the same shape, in [0, 1]."""
    scaled: np.ndarray = np.divide(images, 255, dtype=np.float32)
    return scaled
