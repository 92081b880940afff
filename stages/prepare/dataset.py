"""A data set of four IDX files: images and labels, to train on and to test on."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from stages.common.errors import InputError
from stages.common.files import load_names
from stages.prepare import idx


class Split(NamedTuple):
    """Images, uint8 (n, height, width), and their labels, uint8 (n,)."""

    images: np.ndarray
    labels: np.ndarray


def read_split(folder: Path, prefix: str) -> Split:
    """Read the two IDX files of `train` or `t10k`; raise InputError unless they go together."""
    images_path = idx.find(folder, f"{prefix}-images-idx3-ubyte")
    labels_path = idx.find(folder, f"{prefix}-labels-idx1-ubyte")
    images, labels = idx.read(images_path, ndim=3), idx.read(labels_path, ndim=1)
    if images.size == 0:
        raise InputError(f"{images_path}: no images, shape {images.shape}; expected at least one")
    if len(images) != len(labels):
        raise InputError(f"{labels_path}: {len(labels)} labels for the {len(images)} images")
    return Split(images, labels)


def read(folder: Path) -> tuple[Split, Split, list[str]]:
    """Return the training split, the test split and the classes' names of the data set in `folder`.

    Without a classes.txt, the names are the classes' numbers. Raises InputError, naming the file,
    if anything is missing, damaged or contradictory.
    """
    train, test = read_split(folder, "train"), read_split(folder, "t10k")
    size, other = train.images.shape[1:], test.images.shape[1:]
    if size != other:
        raise InputError(
            f"{folder}: training images are {size}, test images {other}; expected one size"
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
    return train, test, names


def scale(images: np.ndarray) -> np.ndarray:
    """Turn uint8 images (n, height, width) into float32 (n, height, width, 1) in [0, 1]."""
    scaled: np.ndarray = np.divide(images, 255, dtype=np.float32)
    return scaled[..., np.newaxis]
