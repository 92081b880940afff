"""PNG, JPEG and WebP files are decoded to the pixels that they hold, or refused in one line."""

import re
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps

import pictures
from tests.pngs import GREY, RGB, chunk, data, header, png

ROWS = [np.random.default_rng(0).bytes(6) for _ in range(5)]
SIZE = (5, 6)


def load(path: Path) -> Image.Image:
    return pictures.load(path, SIZE)


def pixels(path: Path) -> list[bytes]:
    return [bytes(row) for row in np.asarray(load(path))]


def flips(content: bytes, start: int, end: int) -> list[bytes]:
    """Return `content` with each bit from byte `start` to `end` flipped in turn."""
    return [
        content[:i] + bytes([content[i] ^ 1 << bit]) + content[i + 1 :]
        for i in range(start, end)
        for bit in range(8)
    ]


@pytest.mark.parametrize("kind", ["IHDR", "PLTE", "IDAT", "tRNS"])
def test_a_png_file_with_any_bit_of_a_chunk_flipped_is_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.frombytes("L", (6, 5), b"".join(ROWS)).quantize(4).save(path, transparency=b"\0\1\2\3")
    whole = path.read_bytes()
    start = whole.index(kind.encode()) - 4
    end = start + 12 + int.from_bytes(whole[start : start + 4])
    for content in flips(whole, start, end):
        path.write_bytes(content)
        with pytest.raises(pictures.PictureError, match=r"a\.png: (damaged|truncated).*; expected"):
            load(path)


def test_the_name_of_the_damaged_chunk_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    content = png(header(6, 5), data(*ROWS))
    path.write_bytes(content[:60] + bytes([content[60] ^ 1]) + content[61:])
    expected = (
        f"{path}: damaged (wrong checksum of chunk b'IDAT'); expected a PNG, JPEG or WebP file"
    )
    with pytest.raises(pictures.PictureError, match=f"^{re.escape(expected)}$"):
        load(path)


# What may stand around the pixels of a PNG file without a say in them.
LARGE = zlib.compress(bytes(3_000_000))
XMP = b'<x:xmpmeta><rdf:RDF><rdf:Description tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
AROUND = {
    "nothing": b"",
    "a colour profile of 3 MB": chunk(b"iCCP", b"name\0\0" + LARGE),
    "text of 3 MB": chunk(b"zTXt", b"Comment\0\0" + LARGE),
    "damaged text": chunk(b"tEXt", b"Comment\0text").replace(b"text", b"next"),
    "an orientation in XMP": chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP),
    "damaged EXIF data": chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\x02\x01\x12"),
    "no EXIF data": chunk(b"eXIf", b"none"),
}


@pytest.mark.parametrize("case", AROUND)
@pytest.mark.filterwarnings("error")
def test_metadata_decide_nothing_about_the_pixels_of_png_files(case: str, tmp_path: Path) -> None:
    for name, content in (
        ("before.png", png(header(6, 5), AROUND[case], data(*ROWS))),
        ("after.png", png(header(6, 5), data(*ROWS), AROUND[case])),
        ("no_end.png", png(header(6, 5), AROUND[case], data(*ROWS))[:-12]),
    ):
        (tmp_path / name).write_bytes(content)
        assert pixels(tmp_path / name) == ROWS


