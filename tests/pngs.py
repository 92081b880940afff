"""PNG files of any kind, written by the format's description: https://www.w3.org/TR/png-3/."""

import struct
import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB = 0, 2  # colour types


def chunk(kind: bytes, content: bytes = b"") -> bytes:
    return struct.pack(">I", len(content)) + kind + content + zlib.crc32(kind + content).to_bytes(4)


def header(width: int, height: int, depth: int = 8, colour: int = GREY) -> bytes:
    return chunk(b"IHDR", struct.pack(">2I5B", width, height, depth, colour, 0, 0, 0))


def data(*rows: bytes) -> bytes:
    """Return the chunk with these rows, none of them filtered."""
    return chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))


def png(*chunks: bytes) -> bytes:
    return SIGNATURE + b"".join(chunks) + chunk(b"IEND")
