"""Write files whole or not at all; read arrays without trusting them."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.api.types import is_numeric_dtype

from stages.errors import InputError


@contextmanager
def replacing(*paths: Path) -> Iterator[list[Path]]:
    """Yield a temporary path for each of `paths`; move all into place when the block succeeds.

    Nobody ever sees a half-written file: each is flushed to disk before its rename, and if the
    block fails all temporary files are removed and the old files stay. Raises InputError when
    the disk is full or a file can't be written.
    """
    partials = [path.with_name(f".partial-{path.name}") for path in paths]
    try:
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
        yield partials
        for partial in partials:
            with partial.open("rb+") as stream:
                os.fsync(stream.fileno())
        for partial, path in zip(partials, paths, strict=True):
            partial.replace(path)
    except OSError as error:
        names = ", ".join(str(path) for path in paths)
        raise InputError(f"{names}: cannot be written: {error.strerror or error}") from None
    finally:
        for partial in partials:
            partial.unlink(missing_ok=True)


def load_array(path: Path, dtype: npt.DTypeLike, ndim: int) -> np.ndarray:
    """Memory-map the .npy file at `path`, read-only.

    Raises InputError if it is missing, damaged, not plain numbers, or not of `dtype` and `ndim`.
    """
    expected = f"expected an array of {np.dtype(dtype).name} with {ndim} dimensions"
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise InputError(f"{path}: not found; {expected}") from None
    except (ValueError, EOFError) as error:
        raise InputError(f"{path}: damaged ({' '.join(str(error).split())}); {expected}") from None
    if not isinstance(array, np.ndarray) or array.dtype != dtype or array.ndim != ndim:
        found = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else "an archive"
        raise InputError(f"{path}: found {found}; {expected}")
    return array


def load_table(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Read numbers from the CSV file at `path`.

    Raises InputError unless it has rows, exactly `columns`, and a finite number in each cell.
    """
    expected = f"expected numbers in the columns {', '.join(columns)}"
    try:
        table = pd.read_csv(path)
    except FileNotFoundError:
        raise InputError(f"{path}: not found; {expected}") from None
    except (ValueError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: damaged ({' '.join(str(error).split())}); {expected}") from None
    if list(table.columns) != list(columns) or table.empty:
        found = f"{len(table)} rows of {', '.join(map(str, table.columns))}"
        raise InputError(f"{path}: found {found}; {expected}")
    for column in columns:
        if not (is_numeric_dtype(table[column]) and np.isfinite(table[column]).all()):
            raise InputError(f"{path}: column {column} has other things than numbers; {expected}")
    return table


def load_text(path: Path) -> str:
    """Read the UTF-8 file at `path`; raise InputError if it is missing or anything else."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"{path}: not found; expected a text file") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 ({error.reason}); expected a text file") from None


def load_names(path: Path) -> list[str]:
    """Read the names of the classes, one a line.

    Raises InputError if a line is empty, can't be printed, or is there twice.
    """
    names = [line.strip() for line in load_text(path).splitlines()]
    first: dict[str, int] = {}
    for number, name in enumerate(names, start=1):
        if not name or not name.isprintable() or first.setdefault(name, number) != number:
            raise InputError(
                f"{path}: line {number} is {name[:60]!r}; expected a class's name a line, each once"
            )
    return names
