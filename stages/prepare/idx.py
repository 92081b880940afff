"""Read IDX, the format of MNIST and its relatives: https://yann.lecun.org/exdb/mnist/."""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from stages.common.errors import InputError

# One byte of deflate stands for at most 1032 bytes: https://www.zlib.net/zlib_tech.html
DEFLATE_LIMIT = 1032


def find(folder: Path, name: str) -> Path:
    """Return `folder/name.gz` or `folder/name`; raise InputError unless exactly one is there."""
    found = [path for path in (folder / f"{name}.gz", folder / name) if path.exists()]
    if len(found) != 1:
        reason = "both found; keep one" if found else "not found"
        raise InputError(f"{folder / name}[.gz]: {reason}")
    return found[0]


def read(path: Path, ndim: int) -> np.ndarray:
    """Read unsigned bytes with `ndim` dimensions from an IDX file, gzipped if it ends in .gz.

    Raises InputError if the file is anything but what its header promises.
    """
    opener = gzip.open if path.suffix == ".gz" else open
    magic = bytes([0, 0, 0x08, ndim])  # 0x08 stands for unsigned bytes
    try:
        with opener(path, "rb") as stream:
            header = stream.read(4 + 4 * ndim)
            if header[:4] != magic or len(header) < 4 + 4 * ndim:
                raise InputError(
                    f"{path}: starts with {header.hex() or 'nothing'}; expected {magic.hex()} "
                    f"(unsigned bytes) and {ndim} dimensions of 4 bytes each"
                )
            shape = struct.unpack_from(f">{ndim}I", header, offset=4)
            count = math.prod(shape)
            # Memory is taken only for what such a file can hold.
            possible = count <= DEFLATE_LIMIT * path.stat().st_size
            content = stream.read(count + 1) if possible else b""
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{path}: damaged gzip file ({error}); expected a whole one") from None
    if len(content) != count:
        found = "fewer" if len(content) < count else "more"
        raise InputError(f"{path}: the header promises {count:,} bytes {shape}; found {found}")
    return np.frombuffer(content, np.uint8).reshape(shape)
