"""Pictures of digits become what MNIST made of them; anything else is refused in one line."""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageDraw, ImageOps

import pictures
from predict import picture
from tests.builders import DIGITS, enlarge

DAMAGED_EXIF = b"Exif\0\0MM\0*\0\0\0\x08\0\x02\x01\x12"  # it ends before the tag's value


def stencil(image: Image.Image, colour: str) -> Image.Image:
    """Return `colour` where the image is light, nothing where it is dark."""
    drawn = Image.new("RGBA", image.size, colour)
    drawn.putalpha(image)
    return drawn


def photograph(image: Image.Image) -> Image.Image:
    """Return dark ink on grey paper, with a shade across it and noise."""
    shade = np.linspace(0, 35, image.width) + np.random.default_rng(0).normal(
        0, 5, (image.height, image.width)
    )
    pixels = 193 - 0.6 * np.asarray(image, np.float64) + shade
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def turn(image: Image.Image, path: Path) -> None:
    """Save the image on its side, with the EXIF tag that says so."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    ImageOps.invert(image).rotate(90, expand=True).save(path, exif=exif)


def deepen(image: Image.Image) -> Image.Image:
    return Image.fromarray(np.asarray(image).astype(np.uint16) * 257)


Save = Callable[[Image.Image, Path], object]
WAYS: dict[str, tuple[str, Save]] = {
    "light on dark": ("a.png", lambda image, path: image.save(path)),
    "dark on light": ("a.jpg", lambda image, path: ImageOps.invert(image).save(path)),
    "a photograph": ("a.jpg", lambda image, path: photograph(image).save(path)),
    "turned by EXIF": ("a.jpg", turn),
    "colours": ("a.png", lambda image, path: ImageOps.colorize(image, "navy", "gold").save(path)),
    "a palette": ("a.png", lambda image, path: image.quantize(16).save(path)),
    "black on nothing": ("a.png", lambda image, path: stencil(image, "black").save(path)),
    "white on nothing": ("a.png", lambda image, path: stencil(image, "white").save(path)),
    "16 bits": ("a.png", lambda image, path: deepen(image).save(path)),
    "progressive": ("a.jpg", lambda image, path: image.save(path, progressive=True)),
    "damaged EXIF": ("a.jpg", lambda image, path: image.save(path, exif=DAMAGED_EXIF)),
    "CMYK": ("a.jpg", lambda image, path: image.convert("CMYK").save(path)),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.filterwarnings("error")
def test_digits_of_mnist_come_back_as_they_were(way: str, tmp_path: Path) -> None:
    name, save = WAYS[way]
    differences = []
    for digit in DIGITS:
        save(enlarge(digit), tmp_path / name)
        prepared = picture.prepare(picture.read(tmp_path / name), 28, 28)
        assert prepared.shape == (28, 28, 1)
        assert prepared.dtype == np.float32
        differences.append(np.abs(prepared[..., 0] - digit / 255).mean())
    assert np.mean(differences) < 0.035, "shifted by a pixel, it is 0.064"


@pytest.mark.parametrize(("height", "width"), [(28, 28), (12, 20), (56, 28)])
def test_ink_fits_the_inner_box_and_balances_in_the_middle(height: int, width: int) -> None:
    image = Image.new("L", (300, 500), 255)
    ImageDraw.Draw(image).rectangle((30, 40, 89, 359), fill=0)  # 60 by 320 pixels
    prepared = picture.prepare(np.asarray(image, np.float32) / 255, height, width)[..., 0]
    rows, columns = np.nonzero(prepared.any(axis=1))[0], np.nonzero(prepared.any(axis=0))[0]
    assert len(rows) == round(height * 20 / 28)
    assert len(columns) == max(1, round(height * 20 / 28 * 60 / 320))
    assert abs(rows.mean() - height / 2) <= 0.5
    assert abs(columns.mean() - width / 2) <= 0.5
    assert prepared.max() == 1


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_symmetric_ink_lies_half_a_pixel_off_on_the_same_side(width: int) -> None:
    """The last bits of a sum would decide otherwise from one picture to the next."""
    for side in range(40, 200):
        grey = np.zeros((200, 200), np.float32)
        left = 100 - side * width // 20
        grey[100 - side // 2 : 100 + side // 2, left : left + side * width // 10] = 1
        prepared = picture.prepare(grey, 28, 28)[..., 0]
        (columns,) = np.nonzero(prepared.any(axis=0))
        assert columns[0] == (28 - len(columns)) // 2


@pytest.mark.parametrize("side", [28, 100, 400, 1000])
def test_a_pen_of_one_pixel_is_seen(side: int, tmp_path: Path) -> None:
    image = Image.new("L", (side, side), 255)
    corners = [(0.2, 0.2), (0.7, 0.2), (0.4, 0.9)]  # a seven, half as wide as it is high
    ImageDraw.Draw(image).line([(x * side, y * side) for x, y in corners], fill=0)
    image.save(tmp_path / "a.png")
    prepared = picture.load(tmp_path / "a.png", (28, 28, 1), centre_ink=True)[..., 0] > 0.2
    assert prepared.any(axis=1).sum() == 20
    assert 13 <= prepared.any(axis=0).sum() <= 15


def promise(path: Path, width: int, height: int, **options: Any) -> None:
    """Write a JPEG file of a few bytes whose header promises `width` by `height` pixels."""
    Image.new("L", (9, 7)).save(path, **options)
    before, after = path.read_bytes().split(struct.pack(">HH", 7, 9))
    path.write_bytes(before + struct.pack(">HH", height, width) + after)


def cut(path: Path) -> None:
    enlarge(DIGITS[0]).save(path, "PNG" if path.suffix == ".png" else "JPEG")
    path.write_bytes(path.read_bytes()[:600])


def flip(path: Path) -> None:
    enlarge(DIGITS[0]).save(path)
    content = path.read_bytes()
    path.write_bytes(content[:60] + bytes(40) + content[100:])


BAD: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "missing": ("a.png", lambda path: None, "No such file"),
    "a folder": ("a.png", lambda path: path.mkdir(), "Is a directory"),
    "text": ("a.png", lambda path: path.write_text("five"), "cannot identify"),
    "empty": ("a.png", lambda path: path.write_bytes(b""), "cannot identify"),
    "another format": ("a.gif", lambda path: Image.new("L", (9, 9)).save(path), "cannot identify"),
    "truncated PNG": ("a.png", cut, "truncated"),
    "truncated JPEG": ("a.jpg", cut, "truncated"),
    "damaged PNG": ("a.png", flip, ""),
    "a PNG bomb": (
        "a.png",
        lambda path: Image.new("1", (10_000, 9_000)).save(path),
        "10000 x 9000 pixels; expected at most 89 megapixels",
    ),
    "a large progressive JPEG": (
        "a.jpg",
        lambda path: promise(path, 10_000, 9_000, progressive=True),
        "10000 x 9000 pixels; expected at most 89 megapixels",
    ),
    "a large JPEG": (
        "a.jpg",
        lambda path: promise(path, 20_100, 10_000),
        "20100 x 10000 pixels; expected at most 200 megapixels",
    ),
    "blank": ("a.png", lambda path: Image.new("L", (99, 99), 200).save(path), "blank"),
    "nothing": ("a.png", lambda path: Image.new("RGBA", (99, 99)).save(path), "blank"),
    "a single pixel": ("a.png", lambda path: Image.new("L", (1, 1)).save(path), "blank"),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.filterwarnings("error")
def test_a_bad_file_is_named_in_one_line(case: str, tmp_path: Path) -> None:
    name, make, reason = BAD[case]
    make(tmp_path / name)
    with pytest.raises(pictures.PictureError) as raised:
        picture.read(tmp_path / name)
    message = str(raised.value)
    assert message.startswith(f"{tmp_path / name}: ")
    assert reason in message
    assert "expected" in message
    assert "\n" not in message


def test_stripes_that_fade_when_they_shrink_are_blank(tmp_path: Path) -> None:
    Image.fromarray(np.tile(np.array([0, 255], np.uint8), (600, 300))).save(tmp_path / "a.png")
    with pytest.raises(pictures.PictureError, match=r"a\.png: blank; expected something drawn"):
        picture.read(tmp_path / "a.png")


def test_a_large_photograph_is_decoded_at_an_eighth_of_its_size(tmp_path: Path) -> None:
    image = Image.new("L", (20_000, 10_000), 255)
    ImageDraw.Draw(image).rectangle((5_000, 2_000, 9_999, 7_999), fill=0)
    image.save(tmp_path / "a.jpg")
    assert pictures.load(tmp_path / "a.jpg", (28, 28)).size == (2_500, 1_250)
    grey = picture.read(tmp_path / "a.jpg")
    assert grey.shape == (100, 200)
    assert grey[22:78, 52:98].max() < 0.05
    assert grey[:18].min() > 0.95
