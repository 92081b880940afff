"""A data set of four IDX files, the format of MNIST: https://yann.lecun.org/exdb/mnist/."""

import gzip
import math
import struct
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from stages.common.errors import InputError
from stages.common.files import load_names
from stages.prepare.dataset import DataSet, Split
from stages.prepare.schema import PrepareParams

PART = 1000 * 28 * 28  # pixels that are scaled at a time, to 3 MB


def read(folder: Path, settings: PrepareParams) -> DataSet:
    """Open the data set in `folder`, its classes named by its classes.txt, or else 0, 1, ...

    Raises InputError, naming the file, if anything is missing, damaged or contradictory.
    """
    (train, shape), (test, other) = read_split(folder, "train"), read_split(folder, "t10k")
    if shape != other:
        raise InputError(
            f"{folder}: training images are {shape[:2]}, test images {other[:2]}; expected one size"
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
    return DataSet(train, test, names, shape)


def read_split(folder: Path, prefix: str) -> tuple[Split, tuple[int, int, int]]:
    """Open the two IDX files of `train` or `t10k`; also return the shape of each image.

    Raises InputError unless there is a label for each image, and at least one.
    """
    images_path = find(folder, f"{prefix}-images-idx3-ubyte")
    labels_path = find(folder, f"{prefix}-labels-idx1-ubyte")
    images, labels = read_array(images_path, ndim=3), read_array(labels_path, ndim=1)
    if not images.size:
        raise InputError(f"{images_path}: no images, shape {images.shape}; expected at least one")
    n, height, width = images.shape
    if len(labels) != n:
        raise InputError(f"{labels_path}: {len(labels)} labels for the {n} images")
    parts = np.array_split(images[..., np.newaxis], images.size // PART + 1)
    return Split(labels, iter(parts)), (height, width, 1)


def find(folder: Path, name: str) -> Path:
    """Return `folder/name.gz` or `folder/name`; raise InputError unless exactly one is there."""
    found = [path for path in (folder / f"{name}.gz", folder / name) if path.exists()]
    if len(found) != 1:
        reason = "both found" if found else "not found, and no folders of pictures"
        raise InputError(f"{folder / name}[.gz]: {reason}; expected one of them")
    (path,) = found
    if path.is_dir():
        raise InputError(
            f"{path}: Is a directory; expected a file. Some programs unpack one into a "
            "folder of the same name: move it out of that"
        )
    return path


def read_array(path: Path, ndim: int) -> np.ndarray:
    """Unpack an IDX file to disk and memory-map its uint8 array, of `ndim` dimensions.

    Raises InputError if the file is anything but what its header promises; no more than that is
    ever unpacked.
    """
    magic = bytes([0, 0, 0x08, ndim])  # 0x08 stands for unsigned bytes
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rb") as stream, temporary_file(path) as unpacked:
        try:
            header = stream.read(4 + 4 * ndim)
            if header[:4] != magic or len(header) < 4 + 4 * ndim:
                raise InputError(
                    f"{path}: starts with {header.hex() or 'nothing'}; expected {magic.hex()} "
                    f"(unsigned bytes) and {ndim} dimensions of 4 bytes each"
                )
            shape = struct.unpack_from(f">{ndim}I", header, offset=4)
            promised = math.prod(shape)
            unpacked.write(header)
            while unpacked.tell() <= len(header) + promised and (content := stream.read(2**20)):
                unpacked.write(content)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise InputError(f"{path}: damaged gzip file ({error}); expected a whole one") from None
        if (found := unpacked.tell() - len(header)) != promised:
            raise InputError(
                f"{path}: the header promises {promised:,} bytes {shape}; found "
                f"{'fewer' if found < promised else 'more'}"
            )
        return np.memmap(unpacked, np.uint8, "r", len(header), shape)


@contextmanager
def temporary_file(path: Path) -> Iterator[IO[bytes]]:
    """Yield a file without a name, to unpack `path` to; an OSError of the block says so."""
    try:
        with tempfile.TemporaryFile() as file:
            yield file
    except OSError as error:
        folder = tempfile.tempdir or "a temporary folder"  # TMPDIR, or /tmp if that can't be used
        reason = f"cannot be unpacked to {folder}: {error.strerror or error}"
        raise OSError(error.errno, reason, str(path)) from None
