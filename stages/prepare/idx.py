"""Read IDX, the format of MNIST and its relatives: https://yann.lecun.org/exdb/mnist/."""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from stages.common.errors import InputError

UNSIGNED_BYTE = 0x08
# One byte of deflate stands for at most 1032 bytes: https://www.zlib.net/zlib_tech.html
DEFLATE_LIMIT = 1032


def find(folder: Path, name: str) -> Path:
    """Return `folder/name.gz` or `folder/name`; raise InputError unless exactly one is there."""
    candidates = [folder / f"{name}.gz", folder / name]
    found = [path for path in candidates if path.exists()]
    if len(found) != 1:
        reason = "both found; keep one" if found else "not found"
        raise InputError(f"{candidates[1]}[.gz]: {reason}")
    return found[0]


def read(path: Path, ndim: int) -> np.ndarray:
    """Read unsigned bytes with `ndim` dimensions from an IDX file, gzipped if it ends in .gz.

    Raises InputError if the file is anything but what its header promises.
    """
    if not path.is_file():
        raise InputError(f"{path}: not a file; expected an IDX file")
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as stream:
            shape = parse_header(path, stream.read(4 + 4 * ndim), ndim)
            count = math.prod(shape)
            if count > DEFLATE_LIMIT * path.stat().st_size:
                raise InputError(
                    f"{path}: the header promises {count:,} bytes {shape}; "
                    f"a file of {path.stat().st_size:,} bytes can't hold them"
                )
            content = stream.read(count + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{path}: damaged gzip file ({error}); expected a whole one") from None
    if len(content) != count:
        found = f"only {len(content):,}" if len(content) < count else "more"
        raise InputError(f"{path}: the header promises {count:,} bytes {shape}; found {found}")
    return np.frombuffer(content, np.uint8).reshape(shape)


def parse_header(path: Path, header: bytes, ndim: int) -> tuple[int, ...]:
    """Return the dimensions that an IDX header names; raise InputError if it is no such header."""
    magic = bytes([0, 0, UNSIGNED_BYTE, ndim])
    if header[:4] != magic or len(header) < 4 + 4 * ndim:
        raise InputError(
            f"{path}: starts with {header[:4].hex() or 'nothing'}, {len(header)} bytes of header; "
            f"expected {4 + 4 * ndim}, from the IDX magic {magic.hex()} on: unsigned bytes with "
            f"{ndim} dimensions"
        )
    return struct.unpack(f">{ndim}I", header[4:])
