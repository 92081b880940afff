"""Decode PNG, JPEG and WebP files to 8 bits, upright; only pixels and orientation count."""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from pictures import png

JPEG = b"\xff\xd8\xff"
WEBP = re.compile(b"RIFF....WEBP", re.DOTALL)  # the dots are the length of what follows them
LARGEST = 1000  # pixels of a side; more of them only cost time
GREY = "1", "L", "LA", "I;16"  # the modes without colours

# What turns a picture upright, by the orientation in its EXIF data: 1 is upright.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SIDEWAYS = 5, 6, 7, 8


class PictureError(ValueError):
    """A file that can't be used as a picture: its path, what was found, what was expected."""


@contextmanager
def opened(path: Path) -> Iterator[PngImageFile | JpegImageFile | WebPImageFile]:
    """Open a PNG, JPEG or WebP file, none of whose pixels are decoded yet.

    Raises PictureError if it is anything else, damaged, or too large, or if the block fails.
    """
    expected = "a PNG, JPEG or WebP file"
    try:
        # What Pillow warns of (damaged EXIF data, for example) does no harm here.
        with warnings.catch_warnings(action="ignore"), identified(path) as image:
            # Baseline JPEG can be decoded at an eighth of its size, anything else in 0.7 GB.
            baseline = isinstance(image, JpegImageFile) and "progressive" not in image.info
            megapixels = 200 if baseline else 89
            if image.width * image.height > megapixels * 1_000_000:
                expected = f"at most {megapixels} megapixels"
                raise ValueError(f"{image.width} x {image.height} pixels")
            yield image
    except MemoryError:  # no fault of the file
        raise
    except Exception as error:  # Pillow raises whatever the damage provokes
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        if reason.endswith("-bit layers"):
            expected = "a JPEG file of 8 bits, or a PNG file"
        raise PictureError(f"{path}: {reason}; expected {expected}") from None


def identified(path: Path) -> PngImageFile | JpegImageFile | WebPImageFile:
    """Read a file, and have Pillow look at its header; raise ValueError for another format."""
    with path.open("rb") as stream:
        start = stream.read(12)
        if not start.startswith((png.SIGNATURE, JPEG)) and not WEBP.match(start):
            raise ValueError("cannot identify image file")
        content = start + stream.read()
    try:
        # Not Image.open: it also reads the index of further pictures in a JPEG file, or fails to.
        if start.startswith(png.SIGNATURE):
            return PngImageFile(BytesIO(png.without_metadata(content)))
        if start.startswith(JPEG):
            return JpegImageFile(BytesIO(content))
        if len(content) < 8 + int.from_bytes(start[4:8], "little"):
            raise ValueError("truncated")
        if (image := WebPImageFile(BytesIO(content))).is_animated:
            raise ValueError("an animation")
        return image
    except SyntaxError as error:
        whole = str(error).startswith("cannot handle")  # 12-bit layers, for example
        raise ValueError(str(error) if whole else f"damaged ({error})") from None


def load(path: Path, size: tuple[int, int]) -> Image.Image:
    """Return the picture at `path`, 8 bits deep, upright as its EXIF data say.

    A JPEG file that is larger than `size` (height, width) may come at 1/2, 1/4 or 1/8 of its own
    size, but its sides stay as long as the longest of `size` and as LARGEST.
    """
    side = max(LARGEST, *size)
    with opened(path) as image:
        if isinstance(image, PngImageFile):
            decoded = png.decode(image)
        else:
            image.draft(None, (side, side))
            image.load()
            decoded = image
        turn = TURNS.get(orientation(image))
        return decoded.transpose(turn) if turn is not None else decoded


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Return height and width of an opened picture as they will be when it is upright."""
    return image.size if orientation(image) in SIDEWAYS else image.size[::-1]


def orientation(image: Image.Image) -> int:
    """Return the orientation in an opened picture's EXIF data; without any it is 1, upright."""
    # Not Pillow's getexif and exif_transpose: they obey XMP as well, and the second one fails for
    # EXIF data that it can't write again.
    exif = Image.Exif()
    try:
        exif.load(image.info.get("exif", b""))
    except Exception:  # damaged: Pillow raises whatever that provokes
        return 1
    found = exif.get(ExifTags.Base.Orientation)
    return found if found in TURNS else 1


def flatten(image: Image.Image, mode: str, background: str = "white") -> Image.Image:
    """Return `image` in `mode`, L or RGB, with `background` where it is transparent."""
    if image.has_transparency_data:
        sheet = Image.new("RGBA", image.size, background)
        image = Image.alpha_composite(sheet, image.convert("RGBA"))
    return image.convert(mode)


def as_array(image: Image.Image, shape: tuple[int, int, int]) -> np.ndarray:
    """Return `image` on white as uint8 of `shape` (height, width, 1 or 3 channels), resized."""
    height, width, channels = shape
    opaque = flatten(image, "L" if channels == 1 else "RGB")
    if opaque.size != (width, height):
        # Not Lanczos: its coefficients come from the system's sine.
        opaque = opaque.resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(opaque).reshape(shape)
