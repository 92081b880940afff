"""Many images are computed in batches that fit into memory."""

import numpy as np
import pytest

from stages.backend import inference


@pytest.mark.parametrize(
    ("side", "channels", "batches"), [(28, 1, [1000, 20]), (280, 3, [10] * 3), (2000, 3, [1, 1])]
)
def test_larger_images_are_computed_in_smaller_batches(
    side: int, channels: int, batches: list[int]
) -> None:
    seen = []

    class Watched:
        def predict_on_batch(self, images: np.ndarray) -> np.ndarray:
            seen.append(len(images))
            return images[:, 0, :2, 0]

    images = np.zeros((1, side, side, channels), np.float32)
    images = np.broadcast_to(images, (sum(batches), side, side, channels))
    assert inference.predict(Watched(), images).shape == (sum(batches), 2)
    assert seen == batches
