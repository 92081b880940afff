"""A JPEG file of 12 bits, as scanners and medical devices write it."""

import io
from pathlib import Path

import pytest
from PIL import Image

import pictures


def test_twelve_bits_are_what_cannot_be_read(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.new("L", (8, 8)).save(buffer, "JPEG")
    content = bytearray(buffer.getvalue())
    content[content.index(b"\xff\xc0") + 4] = 12  # bits per sample, in the start of the frame
    path = tmp_path / "scan.jpg"
    path.write_bytes(content)
    expected = r"scan\.jpg: cannot handle 12-bit layers; expected a JPEG file of 8 bits, or a PNG"
    with pytest.raises(pictures.PictureError, match=expected), pictures.opened(path):
        pass
