"""What the first bytes of an image say: its format, its width and height. Pure; no pixel is decoded."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable

# A JPEG's size stands behind metadata segments: 65,533 bytes each, so a profile or preview of megabytes takes dozens.
_MAX_JPEG_SEGMENTS = 1024  # guess

# The first bytes of the image formats that vendors take; WebP is checked apart because its marker stands at byte 8.
_IMAGE_MARKERS = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
)


def sniff_image_type(data: bytes) -> str | None:
    """The media type of an image by its first bytes, None where they are no known image."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return next((media_type for marker, media_type in _IMAGE_MARKERS if data.startswith(marker)), None)


def read_size(data: bytes, media_type: str) -> tuple[int, int] | None:
    """Width and height by the header of a type that `sniff_image_type` gives; None where it is cut short or broken."""
    return _SIZE_READERS[media_type](data)


_JPEG_FILL = re.compile(rb"\xff+(?=\xff)")  # any number of these may stand before a marker


# Sizes by header: width and height, or None where the header is cut short or broken. No pixel is decoded.


def _png_size(data: bytes) -> tuple[int, int] | None:
    """https://www.rfc-editor.org/rfc/rfc2083#section-4.1.1: IHDR comes first, and begins with width and height."""
    if len(data) < 24 or data[12:16] != b"IHDR":
        return None
    return struct.unpack_from(">II", data, 16)


def _gif_size(data: bytes) -> tuple[int, int] | None:
    """https://www.w3.org/Graphics/GIF/spec-gif89a.txt, 18: the logical screen follows the signature."""
    return struct.unpack_from("<HH", data, 6) if len(data) >= 10 else None


def _bmp_size(data: bytes) -> tuple[int, int] | None:
    """https://learn.microsoft.com/windows/win32/api/wingdi/ns-wingdi-bitmapinfoheader: a negative height counts from the top.
    The older core header has 16 bits for each."""
    if len(data) < 26:
        return None
    header_bytes: int = struct.unpack_from("<I", data, 14)[0]
    if header_bytes == 12:
        return struct.unpack_from("<HH", data, 18)
    width, height = struct.unpack_from("<ii", data, 18)
    return (abs(width), abs(height)) if header_bytes >= 40 else None


def _webp_size(data: bytes) -> tuple[int, int] | None:
    """https://www.rfc-editor.org/rfc/rfc9649#section-2: the first chunk says which of three layouts follows."""
    if len(data) < 30:
        return None
    match data[12:16]:
        case b"VP8X":
            return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
        case b"VP8L" if data[20] == 0x2F:
            bits = int.from_bytes(data[21:25], "little")
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8 " if data[23:26] == b"\x9d\x01\x2a":  # https://www.rfc-editor.org/rfc/rfc6386#section-9.1
            width, height = struct.unpack_from("<HH", data, 26)
            return width & 0x3FFF, height & 0x3FFF
        case _:
            return None


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """https://www.w3.org/Graphics/JPEG/itu-t81.pdf, B.2: segments follow one another up to the frame header (SOF), which holds
    height and width. Previews have frame headers too, inside of segments: these are stepped over."""
    at = 2
    for _ in range(_MAX_JPEG_SEGMENTS):
        if fill := _JPEG_FILL.match(data, at):
            at = fill.end()
        if len(data) < at + 9 or data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        length: int = struct.unpack_from(">H", data, at + 2)[0]
        if marker in (0xD9, 0xDA) or length < 2:  # the end, or pixels, before any frame header
            return None
        at += 2 + length
    return None


_SIZE_READERS: dict[str, Callable[[bytes], tuple[int, int] | None]] = {
    "image/png": _png_size,
    "image/jpeg": _jpeg_size,
    "image/gif": _gif_size,
    "image/webp": _webp_size,
    "image/bmp": _bmp_size,
}
