"""Labels are made wrong, and counted where they are found."""

from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import doubts
from stages.prepare import idx
from tests.builders import MNIST


def test_a_tenth_of_mnist_has_sixty_wrong_labels(tmp_path: Path) -> None:
    rows = doubts.write_data_set(MNIST, tmp_path / "doubts")
    written = {path.name: path for path in (tmp_path / "doubts").iterdir()}
    assert len(written) == 4
    for name, path in written.items():
        ndim = 3 if "images" in name else 1
        array = idx.read_array(path, ndim)
        real = idx.read_array(MNIST / f"{name}.gz", ndim)[: len(array)]
        assert len(array) == (6000 if "train" in name else 1000)
        wrong = np.flatnonzero((array != real).reshape(len(array), -1).any(axis=1))
        assert wrong.tolist() == (sorted(rows) if name == "train-labels-idx1-ubyte" else [])
        assert ndim == 3 or array.max() == 9
    assert len(set(rows.tolist())) == 60


def test_only_training_images_among_the_first_lines_are_counted() -> None:
    table = pd.DataFrame({"part": ["train", "test", "validation", "train"], "index": [7, 7, 5, 6]})
    found = [doubts.count(table, np.array([5, 6, 7]), first) for first in (1, 2, 3, 4)]
    assert found == [1, 1, 2, 3]
