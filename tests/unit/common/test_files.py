"""Files are written whole or not at all, the same bytes on every system; names are read."""

import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stages.common import files
from stages.common.files import load_names, md5, write_parts, write_table
from tests.files import md5_of


def test_files_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "old.txt"
    path.write_text("before")
    with pytest.raises(ZeroDivisionError), files.replacing(path) as partial:
        partial.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "before"
    assert [left.name for left in tmp_path.iterdir()] == ["old.txt"]


def test_an_array_written_part_by_part_has_the_bytes_of_numpys_own(tmp_path: Path) -> None:
    array = np.random.default_rng(0).random((7, 3, 2, 1), np.float32)
    write_parts(tmp_path / "parts.npy", (array[:3], array[3:4], array[4:, ::1]), array.shape)
    np.save(tmp_path / "whole.npy", array)
    assert (tmp_path / "parts.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()


def test_tables_have_the_same_line_ends_on_every_system(tmp_path: Path) -> None:
    write_table(tmp_path / "table.csv", pd.DataFrame({"a": [1, 2]}))
    assert (tmp_path / "table.csv").read_bytes() == b"a\n1\n2\n"


def test_a_file_is_hashed_in_blocks_so_that_it_may_be_larger_than_the_memory(
    tmp_path: Path,
) -> None:
    path = tmp_path / "array.npy"
    with path.open("wb") as stream:
        stream.truncate(32 * 2**20)
    tracemalloc.start()
    found = md5(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == md5_of(path)
    assert peak < 2**20


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_names_are_read_as_any_editor_writes_them(tmp_path: Path, encoding: str, end: str) -> None:
    path = tmp_path / "classes.txt"
    path.write_bytes(end.join(["nula", " jedna dvě ", "třetí"]).encode(encoding))
    assert load_names(path) == ["nula", "jedna dvě", "třetí"]
