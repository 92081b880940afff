"""Write files whole or not at all, the same bytes on every system; read names that people wrote."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd

from stages.common.errors import InputError

# The files that were written in a block of `together` and wait for its end; None outside of one.
waiting: list[Path] | None = None


def partial(path: Path) -> Path:
    """Return where the content of `path` is until it is whole."""
    return path.with_name(f".partial-{path.name}")


@contextmanager
def replacing(path: Path, at_once: bool = False) -> Iterator[Path]:
    """Yield a temporary path that takes the place of `path` when the block succeeds.

    Nobody ever sees a half-written file: it is flushed to disk before it is renamed, and if the
    block fails it is removed and the old file stays. In a block of `together` it is renamed when
    that ends, unless `at_once`. An OSError names `path`.
    """
    try:
        with naming(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield partial(path)
            with partial(path).open("rb+") as stream:
                os.fsync(stream.fileno())
        if waiting is None or at_once:
            put_in_place(path)
        else:
            waiting.append(path)
    finally:
        if waiting is None or path not in waiting:
            partial(path).unlink(missing_ok=True)


@contextmanager
def together() -> Iterator[None]:
    """Let all files written in the block take their places when it ends; none does if it fails."""
    global waiting
    waiting = []
    try:
        yield
        for path in waiting:
            put_in_place(path)
    finally:
        for path in waiting:
            partial(path).unlink(missing_ok=True)
        waiting = None


def current(path: Path) -> Path:
    """Return where the content of `path` is: in its partial file until a `together` block ends."""
    return partial(path) if waiting and path in waiting else path


def put_in_place(path: Path) -> None:
    with naming(path):
        partial(path).replace(path)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let an OSError of the block say that `path` cannot be written, and why."""
    try:
        yield
    except OSError as error:
        reason = f"cannot be written: {error.strerror or error}"
        raise OSError(error.errno or 0, reason, str(path)) from None


def write_bytes(path: Path, content: bytes, at_once: bool = False) -> None:
    with replacing(path, at_once) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, text: str, at_once: bool = False) -> None:
    write_bytes(path, text.encode(), at_once)


def write_array(path: Path, array: np.ndarray) -> None:
    with replacing(path) as temporary:
        np.save(temporary, array)


def write_parts(path: Path, parts: Iterable[np.ndarray], shape: tuple[int, ...]) -> None:
    """Write float32 `parts`, some rows each, as an array of `shape`, never whole in memory."""
    # Not numpy's open_memmap: on a full disk, writing to mapped memory kills the process.
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    with replacing(path) as temporary, temporary.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, header)
        for part in parts:
            stream.write(np.ascontiguousarray(part).data)


def write_table(path: Path, table: pd.DataFrame, at_once: bool = False) -> None:
    write_text(path, table.to_csv(index=False, lineterminator="\n"), at_once)


def md5(path: Path) -> str:
    """Return the md5 of a file, as dvc.lock has it."""
    with path.open("rb") as stream:  # in blocks, since an array may be larger than the memory
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


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
