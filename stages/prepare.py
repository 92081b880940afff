"""Scale raw images to [0, 1] and add the channel axis that convolutions expect."""

from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from stages import idx, params
from stages.errors import InputError, run
from stages.files import load_names, replacing

RAW = Path("data/raw")
X_TRAIN = Path("data/prepared/x_train.npy")
Y_TRAIN = Path("data/prepared/y_train.npy")
X_TEST = Path("data/prepared/x_test.npy")
Y_TEST = Path("data/prepared/y_test.npy")
CLASSES = Path("data/prepared/classes.txt")
INPUTS = (RAW,)
OUTPUTS = (X_TRAIN, Y_TRAIN, X_TEST, Y_TEST, CLASSES)


class PrepareParams(params.Section):
    # A name, not a path: the data set is a folder of data/raw.
    dataset: Annotated[str, Field(pattern=r"^\w[\w.-]*$")]


def read_split(folder: Path, prefix: str) -> tuple[np.ndarray, np.ndarray]:
    """Read images (n, height, width) and labels (n,), both uint8, of `train` or `t10k`."""
    images_path = idx.find(folder, f"{prefix}-images-idx3-ubyte")
    labels_path = idx.find(folder, f"{prefix}-labels-idx1-ubyte")
    images = idx.read(images_path, ndim=3)
    labels = idx.read(labels_path, ndim=1)
    if images.size == 0:
        raise InputError(f"{images_path}: no images, shape {images.shape}; expected at least one")
    if len(images) != len(labels):
        raise InputError(
            f"{labels_path}: {len(labels)} labels for the {len(images)} images of "
            f"{images_path.name}; expected one each"
        )
    return images, labels


def check_agreement(
    folder: Path,
    train: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
) -> None:
    """Raise InputError unless both sets have one image size and the same classes, from 0 on."""
    if train[0].shape[1:] != test[0].shape[1:]:
        raise InputError(
            f"{folder}: training images are {train[0].shape[1:]}, test images "
            f"{test[0].shape[1:]}; expected one size"
        )
    classes = np.unique(train[1])
    if len(classes) < 2:
        raise InputError(f"{folder}: training labels are all {classes[0]}; expected two classes")
    skipped = np.setdiff1d(np.arange(classes[-1] + 1), classes)
    if len(skipped):
        raise InputError(
            f"{folder}: training labels reach {classes[-1]} but skip {skipped[0]}; "
            "expected every class from 0 on"
        )
    if test[1].max() > classes[-1]:
        raise InputError(
            f"{folder}: a test label is {test[1].max()}; expected at most {classes[-1]}, "
            "the largest training label"
        )


def name_classes(path: Path, classes: int) -> list[str]:
    """Return the names in the file at `path`, one a class, or their numbers if there is none.

    Raises InputError unless there are as many names as classes.
    """
    if not path.exists():
        return [str(number) for number in range(classes)]
    names = load_names(path)
    if len(names) != classes:
        raise InputError(f"{path}: {len(names)} names; expected {classes}, one a class")
    return names


def scale(images: np.ndarray) -> np.ndarray:
    """Turn uint8 images (n, height, width) into float32 (n, height, width, 1) in [0, 1]."""
    scaled: np.ndarray = np.divide(images, 255, dtype=np.float32)
    return scaled[..., np.newaxis]


def main() -> None:
    folder = RAW / params.load("prepare", PrepareParams).dataset
    train = read_split(folder, "train")
    test = read_split(folder, "t10k")
    check_agreement(folder, train, test)
    names = name_classes(folder / CLASSES.name, classes=int(train[1].max()) + 1)
    with replacing(*OUTPUTS) as (x_train, y_train, x_test, y_test, classes):
        for path, images in (x_train, train[0]), (x_test, test[0]):
            scaled = scale(images)
            np.save(path, scaled)
            print(f"{path.name.removeprefix('.partial-')}: {scaled.shape}")
        np.save(y_train, train[1])
        np.save(y_test, test[1])
        classes.write_text("\n".join(names) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run(main, INPUTS, OUTPUTS)
