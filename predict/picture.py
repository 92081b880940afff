"""Prepare a picture as its data set was: MNIST's are scaled and centred, light on dark.

stages/export/prepare.js does the same in a browser: change both.
"""

from pathlib import Path

import numpy as np
from PIL import Image

import pictures

SIDE = 200  # pixels to which a picture is reduced: noise and ruled lines fade
# Fractions of the strongest contrast: below PAPER is background, above INK is full ink.
PAPER, INK = 0.3, 0.7
FULL = 0.65  # of full ink: what has less, as a ruled line may, doesn't count for the crop
FAINT = 0.1  # of the range from black to white: less contrast is no drawing


def load(path: Path, shape: tuple[int, int, int], centre_ink: bool) -> np.ndarray:
    """Return the picture at `path` as float32 of `shape` (height, width, channels) in [0, 1].

    It is prepared as its data set was. Raises PictureError if it can't be read, or is blank.
    """
    if centre_ink:
        return prepare(read(path), *shape[:2])
    return scale(pictures.as_array(pictures.load(path, shape[:2]), shape))


def scale(array: np.ndarray) -> np.ndarray:
    """Turn uint8 into float32 in [0, 1], as prepare does."""
    scaled: np.ndarray = np.divide(array, 255, dtype=np.float32)
    return scaled


def read(path: Path) -> np.ndarray:
    """Return the picture at `path` as float32 grey in [0, 1], its sides at most 200 pixels long.

    Transparent parts are white, or black if nothing could be seen on white. Raises PictureError if
    it can't be read, or is blank.
    """
    size = (pictures.LARGEST, pictures.LARGEST)
    image = pictures.load(path, size).convert("RGBA")
    image.thumbnail(size)
    for background in "white", "black":
        reduced = Image.fromarray(scale(np.asarray(pictures.flatten(image, "L", background))))
        reduced.thumbnail((SIDE, SIDE))
        grey = np.asarray(reduced)
        if np.ptp(grey) >= FAINT:  # fine stripes also fade
            return grey
    raise pictures.PictureError(
        f"{path}: blank; expected something drawn, dark on light or light on dark"
    )


def find_ink(grey: np.ndarray) -> Image.Image:
    """Return the ink, mode F in [0, 1], cropped; the edge of grey gives the background level."""
    paper = np.median(np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]]))
    ink = paper - grey if 2 * paper > grey.min() + grey.max() else grey - paper
    ink = np.asarray((ink / ink.max() - PAPER) / (INK - PAPER)).clip(0, 1)
    return Image.fromarray(ink).crop(Image.fromarray(ink > FULL).getbbox())


def prepare(grey: np.ndarray, height: int, width: int) -> np.ndarray:
    """Turn grey, as `read` returns it, into float32 (height, width, 1) in [0, 1].

    As in MNIST, the ink fits into 20 pixels of 28 and its centre of mass lies in the middle.
    """
    ink = find_ink(grey)
    scale = min(20 / 28 * height / ink.height, 20 / 28 * width / ink.width)
    size = (max(1, int(ink.width * scale + 0.5)), max(1, int(ink.height * scale + 0.5)))
    small = np.asarray(ink.resize(size, Image.Resampling.LANCZOS)).clip(0, 1)
    top, left = (offset(small.sum(axis=1), height), offset(small.sum(axis=0), width))
    prepared = np.zeros((height, width, 1), np.float32)
    # Thin strokes fade when they shrink: the strongest is white again.
    prepared[top : top + size[1], left : left + size[0], 0] = small / small.max()
    return prepared


def offset(weights: np.ndarray, side: int) -> int:
    """Return where `weights` begin among `side` pixels, so that they balance in the middle."""
    centre = np.average(np.arange(len(weights)), weights=weights)
    # Symmetric ink lies half a pixel off the middle, above or to the left of it: if the last bits
    # of the sum decided that, a browser would decide otherwise.
    start = int(np.ceil(side / 2 - centre - 0.501))
    return min(max(start, 0), side - len(weights))
