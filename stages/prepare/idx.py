"""Read IDX, the format of MNIST and its relatives: https://yann.lecun.org/exdb/mnist/."""

import gzip
import math
import struct
import tempfile
import zlib
from pathlib import Path

import numpy as np

from stages.common.errors import InputError


def find(folder: Path, name: str) -> Path:
    """Return `folder/name.gz` or `folder/name`; raise InputError unless exactly one is there."""
    found = [path for path in (folder / f"{name}.gz", folder / name) if path.exists()]
    if len(found) != 1:
        reason = "both found" if found else "not found, and no folders of pictures"
        raise InputError(f"{folder / name}[.gz]: {reason}; expected one of them")
    return found[0]


def read(path: Path, ndim: int) -> np.ndarray:
    """Return the uint8 array in an IDX file: unpacked on disk, and mapped into memory from there.

    Raises InputError if the file is anything but what its header promises; no more than that is
    unpacked.
    """
    magic = bytes([0, 0, 0x08, ndim])  # 0x08 stands for unsigned bytes
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rb") as stream, tempfile.TemporaryFile() as unpacked:
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
