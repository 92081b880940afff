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
        raise InputError(
            f"{labels_path}: {len(labels)} labels for the {len(images)} images of "
            f"{images_path.name}; expected one each"
        )
    return Split(images, labels)


def check_agreement(folder: Path, train: Split, test: Split) -> None:
    """Raise InputError unless both splits have one image size and the same classes, from 0 on."""
    if train.images.shape[1:] != test.images.shape[1:]:
        raise InputError(
            f"{folder}: training images are {train.images.shape[1:]}, test images "
            f"{test.images.shape[1:]}; expected one size"
        )
    classes = np.unique(train.labels).tolist()
    if len(classes) < 2 or classes != list(range(len(classes))):
        raise InputError(
            f"{folder}: training labels are {str(classes)[:60]}; expected each class from 0 on, "
            "and at least two"
        )
    if test.labels.max() > classes[-1]:
        raise InputError(
            f"{folder}: a test label is {test.labels.max()}; expected at most {classes[-1]}, "
            "the largest training label"
        )


def name_classes(folder: Path, classes: int) -> list[str]:
    """Return the names in `folder`'s classes.txt, or the classes' numbers if it has no such file.

    Raises InputError unless there is one name for each class.
    """
    path = folder / "classes.txt"
    if not path.exists():
        return [str(number) for number in range(classes)]
    names = load_names(path)
    if len(names) != classes:
        raise InputError(f"{path}: {len(names)} names; expected {classes}, one for each class")
    return names


def read(folder: Path) -> tuple[Split, Split, list[str]]:
    """Return the training split, the test split and the classes' names of the data set in `folder`.

    Raises InputError, naming the file, if anything is missing, damaged or contradictory.
    """
    train, test = read_split(folder, "train"), read_split(folder, "t10k")
    check_agreement(folder, train, test)
    return train, test, name_classes(folder, int(train.labels.max()) + 1)


def scale(images: np.ndarray) -> np.ndarray:
    """Turn uint8 images (n, height, width) into float32 (n, height, width, 1) in [0, 1]."""
    scaled: np.ndarray = np.divide(images, 255, dtype=np.float32)
    return scaled[..., np.newaxis]
