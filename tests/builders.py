"""Small inputs, written by the formats' descriptions and not by the code under test."""

import struct
from pathlib import Path

import numpy as np

from stages.prepare import idx

ROOT = Path(__file__).parents[1]
MNIST = ROOT / "data/raw/mnist"


def write_idx(path: Path, array: np.ndarray) -> None:
    """Write uint8 `array` as an IDX file, by the format's description and not by our reader."""
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header + array.astype(np.uint8).tobytes())


def write_data_set(folder: Path, train: int = 300, test: int = 100) -> None:
    """Write the first images of MNIST's two sets into `folder`, as plain IDX files."""
    for prefix, n in ("train", train), ("t10k", test):
        for kind, ndim in ("images-idx3", 3), ("labels-idx1", 1):
            name = f"{prefix}-{kind}-ubyte"
            write_idx(folder / name, idx.read(MNIST / f"{name}.gz", ndim)[:n])
