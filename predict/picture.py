"""Prepare a picture as its data set was: MNIST's are scaled and centred, light on dark."""

from pathlib import Path

import numpy as np
from PIL import Image

import pictures
from stages.prepare.dataset import scale

# Fractions of the strongest contrast: below PAPER is background, above INK is full ink.
PAPER, INK = 0.3, 0.7
FULL = 0.65  # of full ink: what has less, as a ruled line may, doesn't count for the crop
FAINT = 0.1  # of the range from black to white: less contrast is no drawing


def load(path: Path, shape: tuple[int, int, int], centre_ink: bool) -> np.ndarray:
    """Return the picture at `path` as float32 of `shape` (height, width, channels) in [0, 1].

    It is prepared as its data set was. Raises PictureError if it can't be read.
    """
    if centre_ink:
        return prepare(read(path), *shape[:2])
    return scale(pictures.as_array(pictures.load(path, shape[:2]), shape))


def read(path: Path) -> np.ndarray:
    """Return the picture at `path` as float32 grey (height, width) in [0, 1].

    Transparent parts are white, or black if nothing could be seen on white. Raises PictureError if
    it can't be read, or is blank.
    """
    size = (pictures.LARGEST, pictures.LARGEST)
    image = pictures.load(path, size).convert("RGBA")
    image.thumbnail(size)
    for background in "white", "black":
        grey = scale(np.asarray(pictures.flatten(image, "L", background)))
        if np.ptp(grey) >= FAINT:
            return grey
    raise pictures.PictureError(
        f"{path}: blank; expected something drawn, dark on light or light on dark"
    )


def find_ink(grey: np.ndarray) -> Image.Image:
    """Return the ink, mode F in [0, 1], cropped; the edge of grey gives the background level."""
    image = Image.fromarray(grey)
    image.thumbnail((200, 200))  # noise and ruled lines fade
    grey = np.asarray(image)
    paper = np.median(np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]]))
    ink = paper - grey if 2 * paper > grey.min() + grey.max() else grey - paper
    ink = np.asarray((ink / ink.max() - PAPER) / (INK - PAPER)).clip(0, 1)
    return Image.fromarray(ink).crop(Image.fromarray(ink > FULL).getbbox())


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
