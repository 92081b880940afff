"""Read PNG more strictly than Pillow does: https://www.w3.org/TR/png-3/."""

import struct
import zlib
from typing import IO

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

SIGNATURE = b"\x89PNG\r\n\x1a\n"
USED = b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"eXIf"  # the last one for its orientation
METADATA = (
    *(b"bKGD", b"cHRM", b"gAMA", b"hIST", b"iCCP", b"iTXt", b"pHYs", b"sBIT", b"sPLT", b"sRGB"),
    *(b"tEXt", b"tIME", b"zTXt"),
)
END = b"\0\0\0\0IEND\xaeB`\x82"

# Pillow's names for grey of 2 and 4 bits, whose values it multiplies by this to fill 8 bits.
FACTORS = {"L;2": 85, "L;4": 17}


def without_metadata(content: bytes) -> bytes:
    """Return a PNG file with nothing but the chunks that decide about its pixels.

    Raises ValueError if it is damaged, except for text, colour profiles and other metadata, which
    are not looked at.
    """
    whole = memoryview(content)
    chunks = [whole[: len(SIGNATURE)]]
    start = len(SIGNATURE)
    while start + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, start)
        end = start + 12 + length
        if kind == b"IEND":
            break
        if kind not in METADATA:  # unknown ones are checked: one may be a used one's damaged name
            if end > len(content):
                raise ValueError(f"truncated in chunk {kind!r}")
            # Pillow doesn't check IDAT, and reads 2 to 3% of small damaged files without a word.
            if zlib.crc32(whole[start + 4 : end - 4]) != int.from_bytes(whole[end - 4 : end]):
                raise ValueError(f"damaged (wrong checksum of chunk {kind!r})")
        if kind in USED:
            # eXIf may come last, but the upright size is needed first.
            chunks.insert(2 if kind == b"eXIf" else len(chunks), whole[start:end])
        start = end
    if not any(bytes(chunk[4:8]) == b"IDAT" for chunk in chunks[1:]):
        raise ValueError("no image data")
    return b"".join([*chunks, END])


def decode(image: PngImageFile) -> Image.Image:
    """Return an opened `image` in 8 bits, with an alpha channel if it has a transparent colour.

    That colour is compared in the file's own depth. Palettes are left to Pillow.
    """
    file, rawmode = image.fp, str(image.tile[0].args)
    image.load()
    reduced: Image.Image = image
    if image.mode == "I;16":  # Pillow would clip it
        reduced = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
        reduced.info = image.info
    if image.mode != "P" and "transparency" in image.info:
        colour = np.multiply(image.info.pop("transparency"), FACTORS.get(rawmode, 1))
        transparent = (samples(image, file, rawmode) == colour).all(axis=-1)
        reduced.putalpha(Image.fromarray(~transparent))
    return reduced


def samples(image: PngImageFile, file: IO[bytes] | None, rawmode: str) -> np.ndarray:
    """Return the samples (height, width, channels) of a loaded `image`, as deep as in its file."""
    high = np.asarray(image.convert("L") if image.mode == "1" else image)
    if rawmode == "RGB;16B" and file:  # Pillow keeps the first byte of each sample
        file.seek(0)
        low = PngImageFile(file)
        low.tile = [tile._replace(args="RGB;16L") for tile in low.tile]  # and now the second one
        high = high.astype(np.uint16) << 8 | np.asarray(low)
    return high.reshape(image.height, image.width, -1)
