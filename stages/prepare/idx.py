"""Read IDX, the format of MNIST and its relatives: https://yann.lecun.org/exdb/mnist/."""

import gzip
import io
import math
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from stages.common.errors import InputError

# One byte of deflate stands for at most 1032 bytes: https://www.zlib.net/zlib_tech.html
DEFLATE_LIMIT = 1032
ROWS = 1000  # of a part: with 28x28 images, 0.8 MB


def find(folder: Path, name: str) -> Path:
    """Return `folder/name.gz` or `folder/name`; raise InputError unless exactly one is there."""
    found = [path for path in (folder / f"{name}.gz", folder / name) if path.exists()]
    if len(found) != 1:
        reason = "both found" if found else "not found, and no folders of pictures"
        raise InputError(f"{folder / name}[.gz]: {reason}; expected one of them")
    return found[0]


@contextmanager
def unpacked(path: Path) -> Iterator[io.BufferedIOBase]:
    """Open a file, gzipped if it ends in .gz; a damaged one ends the block in an InputError."""
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as stream:
            yield stream
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{path}: damaged gzip file ({error}); expected a whole one") from None


def read_shape(path: Path, ndim: int) -> tuple[int, ...]:
    """Return the `ndim` dimensions of the unsigned bytes in an IDX file.

    Raises InputError if it has no such header, or is too small for what its header promises.
    """
    magic = bytes([0, 0, 0x08, ndim])  # 0x08 stands for unsigned bytes
    with unpacked(path) as stream:
        header = stream.read(4 + 4 * ndim)
    if header[:4] != magic or len(header) < 4 + 4 * ndim:
        raise InputError(
            f"{path}: starts with {header.hex() or 'nothing'}; expected {magic.hex()} "
            f"(unsigned bytes) and {ndim} dimensions of 4 bytes each"
        )
    shape = struct.unpack_from(f">{ndim}I", header, offset=4)
    if math.prod(shape) > DEFLATE_LIMIT * path.stat().st_size:
        raise wrong_length(path, shape, "fewer")
    return shape


def wrong_length(path: Path, shape: tuple[int, ...], found: str) -> InputError:
    promised = f"the header promises {math.prod(shape):,} bytes {shape}"
    return InputError(f"{path}: {promised}; found {found}")


def read_parts(path: Path, ndim: int) -> Iterator[np.ndarray]:
    """Yield the uint8 array in an IDX file, some rows at a time.

    Raises InputError if the file is anything but what its header promises.
    """
    shape = read_shape(path, ndim)
    size = math.prod(shape[1:])
    with unpacked(path) as stream:
        stream.seek(4 + 4 * ndim)
        for start in range(0, shape[0], ROWS):
            rows = min(ROWS, shape[0] - start)
            content = stream.read(rows * size)
            if len(content) < rows * size:
                raise wrong_length(path, shape, "fewer")
            yield np.frombuffer(content, np.uint8).reshape(rows, *shape[1:])
        if stream.read(1):
            raise wrong_length(path, shape, "more")


def read(path: Path, ndim: int) -> np.ndarray:
    """Return the whole uint8 array in an IDX file; raises InputError as `read_parts` does."""
    return np.concatenate(list(read_parts(path, ndim)))
