"""Write files whole or not at all, the same bytes on every system; read names that people wrote."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd

from stages.common.errors import InputError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path that takes the place of `path` when the block succeeds.

    Nobody ever sees a half-written file: it is flushed to disk before it is renamed, and if the
    block fails it is removed and the old file stays. An OSError names `path`.
    """
    partial = path.with_name(f".partial-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        with partial.open("rb+") as stream:
            os.fsync(stream.fileno())
        partial.replace(path)
    except OSError as error:
        reason = f"cannot be written: {error.strerror or error}"
        raise OSError(error.errno or 0, reason, str(path)) from None
    finally:
        partial.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    with replacing(path) as partial:
        partial.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    write_bytes(path, text.encode())


def write_array(path: Path, array: np.ndarray) -> None:
    with replacing(path) as partial:
        np.save(partial, array)


def write_parts(path: Path, parts: Iterable[np.ndarray], shape: tuple[int, ...]) -> None:
    """Write float32 `parts`, some rows each, as an array of `shape`, never whole in memory."""
    # Not numpy's open_memmap: on a full disk, writing to mapped memory kills the process.
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    with replacing(path) as partial, partial.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, header)
        for part in parts:
            stream.write(np.ascontiguousarray(part).data)


def write_table(path: Path, table: pd.DataFrame) -> None:
    write_text(path, table.to_csv(index=False, lineterminator="\n"))


def load_names(path: Path) -> list[str]:
    """Read the names of the classes, one per line, from a UTF-8 file.

    Raises InputError if a line is not UTF-8, empty, unprintable, or there twice.
    """
    text = path.read_text(encoding="utf-8-sig", errors="surrogateescape")
    names = [line.strip() for line in text.splitlines()]
    for i, name in enumerate(names):
        if not name or not name.isprintable() or name in names[:i]:
            raise InputError(
                f"{path}: line {i + 1} is {name[:60]!r}; expected unique UTF-8 names, one per line"
            )
    return names