def tiff(orientation: int, *before: bytes) -> bytes:
    """Return EXIF data with an orientation, after other entries."""
    entries = [*before, struct.pack(">HHIHH", ExifTags.Base.Orientation, 3, 1, orientation, 0)]
    return b"MM\0*\0\0\0\x08" + struct.pack(">H", len(entries)) + b"".join(entries) + bytes(4)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_pictures_are_turned_as_exif_says(orientation: int, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    exif = b"Exif\0\0" + tiff(orientation)
    Image.effect_noise((24, 16), 90).save(path, exif=exif)
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(np.asarray(load(path)), expected)
    with pictures.opened(path) as image:
        assert pictures.upright_size(image) == expected.shape


def test_exif_data_that_pillow_cannot_write_again_still_turn_a_picture(tmp_path: Path) -> None:
    exif = tiff(6, struct.pack(">HHI4s", ExifTags.Base.ImageWidth, 2, 4, b"six\0"))  # as text
    for name in "a.png", "a.jpg":
        Image.new("L", (6, 5)).save(tmp_path / name, exif=b"Exif\0\0" + exif)
        assert load(tmp_path / name).size == SIZE


def test_exif_data_at_the_end_of_a_png_file_turn_it(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(header(6, 5), data(*ROWS), chunk(b"eXIf", tiff(8))))
    expected = np.rot90([list(row) for row in ROWS])
    np.testing.assert_array_equal(np.asarray(load(path)), expected)
    with pictures.opened(path) as image:
        assert pictures.upright_size(image) == (6, 5)


def test_an_orientation_in_xmp_alone_turns_no_jpeg_file(tmp_path: Path) -> None:
    Image.new("L", (6, 5)).save(tmp_path / "a.jpg", xmp=XMP)
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.getexif()[ExifTags.Base.Orientation] == 6, "Pillow alone would turn it"
    assert load(tmp_path / "a.jpg").size == (6, 5)


def alpha(path: Path) -> list[int]:
    """Return the opacity of a picture of one row."""
    return list(load(path).convert("RGBA").getchannel("A").tobytes())


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_a_transparent_grey_has_the_depth_of_its_file(depth: int, tmp_path: Path) -> None:
    values = range(2**depth)
    bits = "".join(f"{value:0{depth}b}" for value in values).ljust(8, "0")
    row = data(int(bits, 2).to_bytes(len(bits) // 8))
    for value in values:
        key = chunk(b"tRNS", value.to_bytes(2))
        (tmp_path / "a.png").write_bytes(png(header(len(values), 1, depth), key, row))
        assert alpha(tmp_path / "a.png") == [255 * (other != value) for other in values]
        grey = np.asarray(load(tmp_path / "a.png").convert("L"))[0]
        np.testing.assert_allclose(grey, np.linspace(0, 255, len(values)))


# Three pixels, of which the first is transparent: those beside it differ in the last bit.
COLOURS = {
    "16 bits of grey": (16, GREY, ">HHH", (0x1234, 0x1235, 0x1334)),
    "black in 16 bits": (16, GREY, ">HHH", (0, 1, 0x100)),
    "colour": (8, RGB, "9B", (1, 2, 3, 1, 2, 4, 2, 2, 3)),
    "16 bits of colour": (16, RGB, ">9H", (0x102, 0x203, 0x304) * 2 + (0x102, 0x203, 0x305)),
}


@pytest.mark.parametrize("case", COLOURS)
@pytest.mark.parametrize("orientation", [1, 2])
def test_a_transparent_colour_is_that_colour_alone(
    case: str, orientation: int, tmp_path: Path
) -> None:
    depth, kind, form, samples = COLOURS[case]
    key = chunk(b"tRNS", struct.pack(">3H" if kind == RGB else ">H", *samples[: kind + 1]))
    path = tmp_path / "a.png"
    exif = chunk(b"eXIf", tiff(orientation))
    row = data(struct.pack(form, *samples))
    path.write_bytes(png(header(3, 1, depth, kind), key, exif, row))
    first = samples[: kind + 1]
    pixels = [samples[i : i + kind + 1] for i in range(0, len(samples), kind + 1)]
    expected = [255 * (pixel != first) for pixel in pixels]
    assert alpha(path) == expected[:: 3 - 2 * orientation]


def test_a_large_jpeg_file_keeps_its_size_unless_it_becomes_smaller(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.linear_gradient("L").resize((2100, 2000)).save(path)
    with pictures.opened(path) as image:
        assert pictures.upright_size(image) == (2000, 2100)
    assert pictures.load(path, (2000, 2100)).size == (2100, 2000)
    assert pictures.load(path, (28, 28)).size == (1050, 1000)


def save_webp(path: Path, image: Image.Image, **options: Any) -> bytes:
    image.save(path, lossless=True, exact=True, **options)
    return path.read_bytes()


def test_a_webp_file_gives_its_pixels_upright_with_their_transparency(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).integers(0, 256, (7, 9, 4), np.uint8)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    path = tmp_path / "x.webp"
    save_webp(path, Image.fromarray(samples), exif=exif)
    with pictures.opened(path) as image:
        assert pictures.upright_size(image) == (9, 7)
    np.testing.assert_array_equal(np.asarray(pictures.load(path, (9, 7))), np.rot90(samples, -1))


def test_a_damaged_or_animated_webp_file_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "x.webp"
    image = Image.effect_noise((16, 12), 90).convert("RGB")
    whole = save_webp(path, image)
    for length in range(12, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(
            pictures.PictureError, match=r"x\.webp: truncated; expected a PNG, JPEG or WebP"
        ):
            pictures.load(path, (12, 16))
    save_webp(path, image, save_all=True, append_images=[Image.new("RGB", (16, 12))])
    with pytest.raises(pictures.PictureError, match=r"x\.webp: an animation; expected"):
        pictures.load(path, (12, 16))


def test_a_png_file_without_an_image_is_told_as_such(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("L", (2, 2)).save(path)
    content = path.read_bytes()
    start = content.index(b"IDAT") - 4
    path.write_bytes(content[:start] + content[content.index(b"IEND") - 4 :])
    with pytest.raises(pictures.PictureError, match=r"a\.png: no image data; expected a PNG"):
        pictures.load(path, (2, 2))
