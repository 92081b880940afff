"""The page's small pictures: as the network got them, and lit where it looked."""

import base64
import io

import numpy as np
from PIL import Image

from stages.visualize.thumbnails import LARGEST, light_up, thumbnail


def pixels(image: np.ndarray) -> np.ndarray:
    source = thumbnail(image)["src"].removeprefix("data:image/png;base64,")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(source))))


def test_a_small_image_keeps_its_pixels_in_grey_or_in_colour() -> None:
    image = np.arange(60, dtype=np.float32).reshape(5, 4, 3) / 255
    np.testing.assert_array_equal(pixels(image), np.arange(60).reshape(5, 4, 3))
    np.testing.assert_array_equal(pixels(image[..., :1]), np.arange(0, 60, 3).reshape(5, 4))


def test_a_large_image_is_reduced_to_what_the_page_shows() -> None:
    image = np.full((300, 200, 3), 0.2, np.float32)
    shown = pixels(image)
    assert shown.shape == (LARGEST, LARGEST * 2 // 3, 3)
    assert (shown == 51).all()


def test_an_image_is_lit_where_the_network_looked_on_black_and_on_white() -> None:
    where = np.array([[0, 0.5, 1]], np.float32)
    for background in 0.0, 1.0:
        (left, middle, right) = light_up(np.full((1, 3, 1), background, np.float32), where)[0]
        assert left[0] == left[1] == left[2] <= 0.5, "grey, and dark"
        assert right[0] > right[1] > right[2], "amber"
        assert left.sum() < middle.sum() < right.sum()
        assert right.max() <= 1
