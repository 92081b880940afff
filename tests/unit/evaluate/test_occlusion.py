"""Maps of where a model looked, for models of which one knows where they do."""

import numpy as np
import pytest

from stages.backend import inference
from stages.backend.runtime import keras
from stages.evaluate import occlusion


class Looks:
    """Answers 1 with a confidence that is the mean of some pixels' distance from `background`."""

    def __init__(self, rows: slice, columns: slice, background: float = 0) -> None:
        self.place, self.background = (slice(None), rows, columns), background

    def predict_on_batch(self, images: np.ndarray) -> np.ndarray:
        seen = np.abs(images[self.place] - self.background).mean(axis=(1, 2, 3))
        return np.stack([1 - seen, seen], axis=1)


def draw(model: object, images: np.ndarray, answer: int = 1) -> np.ndarray:
    return occlusion.draw_maps(model, images, np.arange(len(images)), np.full(len(images), answer))


def ink(shape: tuple[int, ...], background: float, colour: float) -> np.ndarray:
    """Return images with a bright field in their middle, which touches no edge."""
    images = np.full(shape, background, np.float32)
    images[:, 4:-4, 4:-4] = colour
    return images


@pytest.mark.parametrize(("background", "colour"), [(0, 0.9), (1, 0.1), (0.3, 0.8)])
@pytest.mark.parametrize("shape", [(2, 28, 28, 1), (1, 20, 45, 3)])
def test_the_map_shows_where_the_model_looked(
    background: float, colour: float, shape: tuple[int, ...]
) -> None:
    """On black, white or grey paper: the patch is of the paper's colour, so that it is no ink."""
    maps = draw(Looks(slice(8, 12), slice(6, 9), background), ink(shape, background, colour))
    assert maps.dtype == np.float32
    assert maps.shape == shape[:3]
    size = [round(side / 4) for side in shape[1:3]]
    for shown in maps:
        row, column = np.unravel_index(shown.argmax(), shown.shape)
        assert abs(row - 9.5) <= 2
        assert abs(column - 7) <= 3
        assert 0.5 < shown.max() <= 1
        far = np.ones(shape[1:3], bool)
        far[8 - size[0] : 12 + size[0], max(0, 6 - size[1]) : 9 + size[1]] = False
        assert not shown[far].any(), "no patch that reaches there covers what counts"


def test_a_pixel_holds_the_mean_of_what_goes_with_each_patch_over_it() -> None:
    """Of one row of eight pixels, a patch of two covers pixel 3 twice, once with each neighbour."""
    image = np.zeros((1, 1, 8, 1), np.float32)
    image[0, 0, 3] = 1
    # Of a row, all pixels are its edge: their median is 0.
    expected = np.array([[[0, 0, 1 / 2, 1, 1 / 2, 0, 0, 0]]])
    np.testing.assert_array_equal(draw(Looks(slice(0, 1), slice(3, 4)), image), expected)


def test_where_the_confidence_grows_the_map_is_empty() -> None:
    assert not draw(Looks(slice(8, 12), slice(6, 9)), ink((1, 28, 28, 1), 0, 0.9), answer=0).any()


def test_without_mistakes_there_are_no_maps() -> None:
    nothing = np.array([], np.int64)
    images = np.zeros((5, 28, 20, 1), np.float32)
    maps = occlusion.draw_maps(keras.Sequential(), images, nothing, nothing)
    assert maps.shape == (0, 28, 20)
    assert maps.dtype == np.float32


def test_maps_are_of_the_rows_and_answers_asked_for_however_many_are_computed_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    images = np.random.default_rng(0).random((5, 9, 12, 1), np.float32)
    rows, answers = np.array([4, 0, 3]), np.array([1, 0, 1])
    model = Looks(slice(2, 5), slice(3, 6))
    at_once = occlusion.draw_maps(model, images, rows, answers)
    monkeypatch.setattr(inference, "PIXELS", 2 * 9 * 12)
    np.testing.assert_array_equal(occlusion.draw_maps(model, images, rows, answers), at_once)
    for row, answer, one in zip(rows, answers, at_once, strict=True):
        np.testing.assert_array_equal(draw(model, images[row : row + 1], answer)[0], one)


@pytest.mark.parametrize("side", [1, 2, 3, 5, 8, 28, 45, 1000])
def test_patches_lie_over_every_pixel_of_any_side(side: int) -> None:
    laid = list(occlusion.places(side))
    pixels = list(range(side))
    assert set().union(*(pixels[place] for place in laid)) == set(pixels)
    assert all(pixels[place] for place in laid)
    assert len(laid) <= 16
