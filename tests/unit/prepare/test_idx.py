"""Reading IDX and scaling: checked against bytes written by hand."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stages.common import paths
from stages.common.files import load_names, write_parts, write_table
from stages.prepare import idx
from stages.prepare.dataset import scale

# Two images of 2x3 pixels, written out by the format's description.
HEADER = bytes.fromhex("00000803 00000002 00000002 00000003")
PIXELS = bytes([0, 51, 102, 153, 204, 255, 1, 2, 3, 4, 5, 6])


@pytest.mark.parametrize("name", ["images", "images.gz"])
def test_idx_holds_what_was_written_by_hand(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    content = HEADER + PIXELS
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    images = idx.read_array(path, ndim=3)
    assert images.dtype == np.uint8
    assert images.tolist() == [[[0, 51, 102], [153, 204, 255]], [[1, 2, 3], [4, 5, 6]]]


def test_scaling_gives_float32() -> None:
    scaled = scale(np.array([[0, 51, 102], [153, 204, 255]], np.uint8))
    assert scaled.dtype == np.float32
    np.testing.assert_array_equal(scaled, np.array([[0, 0.2, 0.4], [0.6, 0.8, 1]], np.float32))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_names_are_read_as_any_editor_writes_them(tmp_path: Path, encoding: str, end: str) -> None:
    path = tmp_path / "classes.txt"
    path.write_bytes(end.join(["nula", " jedna dvě ", "třetí"]).encode(encoding))
    assert load_names(path) == ["nula", "jedna dvě", "třetí"]


def test_each_array_holds_its_part_of_the_data_set(prepared: Path) -> None:
    for prefix, x, y in (
        ("train", paths.X_TRAIN, paths.Y_TRAIN),
        ("t10k", paths.X_TEST, paths.Y_TEST),
    ):
        raw = {path.name: path.read_bytes() for path in (paths.RAW / "mnist").iterdir()}
        images = np.frombuffer(raw[f"{prefix}-images-idx3-ubyte"][16:], np.uint8)
        labels = np.frombuffer(raw[f"{prefix}-labels-idx1-ubyte"][8:], np.uint8)
        np.testing.assert_array_equal(np.load(y), labels)
        np.testing.assert_allclose(np.load(x).ravel() * 255, images, atol=1e-4)
    assert paths.CLASSES.read_text().split("\n") == [*"0123456789", ""]


def test_an_array_written_part_by_part_has_the_bytes_of_numpys_own(tmp_path: Path) -> None:
    array = np.random.default_rng(0).random((7, 3, 2, 1), np.float32)
    write_parts(tmp_path / "parts.npy", (array[:3], array[3:4], array[4:, ::1]), array.shape)
    np.save(tmp_path / "whole.npy", array)
    assert (tmp_path / "parts.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()


def test_tables_have_the_same_line_ends_on_every_system(tmp_path: Path) -> None:
    write_table(tmp_path / "table.csv", pd.DataFrame({"a": [1, 2]}))
    assert (tmp_path / "table.csv").read_bytes() == b"a\n1\n2\n"
