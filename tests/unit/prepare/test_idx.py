"""Reading IDX and scaling: checked against bytes written by hand."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from stages.common import paths
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
