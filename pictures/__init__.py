"""Decodes PNG, JPEG and WebP, alike in a data set and for a prediction, with NumPy and Pillow."""

from pictures.decode import (
    GREY,
    LARGEST,
    PictureError,
    as_array,
    flatten,
    load,
    opened,
    upright_size,
)

__all__ = [
    "GREY",
    "LARGEST",
    "PictureError",
    "as_array",
    "flatten",
    "load",
    "opened",
    "upright_size",
]
