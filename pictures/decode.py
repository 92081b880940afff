"""Decode PNG and JPEG files."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

FORMATS = "PNG", "JPEG"
LARGEST = 1000  # pixels; more of them only cost time
GREY = "1", "L", "LA", "I;16"  # the modes without colours

Image.MAX_IMAGE_PIXELS = None  # opened has limits of its own


class PictureError(ValueError):
    """A file that can't be used as a picture: its path, what was found, what was expected."""


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """Open a PNG or JPEG file; raise PictureError if it is anything else, damaged, or too large."""
    expected = "a PNG or JPEG file"
    try:
        # What Pillow warns of (damaged EXIF data, for example) does no harm here.
        with warnings.catch_warnings(action="ignore"), Image.open(path, formats=FORMATS) as image:
            # Baseline JPEG is decoded at an eighth of its size, anything else in 0.7 GB.
            whole = image.format == "PNG" or "progressive" in image.info
            megapixels = 89 if whole else 200
            if image.width * image.height > megapixels * 1_000_000:
                expected = f"at most {megapixels} megapixels"
                raise ValueError(f"{image.width} x {image.height} pixels")
            yield image
    except Exception as error:  # Pillow raises whatever the damage provokes
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        reason = reason.removesuffix(f" {str(path)!r}")
        raise PictureError(f"{path}: {reason}; expected {expected}") from None


def load(path: Path) -> Image.Image:
    """Return the picture at `path`, 8 bits deep, upright as its EXIF data say."""
    with opened(path) as image:
        image.draft(None, (LARGEST, LARGEST))
        ImageOps.exif_transpose(image, in_place=True)
        image.load()
        deep = image.mode == "I;16"  # Pillow would clip it
        return image.point(lambda value: value / 256).convert("L") if deep else image


def on(background: str, image: Image.Image, mode: str) -> Image.Image:
    """Return `image` in `mode`, L or RGB, with `background` where it is transparent."""
    if image.has_transparency_data:
        sheet = Image.new("RGBA", image.size, background)
        image = Image.alpha_composite(sheet, image.convert("RGBA"))
    return image.convert(mode)


def as_array(image: Image.Image, shape: tuple[int, int, int]) -> np.ndarray:
    """Return `image` on white as uint8 of `shape` (height, width, 1 or 3 channels), resized."""
    height, width, channels = shape
    opaque = on("white", image, "L" if channels == 1 else "RGB")
    if opaque.size != (width, height):
        # Not Lanczos: its coefficients come from the system's sine.
        opaque = opaque.resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(opaque).reshape(shape)
