"""Read a picture of a character and prepare it as MNIST's were: scaled, centred, light on dark."""

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from stages.common.errors import InputError

# Fractions of the strongest contrast: below PAPER is background, above INK is full ink.
PAPER, INK = 0.3, 0.7
FORMATS = "PNG", "JPEG"
LARGEST = 1000  # pixels; more of them only cost time
FAINT = 0.1  # of the range from black to white: less contrast is no drawing

Image.MAX_IMAGE_PIXELS = None  # read has limits of its own


def load(path: Path) -> Image.Image:
    """Return the PNG or JPEG file at `path`, upright as its EXIF data say, in mode RGBA.

    Raises InputError if it is anything else, damaged, or too large.
    """
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
            image.draft(None, (LARGEST, LARGEST))
            ImageOps.exif_transpose(image, in_place=True)
            deep = image.mode == "I;16"  # Pillow would clip it
            return (image.point(lambda value: value / 256) if deep else image).convert("RGBA")
    except Exception as error:  # Pillow raises whatever the damage provokes
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise InputError(f"{path}: {reason}; expected {expected}") from None


def read(path: Path) -> np.ndarray:
    """Return the picture at `path` as float32 grey (height, width) in [0, 1].

    Transparent parts are white, or black if nothing could be seen on white. Raises InputError if
    it can't be read, or is blank.
    """
    image = load(path)
    image.thumbnail((LARGEST, LARGEST))
    for background in "white", "black":
        opaque = Image.alpha_composite(Image.new("RGBA", image.size, background), image)
        grey = np.asarray(opaque.convert("L"), np.float32) / np.float32(255)
        if np.ptp(grey) >= FAINT:
            return grey
    raise InputError(f"{path}: blank; expected something drawn, dark on light or light on dark")


def find_ink(grey: np.ndarray) -> Image.Image:
    """Return the ink, mode F in [0, 1], cropped; the edge of grey gives the background level."""
    image = Image.fromarray(grey)
    image.thumbnail((200, 200))  # noise and ruled lines fade, and a median removes the rest
    smooth = np.asarray(image.filter(ImageFilter.MedianFilter(3 if min(image.size) >= 64 else 1)))
    grey = smooth if 2 * np.ptp(smooth) > np.ptp(grey) else np.asarray(image)  # a very fine pen
    paper = np.median(np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]]))
    ink = paper - grey if 2 * paper > grey.min() + grey.max() else grey - paper
    ink = np.asarray((ink / ink.max() - PAPER) / (INK - PAPER)).clip(0, 1)
    return Image.fromarray(ink).crop(Image.fromarray(ink > 0.65).getbbox())


def prepare(grey: np.ndarray, height: int, width: int) -> np.ndarray:
    """Turn grey (any height, any width) in [0, 1] into float32 (height, width, 1) in [0, 1].

    As in MNIST, the ink fits into 20 pixels of 28 and its centre of mass lies in the middle.
    """
    ink = find_ink(grey)
    scale = min(20 / 28 * height / ink.height, 20 / 28 * width / ink.width)
    size = (max(1, round(ink.width * scale)), max(1, round(ink.height * scale)))
    small = np.asarray(ink.resize(size, Image.Resampling.LANCZOS)).clip(0, 1)
    prepared = np.zeros((height, width, 1), np.float32)
    # Thin strokes fade when they shrink: the strongest is white again.
    prepared[: size[1], : size[0], 0] = small / small.max()
    for axis, side in enumerate((height, width)):
        weights = small.sum(axis=1 - axis)
        centre = np.average(np.arange(len(weights)), weights=weights)
        shift = min(max(round(side / 2 - centre), 0), side - len(weights))
        prepared = np.roll(prepared, shift, axis)
    return prepared
