"""Photographs of digits become what MNIST made of them, on plain paper and on ruled paper."""

from pathlib import Path

import numpy as np
import pytest

from predict import picture
from stages.prepare import idx
from tests import photographs
from tests.builders import MNIST


@pytest.mark.parametrize(("ruled", "bound"), [(False, 0.07), (True, 0.08)])
def test_photographs_come_close_to_the_digits(ruled: bool, bound: float, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    path = tmp_path / "a.jpg"
    differences = []
    for digit in idx.read_array(MNIST / "train-images-idx3-ubyte.gz", 3)[-6:]:
        photographs.photograph(digit, path, random, ruled)
        prepared = picture.prepare(picture.read(path), 28, 28)
        differences.append(np.abs(prepared[..., 0] - digit / 255).mean())
    assert np.mean(differences) < bound, "lines taken for ink make it 0.12"
